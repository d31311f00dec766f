"""A quote of Sales as the rules know it, and the snapshots this process has seen.

Lines never travel through a workflow: it carries the snapshot's hash, and the activity that needs the lines reads them
again, or takes them from here. What is kept is addressed by its own hash, so it can be missing but never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from cachetools import LRUCache

from activities.failures import refused
from activities.signatures import FailureType, QuoteRef
from domain.assessment import Attachment, RivalQuote
from domain.calendar import local_date
from domain.money import is_money, round_money
from domain.people import Person
from domain.policy import Policy
from domain.quote import DeliveryAddress, QuoteLine, QuoteSnapshot, numbered
from domain.validation import normalise
from dynamics.core.errors import NotFound
from dynamics.sales import records as sales
from dynamics.sales.client import Dataverse
from dynamics.sales.makers import read_makers
from dynamics.sales.options import PAYMENT_TERMS_LABELS, QUOTE_STATE_NAMES, ApprovalChoice, QuoteState

LINES_KEPT = 100_000
"""Lines of all snapshots kept together; the least recently used go first."""

QUOTES_KEPT = 10_000
"""Quotes of which is remembered what cannot change: the order each became, and the numbers of its lines."""

LONGEST_JUSTIFICATION = 2_000
"""Characters of a quote's description (Microsoft Learn: quote.description)."""

_FREE_GOODS = re.compile(r"^\s*free goods\s*:\s*(?P<reason>\S.*)$", re.IGNORECASE | re.MULTILINE)


