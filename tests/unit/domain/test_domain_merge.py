"""Three-way merge: what is written converges, writes each side once a change, and never what the map forbids."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities import comparison_sql as sql
from domain.entities.comparing import DifferenceClass, SalesTable, comparison
from domain.entities.merge import Both, LetterCause, Merged, Pair, Said, merge, not_taken, remembered
from domain.entities.merge_forms import SyncedField, is_same
from domain.entities.model import DataMap, FieldMap, Owner
from policies.map_files import load_maps

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
OTHERS = {Owner.FINANCE: "finance", Owner.SALES: "sales"}


def customers() -> DataMap:
    found = load_maps(None).of("customer")
    assert found is not None
    return found.data


def field(
    name: str = "name", *, owner: Owner = Owner.SALES, data: DataMap | None = None, **more: object
) -> SyncedField:
    of = FieldMap.model_validate({"finance": "OrganizationName", "sales": "name", "owner": owner, **more})
    return SyncedField.synced(data or customers(), name, of, {"name": 160})


def pair(finance: str, sales: str, last: Both | None = None, *, of: str = "name", **more: object) -> Pair:
    known = {} if last is None else {of: last}
    return Pair.model_validate({"now": {of: Both(finance=finance, sales=sales)}, "last": known, **more})


AGREED = Both(finance="A", sales="A")


@pytest.mark.parametrize(
    ("owner", "finance", "sales", "to_finance", "to_sales", "undone"),
    [
        (Owner.SALES, "A", "S", "S", "", False),
        (Owner.SALES, "F", "A", "A", "", True),
        (Owner.SALES, "F", "S", "S", "", True),
        (Owner.FINANCE, "A", "S", "", "A", True),
        (Owner.FINANCE, "F", "A", "", "F", False),
        (Owner.FINANCE, "F", "S", "", "F", True),
        (Owner.NEWEST, "F", "A", "", "F", False),
        (Owner.NEWEST, "A", "S", "S", "", False),
        (Owner.SALES, "B", "B", "", "", False),
    ],
)
def test_the_owners_value_is_written_where_a_side_has_changed(
    owner: Owner, finance: str, sales: str, to_finance: str, to_sales: str, undone: bool
) -> None:
    found = merge([field(owner=owner)], pair(finance, sales, AGREED))

    assert (found.to_finance.get("name", ""), found.to_sales.get("name", "")) == (to_finance, to_sales)
    assert bool(found.undone) is undone
    assert found.findings == ()


@pytest.mark.parametrize("owner", list(Owner))
def test_what_differed_before_is_left_until_a_side_changes_or_somebody_says(owner: Owner) -> None:
    one = field(owner=owner)

    assert merge([one], pair("F", "S")) == Merged()
    assert merge([one], pair("F", "S", Both(finance="F", sales="S"))) == Merged()
    anew = merge([one], pair("F", "S", Both(finance="F", sales="S"), anew=frozenset({"name"})))
    asked = [finding.cause for finding in anew.findings]
    assert asked == ([LetterCause.CONFLICT] if owner in (Owner.MANUAL, Owner.NEWEST) else [])


@pytest.mark.parametrize(
    ("finance_after", "winner"),
    [(timedelta(minutes=3), "finance"), (timedelta(minutes=-3), "sales"), (timedelta(minutes=1), None), (None, None)],
)
def test_the_newest_value_wins_only_where_the_clocks_cannot_be_wrong(
    finance_after: timedelta | None, winner: str | None
) -> None:
    at = None if finance_after is None else NOON + finance_after
    found = merge([field(owner=Owner.NEWEST)], pair("F", "S", AGREED, finance_at=at, sales_at=NOON))

    assert [finding.cause for finding in found.findings] == ([] if winner else [LetterCause.CONFLICT])
    assert (found.to_sales, found.to_finance) == (
        {"name": "F"} if winner == "finance" else {},
        {"name": "S"} if winner == "sales" else {},
    )


def test_a_person_settles_what_the_map_leaves_to_people() -> None:
    one = field(owner=Owner.MANUAL)
    asked = merge([one], pair("F", "S", AGREED))
    assert [finding.cause for finding in asked.findings] == [LetterCause.CONFLICT]

    def settled(said: Said) -> Merged:
        return merge([one], pair("F", "S", Both(finance="F", sales="S"), said={"name": said}))

    assert settled(Said(take="finance")).to_sales == {"name": "F"}
    assert settled(Said(take="sales")).to_finance == {"name": "S"}
    given_by_hand = settled(Said(value="X"))
    assert (given_by_hand.to_finance, given_by_hand.to_sales) == ({"name": "X"}, {"name": "X"})
    assert settled(Said(value="S")).to_sales == {}


@pytest.mark.parametrize(
    ("more", "finance", "cause"),
    [
        ({"values": {"Net 30": "1"}, "otherwise": "refuse"}, "Net 99", LetterCause.NOT_LISTED),
        ({"longer": "refuse"}, "x" * 161, LetterCause.TOO_LONG),
        ({"required": True}, "", LetterCause.EMPTY),
        ({"decimals": 2}, "none", LetterCause.NOT_TELLABLE),
    ],
)
def test_what_cannot_be_told_is_a_finding_and_not_a_write(
    more: dict[str, Any], finance: str, cause: LetterCause
) -> None:
    found = merge([field(owner=Owner.FINANCE, **more)], pair(finance, "5", Both(finance="5", sales="5")))

    assert [finding.cause for finding in found.findings] == [cause]
    assert not found.to_sales
    assert not found.to_finance


def test_values_that_are_refused_are_left_alone_and_long_ones_cut() -> None:
    listed = field(owner=Owner.FINANCE, values={"Net 30": "1"}, refused=("Cash",))
    assert merge([listed], pair("Cash", "1", Both(finance="Net 30", sales="1"))) == Merged()

    cut = field(owner=Owner.FINANCE, longer="cut")
    assert merge([cut], pair("x" * 200, "y", AGREED)).to_sales == {"name": "x" * 160}
    assert merge([cut], pair("x" * 200, "x" * 160, AGREED)).agreed == ("name",)


def test_a_price_and_credit_never_go_to_finance_whoever_says_so() -> None:
    limit = field("limit", owner=Owner.FINANCE, finance="CreditLimit", sales="creditlimit", decimals="currency")
    edited = pair("1000", "9000", Both(finance="1000", sales="1000"), of="limit")
    assert limit.to == {"sales"}
    assert merge([limit], edited).to_sales == {"limit": "1000"}

    for said in (Said(take="sales"), Said(value="9000")):
        by_hand = merge([limit], edited.model_copy(update={"said": {"limit": said}}))
        assert not by_hand.to_finance
        assert [finding.cause for finding in by_hand.findings] == [LetterCause.CONFLICT]


OWNERS = st.sampled_from(list(Owner))
VALUES = st.sampled_from(["", "A", "B", "a ", "C"])
CHANGES = st.lists(st.tuples(st.sampled_from(["finance", "sales"]), VALUES), max_size=6)


@given(
    owner=OWNERS,
    normal=st.sampled_from([None, "trim", "upper"]),
    start=st.tuples(VALUES, VALUES),
    turns=st.lists(CHANGES, max_size=5),
    settle=st.sampled_from([None, "finance", "sales"]),
)
@settings(max_examples=80, deadline=None)
def test_it_converges_and_never_plays_ping_pong(
    owner: Owner,
    normal: str | None,
    start: tuple[str, str],
    turns: list[list[tuple[str, str]]],
    settle: str | None,
) -> None:
    one = field(owner=owner, normal=normal)
    now = Both(finance=start[0], sales=start[1])
    last: dict[str, Both] = {}
    for changes in turns:
        for side, value in changes:
            now = now.with_("finance" if side == "finance" else "sales", value)
        said = {"name": Said.model_validate({"take": settle})} if settle else {}
        found = merge([one], Pair(now={"name": now}, last=last, said=said))
        assert set(found.to_finance) | set(found.to_sales) <= {"name"}
        if owner in OTHERS and not settle:
            assert not found.to(OTHERS[owner])  # type: ignore[arg-type]
        now = Both(finance=found.to_finance.get("name", now.finance), sales=found.to_sales.get("name", now.sales))
        assert not not_taken([one], found, {"name": now}, "")
        last = remembered(last, {"name": now})

        idle = merge([one], Pair(now={"name": now}, last=last))

        assert (idle.to_finance, idle.to_sales, idle.findings) == ({}, {}, ())


def pairs() -> Iterator[tuple[str, str]]:
    texts = [
        "",
        " ",
        "A",
        "a",
        " a ",
        "ß",
        "É",
        "+49 30 1",
        "0049-30-1",
        "http://www.X.com/",
        "x.com",
        "DE 12-3",
        "DE123",
    ]
    texts += [
        "1900-01-01T12:00:00Z",
        "2026-11-27T00:00:00Z",
        "2026-11-27",
        "0",
        "1.005",
        "1.00",
        "1",
        "n/a",
        "Net 30",
        "x",
    ]
    return ((a, b) for a in texts for b in texts)


@pytest.mark.parametrize(
    "more",
    [
        *({"normal": form} for form in (None, "trim", "upper", "lower", "e164", "email", "url", "vat", "day")),
        {"decimals": 2},
        {"tolerance": Decimal("0.004")},
        {"values": {"Net 30": "1", "A": "x"}},
        {"values": {"Net 30": "A", "A": "a"}, "normal": "upper"},
        {"longer": "cut"},
    ],
    ids=str,
)
def test_values_are_the_same_exactly_where_a_comparison_says_so(more: dict[str, object], tmp_path: Path) -> None:
    data = customers()
    plain = FieldMap.model_validate({"finance": "AddressCity", "sales": "address1_city", "owner": "FINANCE", **more})
    data = data.model_copy(update={"fields": {"one": plain}})
    table = SalesTable(entity_set="accounts", id="accountid", lengths={"address1_city": 4})
    of = comparison(data, "usmf", table, "")
    rows = list(pairs())
    for side, at in (("finance", 0), ("sales", 1)):
        columns = {"k0": [f"K{n}" for n in range(len(rows))], "v0": [row[at] for row in rows]}
        columns |= {"id": columns["k0"]} if side == "sales" else {}
        pq.write_table(pa.table(columns), tmp_path / f"{side}.parquet")
    with sql.opened(tmp_path / "spill") as db:
        sql.find(db, of, [str(tmp_path / "finance.parquet")], [str(tmp_path / "sales.parquet")])
        wrong = {d.key for some in sql.differences(db, of) for d in some if d.kind is not DifferenceClass.ROUNDING}

    one = SyncedField.synced(data, "one", plain, table.lengths)
    for n, (finance, sales) in enumerate(rows):
        same = is_same(one, finance, sales, "USD")
        assert same is (f"K{n}" not in wrong), (finance, sales)
