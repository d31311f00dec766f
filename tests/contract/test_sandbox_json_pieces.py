"""A page of very many rows is the JSON it would be in one piece, and others are answered while it is written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox.odata.jsonio import ROWS_AT_ONCE, collection, decode, encode, whole

HEAD = {"@odata.context": "x#accounts"}
TAIL = {"@odata.nextLink": "x?$skiptoken=2"}


def shown(number: int) -> dict[str, Any]:
    return {"accountid": str(number), "name": 'Contoso "Ltd"'}


@pytest.mark.parametrize("tail", [{}, TAIL], ids=["last", "more"])
@pytest.mark.parametrize("head", [{}, HEAD], ids=["bare", "context"])
@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 2 * ROWS_AT_ONCE, 5_000])
async def test_it_is_the_same_json_however_many_rows_there_are(
    count: int, head: dict[str, Any], tail: dict[str, Any]
) -> None:
    body = collection(head, range(count), shown, tail)
    plain = encode({**head, "value": [shown(number) for number in range(count)], **tail})
    assert await whole(body) == bytes(body) == plain
    assert list(decode(plain)) == [*head, "value", *tail]


async def test_others_are_answered_while_it_is_written() -> None:
    seen: list[str] = []

    def present(number: int) -> dict[str, Any]:
        seen.append("row")
        return shown(number)

    async def another() -> None:
        while True:
            seen.append("another")
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await whole(collection({}, range(10 * ROWS_AT_ONCE), present, {}))
    task.cancel()
    between = "".join("." if entry == "row" else " " for entry in seen).split()
    assert len("".join(between)) == 10 * ROWS_AT_ONCE
    assert max(map(len, between)) <= 2 * ROWS_AT_ONCE  # the first, presented at once, and the second
