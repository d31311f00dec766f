"""Seals every payload the product hands to Temporal, and refuses what it did not seal.

AES-256-GCM. What a payload is for is authenticated with it: namespace, workflow, and its purpose, e.g. the signal it
belongs to. Whoever has only the namespace can read nothing of it, change nothing, and move nothing to another workflow
or another message. docs/encryption.md lists which payload is bound to what.

The SDK tells a codec the namespace and the workflow (or the type of the activity), not the message. So what is sent is
marked with its purpose where the purpose is known: by a client's interceptor here, inside a worker by ``workers.gate``,
which also compares purposes on arrival.

What cannot be believed does not raise here, where it would block the whole workflow task of the run that received it:
it becomes a payload that no value can be read from, and says why. Only a key of ours that is missing raises.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from opentelemetry import metrics
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from runs.codec_keys import KeyRing
from runs.names import sealed_for

ENCODING: Final = "binary/encrypted"
REFUSED: Final = "q2c/refused"
BY_HAND: Final = "q2c/by-hand"
PURPOSE: Final = "q2c-for"
TARGET: Final = "q2c-workflow"
KEY_ID: Final = "encryption-key-id"
_PACKED: Final = "q2c-packed"
_NONCE_BYTES = 12
_PACK_ABOVE = 1_024
_LARGEST = 16 * 1024 * 1024
"""Bytes a packed payload may unpack to: eight times what Temporal lets a payload be."""
STATE: Final = "state"
"""Kind under which payloads are measured that a run writes for itself: arguments, memos, summaries, details."""
HAND: Final = "hand"
"""Purpose of what a person typed through the codec server: it belongs to no workflow, and counts as a question only."""


_sizes = metrics.get_meter("q2c").create_histogram(
    "q2c_payload_bytes",
    unit="By",
    description="Size of the payloads that are sealed, by what they are for",
    explicit_bucket_boundaries_advisory=(2**10, 2**12, 2**14, 2**16, 2**17, 2**18, 2**19, 2**20, 2**21),
)


class PayloadRefused(ApplicationError):
    """A payload that the product did not seal for this place; the text says why, names the key id and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(why, type="PayloadRefused", non_retryable=True)


class Sealed(NamedTuple):
    """What a sealed payload says of itself, once its key held."""

    payload: Payload
    workflow_id: str
    purpose: str


@dataclass(frozen=True)
class Addressed:
    """A value on its way, and what it is for."""

    purpose: str
    value: Any


def mark(payload: Payload, purpose: str, *, target: str = "") -> None:
    """Say what a payload is for before it is sealed; ``target``: the workflow, where it is not the one at hand."""
    payload.metadata[PURPOSE] = purpose.encode()
    if target:
        payload.metadata[TARGET] = target.encode()


def purpose_of(payload: Payload) -> str | None:
    """What an opened payload was sealed for; None where it cannot be believed."""
    if payload.metadata.get("encoding", b"").decode(errors="replace") in (REFUSED, BY_HAND):
        return None
    return payload.metadata.get(PURPOSE, b"").decode()


def refused(why: str) -> Payload:
    """A payload no value can be read from."""
    return Payload(metadata={"encoding": REFUSED.encode()}, data=why.encode())


def why_refused(payload: Payload) -> str:
    """Why no value can be read from a payload; empty where one can."""
    encoding = payload.metadata.get("encoding", b"")
    if encoding == BY_HAND.encode():
        return "it was typed by a person, which counts for queries only"
    return payload.data.decode(errors="replace") if encoding == REFUSED.encode() else ""


