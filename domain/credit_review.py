"""A credit ledger compared with what the deals claim and Finance counts, and its book made anew from these two.

What differs is told and never mended by itself: a person rebuilds the book, signed. A comparison looks at several
systems one after another, so what changed within the last minutes differs for a moment and counts for nothing. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from pydantic import AwareDatetime, Field

from domain.credit import MOST_DEALS, CreditBook, CreditEntry, EntryStatus
from domain.credit_claims import ClaimKind, CreditClaim
from domain.credit_parts import run_of
from domain.credit_rule import CLOCK_SKEW
from domain.money import plain
from domain.record import Record
from domain.refusals import Refusal

SETTLES: Final = timedelta(minutes=5)
"""How long an entry or a claim may differ before it counts: the systems are read one after another."""
OLDEST_READING: Final = timedelta(minutes=2)
"""How old what a book is made anew from may be."""
MOST_DIFFERENCES: Final = 20
"""Differences of one ledger that are told; of more, their number is."""


class Difference(Record):
    """One thing in which a ledger, the deals and Finance do not agree."""

    code: str = Field(description="docs/api.md, refusals")
    account: str
    deal_id: str
    order_number: str
    text: str

    @property
    def reference(self) -> str:
        """What it is of: the same every night."""
        return f"{self.account} {self.deal_id}"[:300]


class LedgerState(Record):
    """A ledger as it stands."""

    book: CreditBook = CreditBook()
    groups: tuple[str, ...] = Field((), description="Credit groups of the customer, the one it is in first")


class Compared(Record):
    """A ledger with the other two sides of it, all read within seconds."""

    account: str
    book: CreditBook
    claims: tuple[CreditClaim, ...] = Field(
        description="Of running deals with entries in the book or with this account"
    )
    counted: tuple[str, ...] = Field(description="Orders among Finance's open orders, by our key or their number")
    group: str = Field("", description="The credit group that Finance has the customer in")
    told_group: str = Field("", description="The one the ledger was told")
    group_book: CreditBook | None = Field(None, description="Of the group's ledger; None: the customer is in none")
    at: AwareDatetime = Field(description="UTC")


def differences(seen: Compared) -> tuple[Difference, ...]:
    """In what a ledger, the deals and Finance do not agree, each with its code."""
    claims = {claim.deal_id: claim for claim in seen.claims}
    old = [entry for entry in seen.book.entries if not _is_young(entry, seen.at)]
    found = [difference for entry in old if (difference := _of_entry(entry, claims, seen)) is not None]
    found += _twice(old, seen)
    reserved = {entry.deal_id for entry in seen.book.entries if entry.status is EntryStatus.RESERVED}
    known = {entry.deal_id for entry in seen.book.entries}
    for claim in seen.claims:
        if claim.account != seen.account or claim.order_number in seen.counted:
            continue
        text = ""
        if claim.kind is ClaimKind.RESERVED and claim.deal_id not in reserved:
            text = f"the deal has credit of {plain(claim.amount)}, and the ledger holds none for it"
        elif claim.kind is ClaimKind.HELD and claim.deal_id not in known:
            text = "the deal waits for credit, and the ledger will not wake it"
        if text:
            found.append(_difference(Refusal.CREDIT_NOT_RESERVED, claim.deal_id, claim.order_number, text, seen))
    return (*found, *_of_group(old, claims, seen))


def _is_young(entry: CreditEntry, at: datetime) -> bool:
    return entry.asked_at is not None and at - entry.asked_at < SETTLES


def _of_entry(entry: CreditEntry, claims: Mapping[str, CreditClaim], seen: Compared) -> Difference | None:
    claim = claims.get(run_of(entry.deal_id))
    if entry.visible_at is not None or entry.order_number in seen.counted:
        return None  # the book counts nothing of it any more
    amount = plain(entry.amount)
    if claim is None or claim.account != seen.account:
        text = f"the ledger holds {amount} for a deal that has ended or claims none"
        return _difference(Refusal.CREDIT_OF_NO_DEAL, entry.deal_id, entry.order_number, text, seen)
    if run_of(entry.deal_id) != entry.deal_id or entry.status is not EntryStatus.RESERVED:
        return None
    if claim.kind is ClaimKind.IN_FINANCE:
        text = f"the ledger holds {amount} for an order that Finance counts"
        return _difference(Refusal.CREDIT_COUNTED_TWICE, entry.deal_id, entry.order_number, text, seen)
    if claim.kind is ClaimKind.RESERVED and claim.amount != entry.amount:
        text = f"the ledger holds {amount}, the deal has credit of {plain(claim.amount)}"
        return _difference(Refusal.CREDIT_AMOUNT_DIFFERS, entry.deal_id, entry.order_number, text, seen)
    return None


def _twice(entries: Collection[CreditEntry], seen: Compared) -> list[Difference]:
    """Orders that two deals hold credit for."""
    standing = [e for e in entries if e.status is EntryStatus.RESERVED and e.visible_at is None]
    times = Counter(entry.order_number for entry in standing if run_of(entry.deal_id) == entry.deal_id)
    return [
        _difference(
            Refusal.CREDIT_COUNTED_TWICE,
            entry.deal_id,
            entry.order_number,
            f"the ledger holds credit for order {entry.order_number} {times[entry.order_number]} times",
            seen,
        )
        for entry in standing
        if times[entry.order_number] > 1
    ]


def _of_group(
    old: Collection[CreditEntry], claims: Mapping[str, CreditClaim], seen: Compared
) -> tuple[Difference, ...]:
    """In what the ledger of the customer's credit group does not agree with the customer's own."""
    if seen.group != seen.told_group and old:
        told = seen.told_group or "none"
        text = f"Finance has the customer in credit group {seen.group or 'none'}, the ledger was told {told}"
        return (_difference(Refusal.CREDIT_GROUP_DIFFERS, "", "", text, seen),)
    if seen.group_book is None:
        return ()
    in_group = {e.deal_id for e in seen.group_book.entries}
    own = {e.deal_id for e in seen.book.entries}
    missing = [
        _difference(
            Refusal.CREDIT_GROUP_DIFFERS,
            entry.deal_id,
            entry.order_number,
            f"the ledger of credit group {seen.group} holds nothing of {plain(entry.amount)}",
            seen,
        )
        for entry in old
        if entry.status is EntryStatus.RESERVED and entry.visible_at is None and entry.deal_id not in in_group
        if entry.order_number not in seen.counted
    ]
    mine = [e for e in seen.group_book.entries if (c := claims.get(run_of(e.deal_id))) and c.account == seen.account]
    missing += [
        _difference(
            Refusal.CREDIT_GROUP_DIFFERS,
            entry.deal_id,
            entry.order_number,
            f"the ledger of credit group {seen.group} holds {plain(entry.amount)}, the customer's own nothing",
            seen,
        )
        for entry in mine
        if entry.status is EntryStatus.RESERVED and entry.visible_at is None and entry.deal_id not in own
        if not _is_young(entry, seen.at) and entry.order_number not in seen.counted
    ]
    return tuple(missing)


def _difference(code: Refusal, deal_id: str, order_number: str, text: str, seen: Compared) -> Difference:
    return Difference(code=code, account=seen.account, deal_id=deal_id, order_number=order_number, text=text)


# --- the book made anew ----------------------------------------------------------------------------------------------


class RebuildBook(Record):
    """What a ledger's book is made anew from."""

    account: str = Field(min_length=1, max_length=100, description="Whose deals: a group's ledger has others besides")
    claims: tuple[CreditClaim, ...] = Field(max_length=MOST_DEALS)
    read_at: AwareDatetime = Field(description="UTC, before the first deal was asked")