class SalesQuotes:
    """Reads quotes and remembers their snapshots by content."""

    def __init__(self, dataverse: Dataverse, policy: Policy) -> None:
        """Read through ``dataverse``, name things by the entity map of ``policy``."""
        self._dataverse = dataverse
        self._policy = policy
        # A quote of more lines than are kept is not kept, and read again each time.
        self._kept: LRUCache[str, QuoteSnapshot] = LRUCache(LINES_KEPT, getsizeof=lambda quote: 1 + len(quote.lines))
        self._numbers: LRUCache[str, dict[int, UUID]] = LRUCache(LINES_KEPT, getsizeof=lambda ids: 1 + len(ids))
        self._orders: LRUCache[str, UUID] = LRUCache(QUOTES_KEPT)

    async def read(self, quote_id: str) -> tuple[QuoteSnapshot, sales.Quote]:
        """A quote as it is now: its snapshot, and the row it was made of.

        Raises:
            DynamicsError: it cannot be read.
        """
        try:
            quote = await self._dataverse.read_quote(UUID(quote_id))
        except NotFound:
            self.forget(quote_id)
            raise
        snapshot = snapshot_of(quote, self._policy)
        if len(snapshot.lines) < LINES_KEPT:
            self._kept[snapshot.content_hash()] = snapshot
        if quote.state is not QuoteState.DRAFT and len(snapshot.lines) < LINES_KEPT:
            self._numbers[quote_id] = {line.line_no: UUID(line.line_id) for line in snapshot.lines}
        if quote.orders:
            self._orders[quote_id] = quote.orders[0].id
        return snapshot, quote

    async def rivals(self, snapshot: QuoteSnapshot) -> tuple[RivalQuote, ...]:
        """The other quotes of a quote's opportunity in its company, the newest first, at most twenty.

        Raises:
            DynamicsError: Sales does not answer.
        """
        if not snapshot.opportunity_id:
            return ()
        found = await self._dataverse.quotes_of(UUID(snapshot.opportunity_id))
        return tuple(
            _rival(row)
            for row in found
            if row.number != snapshot.quote_number and company_of(row, self._policy) == snapshot.company
        )

    async def attachments(self, snapshot: QuoteSnapshot) -> tuple[Attachment, ...]:
        """The newest files on a revision of a quote, at most twenty.

        Raises:
            DynamicsError: Sales does not answer, or does not show them.
        """
        return tuple(
            Attachment(
                name=file.name or "unnamed",
                size=file.size,
                subject=file.subject,
                added_by=file.added_by.name if file.added_by else "",
                added_on=file.added_on,
            )
            for file in await self._dataverse.files_of(UUID(snapshot.quote_id))
        )

    async def find(self, quote_number: str) -> str | None:
        """The id of the latest revision of a quote; None: there is none of this number.

        Raises:
            DynamicsError: Sales does not answer.
        """
        found = await self._dataverse.find_quote(quote_number)
        return str(found) if found else None

    async def with_makers(self, snapshot: QuoteSnapshot, submitted_by: str) -> QuoteSnapshot:
        """A snapshot with everyone who made the quote, over all its revisions.

        Args:
            snapshot: of the revision that approval is asked for.
            submitted_by: Dataverse's id of the user who asked; empty where Sales did not say.

        Raises:
            DynamicsError: Sales does not answer.
        """
        by = _uuid(submitted_by)
        found = await read_makers(self._dataverse, snapshot.quote_number, submitted_by=by)
        people = {user_id: person for user_id, user in found.users.items() if (person := _person(user))}
        submitter = people.get(by) if by else None
        return snapshot.model_copy(
            update={
                "submitted_by": _other(submitter, snapshot.owner) if submitter else snapshot.submitted_by,
                "makers": _others(snapshot.owner, (*snapshot.makers, *people.values())),
                "makers_known": found.known,
            }
        )

    async def line_ids(self, quote_id: str) -> dict[int, UUID]:
        """The lines of an accepted revision, which cannot change, by the deal's numbers: remembered, or read."""
        known = self._numbers.get(quote_id)
        if known is None:
            lines = await self._dataverse.line_identities(UUID(quote_id))
            numbers = numbered([line.identity for line in lines])
            known = {numbers[str(line.id)]: line.id for line in lines}
            if len(known) < LINES_KEPT:
                self._numbers[quote_id] = known
        return known

    def order_of(self, quote_id: str) -> UUID | None:
        """The salesorder a quote became, if this process has seen it; a quote becomes only one."""
        return self._orders.get(quote_id)

    def forget(self, quote_id: str) -> None:
        """What was remembered of a quote turned out to be gone."""
        self._orders.pop(quote_id, None)
        self._numbers.pop(quote_id, None)

    async def approved(self, ref: QuoteRef, approved_hash: str) -> QuoteSnapshot:
        """The approved content: from memory by its hash, or read again and compared with the hash.

        Raises:
            DynamicsError: it cannot be read.
            ApplicationError: it is not there any more.
        """
        snapshot = self.kept(approved_hash)
        if snapshot is None:
            snapshot, _ = await self.read(ref.quote_id)
            if snapshot.content_hash() != approved_hash:
                raise refused(
                    FailureType.CONTENT_CHANGED,
                    f"quote {ref.quote_number} revision {ref.revision} is not the content that was approved",
                )
        return snapshot

    def kept(self, content_hash: str) -> QuoteSnapshot | None:
        """A snapshot with exactly this content, if this process has seen it."""
        return self._kept.get(content_hash)


def accepted_at(quote: sales.Quote) -> datetime | None:
    """When a quote was won, UTC; None where Sales does not say."""
    return quote.closed_on or (quote.orders[0].created_on if quote.orders else None)


def company_of(quote: sales.Quote | sales.QuoteOfOpportunity, policy: Policy) -> str | None:
    """The legal entity of a quote, by its owning business unit; None where the entity map has none for it."""
    return policy.entity_map.company_of(quote.business_unit.name) if quote.business_unit else None


