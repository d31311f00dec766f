"""The codec alone: whoever has the namespace and not the keys reads nothing, changes nothing and moves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from domain.messages import SignedMessage
from runs.codec import Addressed, PayloadRefused, SealingCodec, data_converter, why_refused
from runs.codec_keys import KeyMissing, KeyRing
from tests.sealing import KEYS

DEAL = WorkflowSerializationContext("default", "q2c/usmf/Q-1")
SECRET = "Fabrikam Holding, 84,200.00 EUR"


def activity(activity_type: str = "assess_quote", workflow_id: str = "q2c/usmf/Q-1") -> ActivitySerializationContext:
    return ActivitySerializationContext(
        "default", None, activity_type, "q2c-finance", workflow_id, "QuoteToCash", False
    )


async def sealed(value: Any, context: SerializationContext = DEAL, keys: KeyRing = KEYS, **how: Any) -> Payload:
    (payload,) = await data_converter(keys, **how).with_context(context).encode([value])
    return payload


async def opened(payload: Payload, context: SerializationContext = DEAL, keys: KeyRing = KEYS) -> Any:
    (value,) = await data_converter(keys).with_context(context).decode([payload])
    return value


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("value", [SECRET, None, {"name": SECRET}, [1, 2], b"\0bytes", SECRET * 1_000])
@pytest.mark.parametrize("context", [DEAL, activity()], ids=["workflow", "activity"])
async def test_what_is_sealed_is_read_where_it_belongs_and_nowhere_in_clear(
    value: Any, context: SerializationContext, compress: bool
) -> None:
    payload = await sealed(value, context, compress=compress)
    assert b"Fabrikam" not in payload.SerializeToString()
    assert await opened(payload, context) == value
    assert compress is False or len(payload.data) < 10_000


@pytest.mark.parametrize(
    "elsewhere",
    [
        WorkflowSerializationContext("default", "q2c/usmf/Q-2"),
        WorkflowSerializationContext("other", "q2c/usmf/Q-1"),
        WorkflowSerializationContext("default", "approval/usmf/Q-1/1"),
        activity(),
    ],
    ids=["another deal", "another namespace", "another process", "an activity of the deal"],
)
async def test_a_payload_moved_elsewhere_is_refused(elsewhere: SerializationContext) -> None:
    payload = await sealed(SECRET)
    with pytest.raises(PayloadRefused):
        await opened(payload, elsewhere)


@pytest.mark.parametrize("elsewhere", [DEAL, activity("prepare_order"), activity(workflow_id="q2c/usmf/Q-2")])
async def test_a_payload_of_an_activity_is_refused_by_another_and_by_its_workflow(
    elsewhere: SerializationContext,
) -> None:
    payload = await sealed(SECRET, activity())
    with pytest.raises(PayloadRefused):
        await opened(payload, elsewhere)


async def test_a_clear_payload_is_refused_and_says_what_to_do() -> None:
    (clear,) = await DataConverter.default.encode([{"status": "completed"}])
    with pytest.raises(PayloadRefused, match=r"not encrypted.*data converter"):
        await opened(clear)


async def test_a_payload_of_foreign_keys_is_refused_and_the_key_is_named() -> None:
    foreign = KeyRing.new()
    with pytest.raises(PayloadRefused, match=f"{foreign.writes}.*not one of ours"):
        await opened(await sealed(SECRET, keys=foreign))


async def test_a_foreign_key_under_the_id_of_ours_is_refused() -> None:
    impostor = KeyRing(KeyRing.new().ring, {KEYS.writes: bytes(32)})
    with pytest.raises(PayloadRefused, match=f"changed, or sealed for another place.*{KEYS.writes}"):
        await opened(await sealed(SECRET, keys=impostor))


async def test_a_key_of_ours_that_is_missing_drops_nothing() -> None:
    grown = KEYS.with_new_key()
    added = list(grown.keys)[-1]
    payload = await sealed(SECRET, keys=grown.writing_with(added))
    with pytest.raises(KeyMissing, match=added):
        await opened(payload)
    assert await opened(payload, keys=grown) == SECRET


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(deadline=None)
def test_a_flipped_bit_anywhere_is_refused(position: int, bit: int) -> None:
    async def flip() -> None:
        payload = await sealed(SECRET)
        data = bytearray(payload.data)
        data[position % len(data)] ^= 1 << bit
        payload.data = bytes(data)
        with pytest.raises(PayloadRefused):
            await opened(payload)

    asyncio.run(flip())


@pytest.mark.parametrize("field", ["encryption-key-id", "q2c-workflow", "q2c-for", "encoding"])
@pytest.mark.parametrize("value", [b"", b"x", b"\xff\xfe", None])
async def test_changed_or_missing_metadata_is_refused(field: str, value: bytes | None) -> None:
    payload = await sealed(Addressed("signal/release", SECRET))
    if value is None:
        del payload.metadata[field]
    else:
        payload.metadata[field] = value
    with pytest.raises(PayloadRefused):
        await opened(payload)


async def test_a_second_key_reads_what_the_first_wrote() -> None:
    first, second = KEYS.keys
    rotated = KEYS.writing_with(second)
    assert await opened(await sealed(SECRET), keys=rotated) == SECRET
    assert (await sealed(SECRET, keys=rotated)).metadata["encryption-key-id"].decode() == second
    assert first == KEYS.writes


async def test_the_same_content_never_looks_the_same() -> None:
    assert (await sealed(SECRET)).data != (await sealed(SECRET)).data


async def test_nothing_is_sealed_or_opened_that_belongs_to_no_workflow() -> None:
    codec = SealingCodec(KEYS)
    with pytest.raises(ValueError, match="one workflow"):
        await codec.encode([Payload(data=b"1")])
    with pytest.raises(ValueError, match="one workflow"):
        await codec.decode([await sealed(SECRET)])


async def test_a_failure_hides_its_message_and_its_stack() -> None:
    converter = data_converter(KEYS).with_context(activity())
    failure = Failure()
    try:
        raise ApplicationError(SECRET, {"customer": SECRET}, type="Refused") from ValueError(SECRET)
    except ApplicationError as error:
        await converter.encode_failure(error, failure)
    assert b"Fabrikam" not in failure.SerializeToString()
    assert failure.stack_trace == "" and failure.cause.stack_trace == ""
    read = await converter.decode_failure(failure)
    assert SECRET in str(read) and SECRET in str(read.__cause__)


async def test_the_reader_is_told_why_a_payload_is_refused() -> None:
    (payload,) = await SealingCodec(KEYS, context=DEAL).decode([Payload(data=b"{}")])
    assert "not encrypted" in why_refused(payload)


async def test_a_value_is_read_as_the_type_it_was_sent_as() -> None:
    message = SignedMessage(message_id="1", token=SECRET)
    converter = data_converter(KEYS).with_context(DEAL)
    (payload,) = await converter.encode([Addressed("signal/decide", message)])
    assert await converter.decode([payload], [SignedMessage]) == [message]
