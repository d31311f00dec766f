"""A credit ledger beside what deals claim and Finance counts: each difference has its code, agreement has none."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import facts
from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_claims import ClaimKind, CreditClaim, claim_of
from domain.credit_parts import part_of
from domain.credit_review import OLDEST_READING, SETTLES, Compared, RebuildBook, differences, rebuilt, unusable
from domain.credit_review_said import CreditReviewView, ReviewedLedger, next_night
from domain.facts import Fact
from tests.deals import TO_ORDER, decision, new_deal, put
from tests.unit.domain.makers import T0

OLD = T0 - timedelta(hours=1)


def entry(deal: str = "d1", amount: int = 100, **other: Any) -> CreditEntry:
    given = {"order_number": f"O-{deal}", "status": EntryStatus.RESERVED, "asked_at": OLD}
    return CreditEntry(deal_id=deal, amount=Decimal(amount), **{**given, **other})


def claim(deal: str = "d1", amount: int = 100, kind: ClaimKind = ClaimKind.RESERVED, **other: Any) -> CreditClaim:
    given = {"account": "US-001", "order_number": f"O-{deal}"}
    return CreditClaim(deal_id=deal, amount=Decimal(amount), kind=kind, **{**given, **other})


def codes(
    entries: list[CreditEntry], claims: list[CreditClaim], counted: tuple[str, ...] = (), **other: Any
) -> list[str]:
    book = CreditBook(entries=tuple(entries))
    seen = Compared(account="US-001", book=book, claims=tuple(claims), counted=counted, at=T0, **other)
    return [found.code for found in differences(seen)]


@pytest.mark.parametrize(
    ("entries", "claims", "counted", "found"),
    [
        ([entry()], [claim()], (), []),
        ([entry(status=EntryStatus.HELD)], [claim(kind=ClaimKind.HELD)], (), []),
        ([entry(amount=90)], [claim(kind=ClaimKind.ASKING)], (), []),
        ([entry()], [claim(kind=ClaimKind.IN_FINANCE)], ("O-d1",), []),
        ([entry(visible_at=OLD)], [], (), []),
        ([entry(part_of("d1", 2))], [claim(kind=ClaimKind.IN_FINANCE)], (), []),
        ([entry(asked_at=T0 - SETTLES / 2)], [], (), []),
        ([entry()], [], (), ["CREDIT_OF_NO_DEAL"]),
        ([entry()], [claim(account="US-002")], (), ["CREDIT_OF_NO_DEAL"]),
        ([entry(part_of("d1", 2))], [], (), ["CREDIT_OF_NO_DEAL"]),
        ([], [claim()], (), ["CREDIT_NOT_RESERVED"]),
        ([], [claim(kind=ClaimKind.HELD)], (), ["CREDIT_NOT_RESERVED"]),
        ([], [claim(account="US-002")], (), []),
        ([], [claim()], ("O-d1",), []),
        ([entry(amount=90)], [claim()], (), ["CREDIT_AMOUNT_DIFFERS"]),
        ([entry()], [claim(kind=ClaimKind.IN_FINANCE)], (), ["CREDIT_COUNTED_TWICE"]),
        (
            [entry(), entry("d2", order_number="O-d1")],
            [claim(), claim("d2", order_number="O-d1")],
            (),
            ["CREDIT_COUNTED_TWICE", "CREDIT_COUNTED_TWICE"],
        ),
    ],
)
def test_what_differs_has_its_code(
    entries: list[CreditEntry], claims: list[CreditClaim], counted: tuple[str, ...], found: list[str]
) -> None:
    assert codes(entries, claims, counted) == found


@pytest.mark.parametrize(
    ("group", "told", "in_group", "found"),
    [
        ("TWIN", "TWIN", [entry()], []),
        ("TWIN", "TWIN", [], ["CREDIT_GROUP_DIFFERS"]),
        ("TWIN", "", [entry()], ["CREDIT_GROUP_DIFFERS"]),
        ("TWIN", "TWIN", [entry(), entry("d2")], ["CREDIT_NOT_RESERVED", "CREDIT_GROUP_DIFFERS"]),
        ("TWIN", "TWIN", [entry(), entry("d3")], []),
    ],
)
def test_a_group_and_its_customer_hold_the_same(
    group: str, told: str, in_group: list[CreditEntry], found: list[str]
) -> None:
    claims = [claim(), claim("d2"), claim("d3", account="US-002")] if len(in_group) == 2 else [claim()]
    if in_group and in_group[-1].deal_id == "d3":
        claims.pop(1)
    shared = CreditBook(entries=tuple(in_group))
    assert codes([entry()], claims, group=group, told_group=told, group_book=shared) == found


def test_a_book_is_made_anew_from_claims_and_what_is_newer_than_they_are_stays() -> None:
    read_at = T0 - timedelta(seconds=20)
    kept = [
        entry("newer", asked_at=T0),
        entry("other's"),
        entry("seen", visible_at=OLD),
        entry("asking", 7),
        entry(part_of("invoiced", 3)),
    ]
    book = CreditBook(
        entries=(*kept, entry("gone"), entry(part_of("gone", 1)), entry("amount", 5), entry("invoiced"), entry("held"))
    )
    claims = (
        claim("other's", account="US-002"),
        claim("asking", kind=ClaimKind.ASKING),
        claim("amount", 9),
        claim("invoiced", kind=ClaimKind.IN_FINANCE),
        claim("held", kind=ClaimKind.HELD),
        claim("missing", 11),
        claim("waiting", kind=ClaimKind.HELD),
        claim("gave back", 13),
    )
    rebuild = RebuildBook(account="US-001", claims=claims, read_at=read_at)
    after, told = rebuilt(book, rebuild, ["gave back"], T0)
    assert list(after.entries[:5]) == kept
    by_deal = {e.deal_id: e for e in after.entries[5:]}
    assert set(by_deal) == {"amount", "invoiced", "held", "missing", "waiting"}
    assert (int(by_deal["amount"].amount), int(by_deal["missing"].amount)) == (9, 11)
    assert by_deal["invoiced"].visible_at == read_at
    assert {e.deal_id for e in after.entries if e.status is EntryStatus.HELD} == {"held", "waiting"}
    assert (told.dropped, told.added, told.changed) == (2, 2, 3)

    assert not unusable(rebuild, T0, OLD)
    assert "too old" in unusable(rebuild, read_at + OLDEST_READING + timedelta(seconds=1), OLD)
    assert "too old" in unusable(rebuild, read_at - timedelta(seconds=9), OLD)
    assert "new run" in unusable(rebuild, T0, read_at)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (TO_ORDER[:2], None),
        (TO_ORDER[:4], ClaimKind.ASKING),
        ((*TO_ORDER[:4], facts.CreditDecided(decision=decision(False))), ClaimKind.HELD),
        (TO_ORDER[:5], ClaimKind.RESERVED),
        (TO_ORDER[:7], ClaimKind.RESERVED),
        (TO_ORDER[:8], ClaimKind.IN_FINANCE),
        ((*TO_ORDER[:8], facts.RunCancelled()), None),
    ],
)
def test_a_deal_claims_what_it_was_given(told: tuple[Fact, ...], kind: ClaimKind | None) -> None:
    found = claim_of(put(new_deal(), *told), deal_id="q2c/usmf/Q-1", order_key="Q2C-1")
    assert (found.kind if found else None) is kind


def test_reviews_are_summed_up_within_bounds_and_are_due_at_night_in_the_companys_own_time() -> None:
    view = CreditReviewView(company="usmf")
    seen = Compared(account="US-001", book=CreditBook(entries=(entry(),)), claims=(), counted=(), at=T0)
    for n in range(130):
        failed = "no customer" if n < 120 else ""
        view = view.with_ledger(ReviewedLedger(account=f"C-{n}", differences=differences(seen), failed=failed))
    assert (view.ledgers, len(view.differences), view.more, len(view.failed)) == (130, 100, 30, 100)
    assert "130 credit ledgers compared, 130 differences; 100 could not be" in view.words
    due = next_night(T0, "America/New_York")
    assert timedelta(0) < due - T0 <= timedelta(days=1) and due.hour in (6, 7)
    assert next_night(due, "America/New_York") - due == timedelta(days=1)