class SealingCodec(PayloadCodec, WithSerializationContext):
    """Seals and opens payloads of one workflow or activity; the SDK makes one for each by ``with_context``."""

    def __init__(self, keys: KeyRing, *, compress: bool = False, context: SerializationContext | None = None) -> None:
        """Seal under ``keys``; ``compress`` packs what is above 1 KiB first, which tells sizes apart less well."""
        self._keys = keys
        self._compress = compress
        self._context = context

    def with_context(self, context: SerializationContext) -> SealingCodec:
        """The codec for one workflow or activity."""
        return SealingCodec(self._keys, compress=self._compress, context=context)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal payloads.

        Raises:
            ValueError: it is not known for which workflow: a payload that belongs nowhere would belong anywhere.
        """
        namespace, workflow_id = self._place()
        return [self._seal(payload, namespace, workflow_id) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open payloads; one that cannot be believed becomes one no value can be read from.

        Raises:
            KeyMissing: sealed under a key of ours that is not here.
            ValueError: it is not known for which workflow.
        """
        namespace, workflow_id = self._place()
        return [self._open(payload, namespace, workflow_id) for payload in payloads]

    def unseal(self, payload: Payload, namespace: str) -> Sealed | str:
        """Open a payload wherever it belongs, for who may read it; a text says why it cannot be believed.

        Raises:
            KeyMissing: sealed under a key of ours that is not here.
        """
        if payload.metadata.get("encoding") != ENCODING.encode():
            return "it is not encrypted: connect with the product's data converter"
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        cipher = self._keys.cipher(key_id)
        if cipher is None:
            return f"the key {key_id or '(none)'} is not one of ours"
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            plain = cipher.decrypt(nonce, sealed, _bound(payload, namespace))
        except (InvalidTag, ValueError):
            return f"it was changed, or sealed for another place, under the key {key_id}"
        if payload.metadata.get(_PACKED):
            unpack = zlib.decompressobj()
            plain = unpack.decompress(plain, _LARGEST)
            if unpack.unconsumed_tail:
                return f"it unpacks to more than {_LARGEST} bytes"
        opened = Payload.FromString(plain)
        purpose = payload.metadata.get(PURPOSE, b"")
        opened.metadata[PURPOSE] = purpose
        return Sealed(opened, payload.metadata.get(TARGET, b"").decode(), purpose.decode())

    def seal_by_hand(self, payload: Payload, namespace: str) -> Payload:
        """Seal what a person typed: for no workflow, so that it counts as a question only."""
        typed = Payload()
        typed.CopyFrom(payload)
        mark(typed, HAND)
        return self._seal(typed, namespace, "")

    def _seal(self, payload: Payload, namespace: str, workflow_id: str) -> Payload:
        inner = Payload()
        inner.CopyFrom(payload)
        purpose = inner.metadata.pop(PURPOSE, b"").decode()
        target = inner.metadata.pop(TARGET, b"").decode() or workflow_id
        plain = inner.SerializeToString()
        key_id = self._keys.writes
        outer = Payload(
            metadata={
                "encoding": ENCODING.encode(),
                KEY_ID: key_id.encode(),
                TARGET: target.encode(),
                PURPOSE: self._here(purpose).encode(),
            }
        )
        if self._compress and len(plain) > _PACK_ABOVE:
            plain = zlib.compress(plain)
            outer.metadata[_PACKED] = b"zlib"
        nonce = os.urandom(_NONCE_BYTES)
        outer.data = nonce + self._keys.writing_cipher.encrypt(nonce, plain, _bound(outer, namespace))
        _sizes.record(len(outer.data), {"kind": (outer.metadata[PURPOSE].decode() or STATE).partition("/")[0]})
        return outer

    def _open(self, payload: Payload, namespace: str, workflow_id: str) -> Payload:
        sealed = self.unseal(payload, namespace)
        if isinstance(sealed, str):
            return refused(sealed)
        if sealed.purpose == HAND:
            return Payload(metadata={"encoding": BY_HAND.encode()}, data=sealed.payload.SerializeToString())
        if sealed.workflow_id not in (workflow_id, sealed_for(workflow_id)):
            return refused(f"it was sealed for the workflow {sealed.workflow_id}")
        if self._activity != _activity_of(sealed.purpose):
            return refused(f"it was sealed for {sealed.purpose or 'the workflow'}")
        return sealed.payload

    def _place(self) -> tuple[str, str]:
        context = self._context
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext) and context.workflow_id:
            return context.namespace, context.workflow_id
        raise ValueError("a payload is sealed for one workflow: use a handle of it, or data_converter.with_context(…)")

    @property
    def _activity(self) -> str | None:
        context = self._context
        return (context.activity_type or "") if isinstance(context, ActivitySerializationContext) else None

    def _here(self, purpose: str) -> str:
        return purpose if self._activity is None else f"activity/{self._activity}/{purpose}"


def _activity_of(purpose: str) -> str | None:
    kind, _, rest = purpose.partition("/")
    return rest.rpartition("/")[0] if kind == "activity" else None