class RebuiltBook(Record):
    """What became of it."""

    refused: str = Field("", description="Why nothing changed, in words; empty: the book is new")
    dropped: int = 0
    added: int = 0
    changed: int = 0


def unusable(rebuild: RebuildBook, now: datetime, since: datetime) -> str:
    """Why a book cannot be made anew from what was read; empty: it can.

    Args:
        rebuild: what was read.
        now: UTC.
        since: since when the ledger knows who gave credit back; UTC.
    """
    if now - rebuild.read_at > OLDEST_READING or rebuild.read_at > now + CLOCK_SKEW:
        return "what was read of the deals is too old: read them again"
    if rebuild.read_at < since + CLOCK_SKEW:
        return "the ledger has just begun a new run: read the deals again"
    return ""


def rebuilt(
    book: CreditBook, rebuild: RebuildBook, gone: Collection[str], now: datetime
) -> tuple[CreditBook, RebuiltBook]:
    """A book made anew from what the deals claim, in one step: at no moment is less counted than deals really hold.

    What a deal asked, and what it gave back, after the reading began is newer than its claim and stays.

    Args:
        book: as it stands.
        rebuild: what the deals claim. A deal of another account, and one that asked since, is left alone.
        gone: deals that gave credit back since the reading began.
        now: UTC.
    """
    claims = {claim.deal_id: claim for claim in rebuild.claims if claim.account == rebuild.account}
    others = {claim.deal_id for claim in rebuild.claims} - claims.keys()
    told = RebuiltBook()
    entries: list[CreditEntry] = []
    for entry in book.entries:
        run = run_of(entry.deal_id)
        newer = entry.asked_at is not None and entry.asked_at + CLOCK_SKEW >= rebuild.read_at
        if newer or run in others:
            entries.append(entry)
            continue
        after = _made_anew(entry, claims.get(run), rebuild.read_at)
        if after is None:
            told = told.model_copy(update={"dropped": told.dropped + 1})
            continue
        told = told.model_copy(update={"changed": told.changed + (after != entry)})
        entries.append(after)
    have = {entry.deal_id for entry in book.entries}
    added = [_added(claim, now) for claim in claims.values() if claim.deal_id not in have and claim.deal_id not in gone]
    kept = [entry for entry in added if entry is not None]
    return CreditBook(entries=(*entries, *kept)), told.model_copy(update={"added": len(kept)})


def _made_anew(entry: CreditEntry, claim: CreditClaim | None, read_at: datetime) -> CreditEntry | None:
    """An entry as its deal's claim says; None where no deal holds it."""
    if entry.visible_at is not None:
        return entry  # Finance counts it, and it leaves by itself
    if claim is None:
        return None
    if run_of(entry.deal_id) != entry.deal_id or claim.kind is ClaimKind.ASKING:
        return entry
    match claim.kind:
        case ClaimKind.IN_FINANCE:
            return entry.model_copy(update={"visible_at": max(read_at, entry.asked_at or read_at)})
        case ClaimKind.HELD:
            return entry.model_copy(update={"status": EntryStatus.HELD})
        case _:
            update = {"status": EntryStatus.RESERVED, "amount": claim.amount, "over_by": Decimal(0)}
            return entry.model_copy(update=update)


def _added(claim: CreditClaim, now: datetime) -> CreditEntry | None:
    status = {ClaimKind.RESERVED: EntryStatus.RESERVED, ClaimKind.HELD: EntryStatus.HELD}.get(claim.kind)
    if status is None:
        return None
    return CreditEntry(
        deal_id=claim.deal_id, order_number=claim.order_number, amount=claim.amount, status=status, asked_at=now
    )
