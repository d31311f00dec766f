"""What shadow mode decided, a row for each moment of a revision: a later look takes the place of an earlier one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, insert, select, tuple_, update

from domain.shadow import Moment, PeoplesOrder, ShadowLook
from ledger.database import Database
from ledger.tables import SHADOW_LOOKS

_OF: Final = SHADOW_LOOKS.c
_PAGE: Final = 1_000


async def keep(database: Database, look: ShadowLook) -> None:
    """Keep a look in place of an earlier one of the same moment; an order that was found for it stays."""
    of_moment = (
        _OF.company == look.company,
        _OF.quote == look.quote,
        _OF.revision == look.revision,
        _OF.moment == look.moment,
    )
    async with database.writing() as connection:
        before = (await connection.execute(select(_OF.content).where(*of_moment))).scalar()
        if before is not None:
            known = ShadowLook.model_validate_json(before)
            look = look.model_copy(update={"order": look.order or known.order})
        await connection.execute(delete(SHADOW_LOOKS).where(*of_moment))
        await connection.execute(
            insert(SHADOW_LOOKS).values(
                company=look.company,
                quote=look.quote,
                revision=look.revision,
                moment=str(look.moment),
                at=_text(look.at),
                content=look.model_dump_json(),
            )
        )


async def note_order(database: Database, company: str, quote: str, revision: int, order: PeoplesOrder) -> None:
    """Keep which order people entered for a quote that was won; nothing where no look at it is kept."""
    of_moment = (
        _OF.company == company,
        _OF.quote == quote,
        _OF.revision == revision,
        _OF.moment == str(Moment.ACCEPTED),
    )
    async with database.writing() as connection:
        before = (await connection.execute(select(_OF.content).where(*of_moment))).scalar()
        if before is None:
            return
        look = ShadowLook.model_validate_json(before).model_copy(update={"order": order})
        await connection.execute(update(SHADOW_LOOKS).where(*of_moment).values(content=look.model_dump_json()))


async def looks(database: Database, company: str, since: datetime) -> AsyncIterator[list[ShadowLook]]:
    """The looks at a company's quotes since a moment, oldest first, some at a time; ``company`` empty: of all."""
    after = (_text(since), "", -1, "")
    async with database.reading() as connection:
        while True:
            wanted = (
                select(_OF.at, _OF.quote, _OF.revision, _OF.moment, _OF.content)
                .where(tuple_(_OF.at, _OF.quote, _OF.revision, _OF.moment) > after)
                .order_by(_OF.at, _OF.quote, _OF.revision, _OF.moment)
                .limit(_PAGE)
            )
            rows = (await connection.execute(wanted.where(_OF.company == company) if company else wanted)).all()
            if rows:
                yield [ShadowLook.model_validate_json(row.content) for row in rows]
            if len(rows) < _PAGE:
                return
            last = rows[-1]
            after = (last.at, last.quote, last.revision, last.moment)


async def forget(database: Database, company: str) -> int:
    """Remove all looks at a company's quotes; how many there were."""
    async with database.writing() as connection:
        return (await connection.execute(delete(SHADOW_LOOKS).where(_OF.company == company))).rowcount


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
