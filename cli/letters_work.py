"""What `q2c letters` does: lists what the ledger keeps, and tells a sync what a person says of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from cli import inputs, sync_work
from cli.output import fail, note, result, result_as_json
from cli.site import refusal, sent
from domain.entities.letters import Letter
from domain.entities.merge import LetterCause
from domain.entities.sync_run import ReplayView
from ledger.database import DATABASE_ERRORS, Database, open_database
from ledger.letters import LetterFilter, groups
from ledger.letters import listed as letters_listed
from runs import names
from runs.calls import NoAnswer, NotFound
from runs.syncs import Syncs

T = TypeVar("T")
LOOK_EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 1_800.0


def wanted(
    *,
    entity: str = "",
    company: str = "",
    cause: str = "",
    group: str = "",
    key: str = "",
    replay: str = "",
    ended: bool = False,
) -> LetterFilter:
    """Which letters are wanted; ends the command where there is no such cause."""
    if cause and cause.upper() not in LetterCause.__members__:
        fail(f"--cause: {cause!r} is none of {', '.join(LetterCause)}")
    return LetterFilter(
        entity=entity,
        company=company,
        cause=LetterCause(cause.upper()) if cause else None,
        reason=group,
        key=key,
        replay=replay,
        ended=ended or bool(replay),
    )


def grouped(of: LetterFilter, *, as_json: bool) -> int:
    """List letters by reason; the exit code."""
    found = _kept(lambda database: groups(database, of), as_json=as_json)
    if as_json:
        result_as_json([group.model_dump(mode="json") for group in found])
    else:
        table = Table("Group", "Cause", "Letters", "Days", "Text of one", box=None)
        now = datetime.now(UTC)
        for group in found:
            days = max(0, (now - group.oldest_at).days)
            table.add_row(group.reason, group.cause.value, f"{group.letters:,}", str(days), group.text[:200])
        _print(table, found)
    return int(bool(found) and not of.ended)


def listed(of: LetterFilter, limit: int, *, as_json: bool) -> int:
    """List each letter; the exit code."""
    found = _kept(lambda database: letters_listed(database, of, most=limit), as_json=as_json)
    if as_json:
        result_as_json([letter.model_dump(mode="json") for letter in found])
    else:
        table = Table("Letter", "Record", "Field", "Cause", "Status", "Finance", "Sales", "Text", box=None)
        for letter in found:
            values = letter.finance_value[:60], letter.sales_value[:60], letter.text[:120]
            table.add_row(letter.letter_id, letter.key, letter.field, letter.cause.value, letter.status.value, *values)
        _print(table, found)
    return int(bool(found) and not of.ended)


def show(letter: str, *, as_json: bool) -> None:
    """Show one letter."""
    found = _one(letter, as_json=as_json)
    if as_json:
        result_as_json(found.model_dump(mode="json"))
        return
    for name, value in found.model_dump(mode="json").items():
        if value not in ("", None):
            result(f"{name.replace('_', ' ')}: {value}")


def settle(letter: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Say what becomes of a letter; the exit code."""
    found = _one(letter, as_json=as_json)
    said = {"letter": found.letter_id, **body}
    return sync_work.say(found.company, found.entity, "settle", said, token_file, as_json=as_json)


def replay(company: str, entity: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Have letters tried again, and wait for what becomes of them; the exit code."""
    _, refused, message_id = sent(sync_work.path_of(company, entity, "run"), body, token_file)
    if refused:
        return refusal(refused, {"failed": refused}, as_json=as_json)
    view = sync_work.ask(lambda syncs: _ended(syncs, names.replay_id(entity, company, message_id)))
    if as_json:
        result_as_json(view.model_dump(mode="json"))
    else:
        for letter, what in view.items.items():
            result(f"{letter}: {what}")
        would = "would end" if view.dry_run else "ended"
        result(f"{view.tried:,} letters tried: {view.done:,} {would}, {view.failed:,} stand")
        if not view.dry_run:
            note(f"q2c letters list --replay {view.replay} shows each of them")
    return int(view.failed > 0 or not view.ended)


async def _ended(syncs: Syncs, replay: str) -> ReplayView:
    """What became of a replay; as far as it is after half an hour."""
    until = time.monotonic() + PATIENCE_SECONDS
    view = ReplayView(replay=replay)
    while not view.ended and time.monotonic() < until:
        try:
            view = await syncs.replay(replay)
        except (NoAnswer, NotFound):
            pass  # it is about to begin, or is asked again
        await asyncio.sleep(0 if view.ended else LOOK_EVERY_SECONDS)
    return view


def _one(letter: str, *, as_json: bool) -> Letter:
    of = LetterFilter(ids=(letter,), ended=True)
    found = _kept(lambda database: letters_listed(database, of, most=1), as_json=as_json)
    if not found:
        why = f"no letter {letter!r}"
        raise typer.Exit(refusal(why, {"failed": why}, as_json=as_json))
    return found[0]


def _print(table: Table, found: Sequence[object]) -> None:
    if found:
        Console(file=sys.stdout, highlight=False).print(table)
    else:
        result("no letters")


def _kept(question: Callable[[Database], Awaitable[T]], *, as_json: bool) -> T:
    """What the ledger keeps; ends the command where it cannot be read."""

    async def read() -> T:
        database = await open_database(inputs.settings().ledger.url.get_secret_value(), read_only=True)
        try:
            return await question(database)
        finally:
            await database.close()

    try:
        return asyncio.run(read())
    except DATABASE_ERRORS as error:
        why = f"the letters cannot be read here: {error}"
        raise typer.Exit(refusal(why, {"failed": why}, as_json=as_json)) from error