def _bound(payload: Payload, namespace: str) -> bytes:
    """What is authenticated with a payload: each part with its length, so that no two places read alike."""
    metadata = payload.metadata
    parts = [b"q2c sealed payload 1", namespace.encode()]
    parts += [metadata.get(name, b"") for name in (KEY_ID, TARGET, PURPOSE, _PACKED)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def open_by_hand(payload: Payload) -> Payload:
    """What a person typed, for a place where it counts."""
    return Payload.FromString(payload.data)


class _AddressedValues(EncodingPayloadConverter):
    """Marks a value's payload with what it is for."""

    encoding = "q2c/addressed"

    def __init__(self, values: PydanticPayloadConverter) -> None:
        self._values = values

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Addressed):
            return None
        payload = self._values.to_payload(value.value)
        mark(payload, value.purpose)
        return payload

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        raise PayloadRefused("this encoding is never sent")


class _Unreadable(EncodingPayloadConverter):
    """Raises why no value can be read from a payload."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def to_payload(self, value: Any) -> Payload | None:
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        raise PayloadRefused(f"A payload is refused: {why_refused(payload)}.")


class SealedPayloadConverter(PydanticPayloadConverter):
    """The SDK's converter of pydantic values, which knows purposes and refusals."""

    def __init__(self) -> None:
        """Put them before the SDK's own encodings.

        The SDK makes a converter for every activity and every task of a run: all of them share one set of encodings,
        and with it what pydantic has learned of the types.
        """
        self.converters = _encodings()


@cache
def _encodings() -> dict[bytes, EncodingPayloadConverter]:
    values = PydanticPayloadConverter()
    own = (_AddressedValues(values), _Unreadable(REFUSED), _Unreadable(BY_HAND))
    return {converter.encoding.encode(): converter for converter in (*own, *values.converters.values())}


def data_converter(keys: KeyRing, *, compress: bool = False) -> DataConverter:
    """The one data converter of the product. Messages and stack traces of failures are sealed as well.

    A client needs the purposes beside it, a worker the gate: take both from ``workers.sealing``.
    """
    return DataConverter(
        payload_converter_class=SealedPayloadConverter,
        payload_codec=SealingCodec(keys, compress=compress),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


class Purposes(Interceptor):
    """Marks what a client sends with what it is for: the start of a workflow, a signal, an update, a query."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """See base class."""
        return _PurposesOutbound(next)


class _PurposesOutbound(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.args = _for(start_of(input.workflow), input.args)
        input.start_signal_args = _for(signal_of(input.start_signal or ""), input.start_signal_args)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        input.args = _for(signal_of(input.signal), input.args)
        await super().signal_workflow(input)

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:
        input.args = _for(query_of(input.query), input.args)
        return await super().query_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        input.args = _for(update_of(input.update), input.args)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self, input: StartWorkflowUpdateWithStartInput
    ) -> WorkflowUpdateHandle[Any]:
        start, update = input.start_workflow_input, input.update_workflow_input
        start.args = _for(start_of(start.workflow), start.args)
        update.args = _for(update_of(update.update), update.args)
        return await super().start_update_with_start_workflow(input)


def _for(purpose: str, args: Sequence[Any]) -> list[Any]:
    return [Addressed(purpose, value) for value in args]


def start_of(workflow_type: str) -> str:
    """Purpose of what a client starts a workflow with."""
    return f"start/{workflow_type}"


def child_of(parent_run_id: str) -> str:
    """Purpose of what a run starts a child with: the server tells a child its parent's run, so no other start fits."""
    return f"child/{parent_run_id}"


def continued_from(run_id: str) -> str:
    """Purpose of what a run continues as new with: only the run the server made of it accepts it, never a new start."""
    return f"continued/{run_id}"


def signal_of(name: str) -> str:
    """Purpose of a signal's argument."""
    return f"signal/{name}"


def query_of(name: str) -> str:
    """Purpose of a query's argument."""
    return f"query/{name}"


def update_of(name: str) -> str:
    """Purpose of an update's argument."""
    return f"update/{name}"


INPUT: Final = "input"
"""Purpose of what an activity is given, after its type."""
RESULT: Final = "result"
"""Purpose of what an activity or a workflow ends with."""
ANSWER: Final = "answer"
"""Purpose of what a query or an update is answered with."""