def snapshot_of(quote: sales.Quote, policy: Policy) -> QuoteSnapshot:
    """A quote in the words of the rules. Texts in NFC; money in the quote's currency, as Sales computed it."""
    currency = quote.currency.iso if quote.currency else ""
    price_list = quote.price_list.currency.iso if quote.price_list and quote.price_list.currency else currency
    owner = _person(quote.owner) or Person(oid="")
    submitter, creator = _person(quote.modified_by), _person(quote.created_by)
    terms_code = quote.payment_terms_code
    terms = policy.entity_map.payment_terms.get(terms_code, "") if terms_code is not None else ""
    numbers = numbered([line.identity for line in quote.lines])
    return QuoteSnapshot(
        company=company_of(quote, policy) or "",
        quote_id=str(quote.id),
        quote_number=quote.number,
        revision=quote.revision,
        name=normalise(quote.name),
        customer_id=str(quote.customer.id) if quote.customer else "",
        customer_account=(quote.customer.number.strip() or None) if quote.customer else None,
        customer_name=normalise(quote.customer.name) if quote.customer else "",
        currency=currency,
        price_list_currency=price_list,
        payment_terms=terms,
        cash_discount=policy.entity_map.cash_discounts.get(terms_code, "") if terms_code is not None else "",
        delivery=_delivery(quote, policy),
        requested_delivery=_local_day(quote.requested_delivery, quote, policy),
        customer_reference=normalise(quote.customer_reference).strip(),
        unmapped_payment_terms="" if terms or terms_code is None else _terms_label(terms_code),
        expires_on=quote.expires_on,
        effective_to=_local_day(quote.effective_to, quote, policy),
        header_discount_pct=quote.header_discount_pct,
        header_discount=quote.header_discount,
        freight=quote.freight,
        lines=tuple(_line(line, numbers[str(line.id)]) for line in quote.lines),
        net=_trimmed(quote.net + quote.freight, currency),
        tax=_trimmed(quote.tax, currency),
        total=_trimmed(quote.total, currency),
        owner=owner,
        submitted_by=_other(submitter, owner),
        makers=_others(owner, (submitter, creator)),
        opportunity_id=str(quote.opportunity.id) if quote.opportunity else None,
        sales_order_id=str(quote.order.id) if quote.order else None,
        state=QUOTE_STATE_NAMES[quote.state],
        approval_status=(quote.approval or ApprovalChoice.NONE).name.lower(),
        etag=quote.etag,
        justification=normalise(quote.description).strip()[:LONGEST_JUSTIFICATION],
    )


def _rival(row: sales.QuoteOfOpportunity) -> RivalQuote:
    return RivalQuote(
        quote_number=row.number,
        revision=row.revision,
        name=normalise(row.name),
        state=QUOTE_STATE_NAMES[row.state],
        net=row.net + row.freight,
        currency=row.currency.iso if row.currency else "",
    )


def _local_day(at: datetime | None, quote: sales.Quote, policy: Policy) -> date | None:
    """The day a rep entered, in the calendar of the quote's company; Dataverse keeps a moment."""
    if at is None:
        return None
    hours = policy.calendars.companies.get(company_of(quote, policy) or "")
    return local_date(at, hours.timezone if hours else "UTC")


def _delivery(quote: sales.Quote, policy: Policy) -> DeliveryAddress | None:
    """The ship-to address of a quote; None where none was entered.

    Finance has no column for the person who takes the goods: contact and phone are the address's last line, so that
    they stand on the packing slip. Without an address they have no place there.
    """
    lines = [quote.ship_to_line1, quote.ship_to_line2, quote.ship_to_line3]
    place = [quote.ship_to_name, *lines, quote.ship_to_city, quote.ship_to_postal_code, quote.ship_to_state]
    if not any(text.strip() for text in (*place, quote.ship_to_country)):
        return None
    person = ", ".join(text.strip() for text in (quote.ship_to_contact, quote.ship_to_phone) if text.strip())
    written = quote.ship_to_country.strip()
    country = policy.entity_map.country_of(written) if written else ""
    return DeliveryAddress(
        name=normalise(quote.ship_to_name).strip(),
        street="\n".join(
            normalise(text).strip() for text in (*lines, f"Attn: {person}" if person else "") if text.strip()
        ),
        city=normalise(quote.ship_to_city).strip(),
        postal_code=quote.ship_to_postal_code.strip(),
        state=quote.ship_to_state.strip(),
        country=country or "",
        unmapped_country=written if country is None else "",
    )


