"""What people say of letters, carried out: each is one transaction on the letter and on what is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.letters import OF_RECORDS, STANDING, Letter, LetterStatus
from domain.entities.merge import Said
from domain.entities.sync_records import Of
from domain.entities.sync_said import SettleArgs, Taken, Word
from domain.refusals import Refusal
from ledger import agreed, letters
from ledger.database import Database
from ledger.letters import LetterFilter
from ledger.tables import LETTERS

_OF_NO_VALUE: Final = "it is about the record as a whole: bring the record in order, then try the letter again"


async def settle(database: Database, of: Of, word: Word, now: datetime) -> Taken:
    """Carry out what a person says of one letter."""
    args = word.args
    async with database.writing() as connection:
        letter = await letters.one(connection, of.entity, of.company, args.letter)
        if letter is None:
            return Taken(code=Refusal.NOT_FOUND, text=f"no letter {args.letter}")
        if letter.status not in STANDING:
            return Taken(code=Refusal.NOT_OPEN_ANY_MORE, text=f"it is {letter.status}")
        if args.do == "dismiss":
            await letters.dismiss(connection, letter.letter_id, word.name or word.oid, now)
            if letter.cause in OF_RECORDS:
                await agreed.part(connection, of, letter.at)
            return Taken(text=f"letter {letter.letter_id} is dismissed")
        if letter.cause in OF_RECORDS:
            return Taken(code=Refusal.BAD_ARGUMENT, text=_OF_NO_VALUE)
        return await _valued(connection, of, letter, args, word, now)


async def _valued(
    connection: AsyncConnection, of: Of, letter: Letter, args: SettleArgs, word: Word, now: datetime
) -> Taken:
    """Carry out what is to become of the value of a field."""
    if args.do == "take":
        await _again(connection, of, [letter], {letter.letter_id: Said(take=args.take)}, "", now)
        return Taken(text=f"{letter.field} of {letter.key} is as in {str(args.take).title()}")
    if args.do == "propose":
        values = {"status": LetterStatus.PROPOSED.value, "proposed": args.value, "proposed_by": word.oid[:200]}
        await letters.change(connection, [letter.letter_id], values)
        return Taken(text=f"letter {letter.letter_id}: the value is proposed; somebody else approves it")
    if letter.status is not LetterStatus.PROPOSED or letter.proposed is None:
        return Taken(code=Refusal.NOT_OPEN_ANY_MORE, text="no value is proposed")
    if letter.proposed_by == word.oid:
        return Taken(code=Refusal.NEEDS_SECOND_PERSON, text="who proposed a value does not approve it")
    await _again(connection, of, [letter], {letter.letter_id: Said(value=letter.proposed)}, "", now)
    return Taken(text=f"{letter.field} of {letter.key} gets the value that was proposed")


async def queue(
    database: Database, wanted: LetterFilter, replay: str, now: datetime, *, most: int, after: str
) -> list[str]:
    """Have some letters tried again; their ids, none where there are no more."""
    assert wanted.entity
    assert wanted.company
    found = await letters.listed(database, wanted, most=most, after=after)
    async with database.writing() as connection:
        await _again(connection, Of(wanted.entity, wanted.company), found, {}, replay, now)
    return [letter.letter_id for letter in found]


async def results(database: Database, replay: str) -> dict[LetterStatus, int]:
    """How many letters of a replay stand how."""
    c = LETTERS.c
    found: dict[LetterStatus, int] = {}
    async with database.reading() as connection:
        for row in await connection.execute(select(c.status).where(c.replay == replay)):
            status = LetterStatus(row.status)
            found[status] = found.get(status, 0) + 1
    return found


async def _again(
    connection: AsyncConnection,
    of: Of,
    found: Sequence[Letter],
    said: Mapping[str, Said],
    replay: str,
    now: datetime,
) -> None:
    """Have letters tried again: with what somebody said, or judged anew."""
    keys: dict[str, dict[str, Said | None]] = {}
    for letter in found:
        fields = keys.setdefault(letter.at, {})
        if letter.field:
            fields[letter.field] = said.get(letter.letter_id)
    if keys:
        await agreed.ask_again(connection, of, keys, now)
    values = {"status": LetterStatus.QUEUED.value, "replay": replay[:200]}
    await letters.change(connection, [letter.letter_id for letter in found], values)
