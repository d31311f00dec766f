"""What syncs know, on both databases: what is looked at again, what was deleted, and what becomes of letters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.entities.letters import LetterStatus, NewLetter
from domain.entities.merge import Both, LetterCause, Said
from domain.entities.sync_records import Due, FinanceChange, Looked, Of, SalesChange, SweptRecord
from domain.entities.sync_said import SettleArgs, Taken, Word
from ledger import agreed, letter_words, letters
from ledger.database import Database
from ledger.letters import LetterFilter

OF = Of("customer", "usmf")
OTHER = Of("customer", "demf")
NOW = datetime.now(UTC) + timedelta(days=1)
SEEN = Both(finance="A", sales="A")


def row(key: str, version: int = 1, sales_id: str = "") -> SalesChange:
    return SalesChange(sales_id=sales_id or f"id-{key}", key=key, version=version, changed_at="2026-11-27T12:00:00Z")


def refused(value: str, *, pii: bool = True) -> NewLetter:
    text = f"The value '{value}' in field 'Phone' is refused"
    return NewLetter(field="phone", cause=LetterCause.REFUSED_BY_FINANCE, text=text, sales_value=value, pii=pii)


async def due(database: Database, of: Of = OF) -> dict[str, Due]:
    return {each.key: each for each in await agreed.due(database, of, NOW, 100)}


async def looked(database: Database, key: str, *new: NewLetter, ok: bool = True, version: int = 1) -> letters.Kept:
    """Look at a record that both sides have."""
    found = (await due(database))[key]
    done = Looked(
        due=found,
        sales_id=f"id-{key}",
        paired=True,
        fields={"phone": SEEN},
        sales_version=version,
        content=f"hash-{key}",
        letters=new,
        agreed=frozenset({"", "phone"} if ok else {""}),
    )
    return await agreed.keep(database, OF, done, NOW)


async def told(database: Database, *rows: SalesChange, deleted: tuple[str, ...] = (), reading: int = 0) -> int:
    place = {"link": "next"}
    noted = await agreed.note_sales(database, OF, rows, deleted, place, reading=reading, all_read=reading > 0)
    return noted.found


async def test_what_a_sync_wrote_itself_is_no_change_and_what_is_missing_was_deleted(database: Database) -> None:
    assert await told(database, row("A"), row("B"), row(""), reading=1) == 2
    assert await agreed.place(database, OF, "sales") == {"link": "next"}
    assert await agreed.place(database, OTHER, "sales") == {}
    assert await due(database, OTHER) == {}
    for key in ("A", "B"):
        await looked(database, key, version=5)
    assert await agreed.waiting(database, OF, NOW) == (0, 0)

    assert await told(database, row("A", 5)) == 0, "the version that our own write gave it"
    assert await told(database, row("A", 6)) == 1
    found = (await due(database))["A"]
    assert (found.known.paired, found.known.fields) == (True, {"phone": SEEN})
    await looked(database, "A", version=6)
    assert await told(database, row("C", 7, sales_id="id-A")) == 2, "another key: both are looked at"
    for key in ("A", "C"):
        await looked(database, key, version=7)

    assert await told(database, deleted=("id-B", "unknown")) == 1
    await looked(database, "B")
    assert await told(database, row("A", 6), row("C", 7), reading=2) == 2, "B, and A's version before"
    assert set(await due(database)) == {"A", "B"}


async def test_finance_is_looked_at_twice_at_a_time_of_change_and_swept_by_hash(database: Database) -> None:
    await told(database, row("A"), reading=1)
    await looked(database, "A")
    changed = [FinanceChange(key="A", changed_at="2026-11-27T12:00:00Z")]
    found = [(await agreed.note_finance(database, OF, changed, {})).found for _ in range(3)]
    assert found == [1, 1, 0]
    await looked(database, "A")

    async def swept(*records: tuple[str, str], sweep: int) -> int:
        rows = [SweptRecord(key=key, content=content) for key, content in records]
        noted = await agreed.note_swept(database, OF, rows, {}, sweep=sweep, all_read=True, since="2026-11-27T11:00Z")
        return noted.found

    assert await swept(("A", "hash-A"), sweep=1) == 0
    assert await swept(("A", "other"), sweep=2) == 1
    await looked(database, "A")
    assert await swept(("B", "new"), sweep=3) == 2, "B is new, and A is there no more"


async def test_a_letter_stays_until_a_success_or_a_person_ends_it(database: Database) -> None:
    await told(database, row("A"), row("B"), reading=1)
    assert await looked(database, "A", refused("12"), ok=False) == (1, 0)
    assert await looked(database, "B", refused("34"), ok=False) == (1, 0)
    (group,) = await letters.groups(database, LetterFilter(entity="customer"))
    assert (group.letters, group.cause) == (2, LetterCause.REFUSED_BY_FINANCE)
    one, other = sorted(
        await letters.listed(database, LetterFilter(company="usmf"), most=9), key=lambda letter: letter.key
    )

    async def settle(by: str, letter: str = one.letter_id, **args: str) -> Taken:
        word = Word(args=SettleArgs.model_validate({"letter": letter, "reason": "x", **args}), oid=by, name=by)
        return await letter_words.settle(database, OF, word, NOW)

    assert (await settle("amy", letter="0" * 12, do="dismiss")).code == "NOT_FOUND"
    assert (await settle("amy", do="approve")).code == "NOT_OPEN_ANY_MORE"
    assert (await settle("amy", do="propose", value="56")).code is None
    assert (await settle("amy", do="approve")).code == "NEEDS_SECOND_PERSON"
    assert (await settle("otto", do="approve")).code is None
    assert (await due(database))["A"].said == {"phone": Said(value="56")}
    assert await looked(database, "A") == (0, 1)
    (ended,) = await letters.listed(database, LetterFilter(ids=(one.letter_id,), ended=True), most=1)
    assert (ended.status, ended.sales_value, ended.proposed) == (LetterStatus.DONE, "", None)

    assert (await settle("amy", other.letter_id, do="dismiss")).code is None
    assert await letters.count(database, LetterFilter()) == {}
    await told(database, row("B", 9))
    assert await looked(database, "B", refused("78"), ok=False) == (1, 0)
    (back,) = await letters.listed(database, LetterFilter(), most=9)
    assert (back.letter_id, back.status, back.seen) == (other.letter_id, LetterStatus.OPEN, 1)