def _terms_label(code: int) -> str:
    """What the form shows for payment terms; the number of a choice the tenant added itself."""
    return PAYMENT_TERMS_LABELS.get(code, f"choice {code}")


def _trimmed(amount: Decimal, currency: str) -> Decimal:
    """A total without the zeros beyond the currency's decimals that Sales stores; any other digit stays."""
    return round_money(amount, currency) if currency and is_money(amount, currency) else amount


def _line(line: sales.QuoteLine, number: int) -> QuoteLine:
    discount = line.manual_discount + line.volume_discount * line.quantity
    item = line.product.number if line.product and not line.write_in else None
    free = _FREE_GOODS.search(line.description)
    return QuoteLine(
        line_no=number,
        line_id=str(line.id),
        item=item,
        description=normalise(line.description or line.write_in_text),
        product_name=normalise(line.product.name) if line.product and not line.write_in else "",
        unit=line.unit.name if line.unit else "",
        unit_decimals=(line.product.decimals or 0) if line.product else 0,
        quantity=line.quantity,
        price=line.price,
        discount=discount,
        net=line.extended - line.tax,
        tax=line.tax,
        free_goods_reason=free["reason"].strip() if free else "",
    )


def _other(person: Person | None, owner: Person) -> Person | None:
    return None if person is None or person.is_same(owner) else person


def _others(owner: Person, people: Iterable[Person | None]) -> tuple[Person, ...]:
    """Who of these is not the owner, each once."""
    found = {person.oid.lower(): person for person in people if person is not None and not person.is_same(owner)}
    return tuple(found.values())


def _uuid(text: str) -> UUID | None:
    """An id as an event brought it; None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _person(user: sales.User | None) -> Person | None:
    """A user who is a person of the directory; None for one without an Entra id."""
    if user is None or user.entra_id is None:
        return None
    return Person(oid=str(user.entra_id), name=normalise(user.name), upn=user.upn or user.email)


_TERMS_COMPARED = (
    "company",
    "revision",
    "customer_account",
    "currency",
    "payment_terms",
    "cash_discount",
    "delivery",
    "requested_delivery",
    "customer_reference",
    "expires_on",
    "header_discount_pct",
    "header_discount",
    "freight",
    "net",
    "tax",
    "total",
)
_COLUMNS_COMPARED = ("item", "description", "unit", "quantity", "price", "discount", "net")
MAX_DIFFERENCES = 20


def differences(approved: QuoteSnapshot, now: QuoteSnapshot) -> tuple[str, ...]:
    """What differs between the approved content and the quote as it is, in words, at most twenty of them."""
    found: list[str] = []
    for name in _TERMS_COMPARED:
        before, after = getattr(approved, name), getattr(now, name)
        if before != after:
            found.append(f"{name.replace('_', ' ')} {_shown(before)} → {_shown(after)}")
    lines_before = {line.line_no: line for line in approved.lines}
    lines_now = {line.line_no: line for line in now.lines}
    for number in sorted(lines_before.keys() | lines_now.keys()):
        old, new = lines_before.get(number), lines_now.get(number)
        if old is None or new is None:
            found.append(f"line {number} {'added' if old is None else 'removed'}")
            continue
        for name in _COLUMNS_COMPARED:
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                found.append(f"line {number} {name} {_shown(before)} → {_shown(after)}")
    return tuple(found[:MAX_DIFFERENCES])


def _shown(value: object) -> str:
    if isinstance(value, Decimal):  # Dataverse keeps ten decimals of an amount
        whole, point, decimals = format(value, "f").partition(".")
        return f"{whole}{point}{decimals.rstrip('0').ljust(min(len(decimals), 2), '0')}"
    return "none" if value in (None, "") else str(value)
