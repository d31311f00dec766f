"""How an account goes from one state to the next: what a deal tells, what Finance shows, which levels are reached.

Pure. A level rises by one at most on a day, on working days of the company only, and never while its invoice is
disputed, promised or at rest (lifecycle I27), nor while payments that are not settled yet cover what is overdue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from domain.approvals import BusinessHours
from domain.calendar import NoWorkingTime, add_working_time, local_date
from domain.collection_words import DISPUTE
from domain.collections import (
    LONGEST_NUMBER,
    MOST_LETTERS,
    MOST_LINES,
    Account,
    InvoicesShown,
    Letter,
    LetterLine,
    OpenItem,
    OpenItems,
    PausedBy,
    WatchedInvoice,
    counts_as_paid,
    total_of,
)
from domain.dunning import DunningLevel, DunningPlan
from domain.money import format_money
from domain.notices import LONGEST_TEXT, REP, Kind, Notice
from domain.people import SYSTEM, Person
from domain.phrases import marked

DAILY: Final = timedelta(days=1)
"""How often Finance is read while orders are held and a further level is to come: payment lets them through."""
WEEKLY: Final = timedelta(days=7)
"""How often otherwise, once a level was reached: payments are told by events, and before each level it is read."""
_NONE: Final = Decimal(0)
_WHY: Final = {
    PausedBy.DISPUTE: marked("in dispute"),
    PausedBy.PROMISE: marked("payment promised"),
    PausedBy.REST: marked("at rest"),
}


class Raised(NamedTuple):
    """An invoice that reached a level."""

    invoice: WatchedInvoice
    level: DunningLevel


class Looked(NamedTuple):
    """An account after a look at Finance."""

    after: Account
    raised: tuple[Raised, ...] = ()
    letters: tuple[Letter, ...] = ()


# What a deal tells


def told(account: Account, news: InvoicesShown, plan: DunningPlan, now: datetime) -> Account:
    """An account with the invoices of a deal; what is older than what is known changes nothing.

    Args:
        account: as it stands.
        news: what the deal read in Finance.
        plan: the rules.
        now: UTC.
    """
    if news.customer_name and not account.customer.name:
        named = account.customer.model_copy(update={"name": news.customer_name})
        account = account.model_copy(update={"customer": named})
    for shown in news.invoices:
        known = account.invoice(shown.number)
        if known is None:
            new = WatchedInvoice(
                number=shown.number,
                order_number=news.order_number,
                quote_number=news.quote_number,
                owner=_owner(news),
                due_on=shown.due_on,
                currency=shown.currency,
                total=shown.total,
                open_amount=shown.open_amount,
                as_of=news.as_of,
            )
            account = account.model_copy(update={"invoices": (*account.invoices, new)})
            known = new
        elif news.as_of < known.as_of:
            continue
        of_deal = known.model_copy(
            update={
                "order_number": news.order_number or known.order_number,
                "quote_number": news.quote_number or known.quote_number,
                "owner": _owner(news) or known.owner,
            }
        )
        account = _seen(account, of_deal, shown.open_amount, shown.due_on, news.as_of, plan, now)
    return account.model_copy(update={"left_out": account.left_out + news.more}).bounded()


def _owner(news: InvoicesShown) -> Person | None:
    """Who owns the quote, in no more room than a person takes."""
    owner = news.owner
    if owner is None or len(owner.oid) > LONGEST_NUMBER:
        return None
    return Person(oid=owner.oid, name=owner.name[:200], upn=owner.upn[:200])


def _seen(
    account: Account,
    invoice: WatchedInvoice,
    open_amount: Decimal,
    due_on: date,
    as_of: datetime,
    plan: DunningPlan,
    now: datetime,
) -> Account:
    """An account with what is open on one of its invoices. Payment stops all; what comes back begins where it was."""
    paid = counts_as_paid(open_amount, invoice.currency, plan)
    new = invoice.model_copy(update={"open_amount": open_amount, "due_on": due_on, "as_of": as_of})
    if paid and invoice.is_open:
        new = new.unpaused().model_copy(update={"settled_at": now})
        if invoice.level or invoice.paused(date.min):
            account = account.with_entry(now, SYSTEM, "paid", "Nothing is open any more", invoice=invoice.number)
    elif not paid and not invoice.is_open:
        today = local_date(now, plan.calendar.timezone)
        new = new.model_copy(update={"settled_at": None, "restarted_on": today})
        text = f"{format_money(open_amount, invoice.currency)} is open again: a payment came back"
        account = account.with_entry(now, SYSTEM, "reopened", text, invoice=invoice.number)
    if account.invoice(new.number) is None:
        return account.model_copy(update={"invoices": (*account.invoices, new)})
    return account.with_invoice(new)


# What Finance shows


def looked(account: Account, found: OpenItems, now: datetime) -> Looked:
    """An account after Finance was read: what is paid, what came back, which levels are reached, what is written.

    Args:
        account: as it stands.
        found: all that is open of it in Finance, with the rules that count.
        now: UTC.
    """
    plan = found.plan
    today = local_date(now, plan.calendar.timezone)
    account = _merged(account, found, today, now)
    account = _over(account, today, now)
    if not may_step(now, plan.calendar):
        return Looked(account)
    raised: list[Raised] = []
    letters: list[Letter] = []
    if not account.resting(today):
        for currency in sorted({invoice.currency for invoice in account.invoices}):
            account, more, letter = _step(account, currency, plan, today, now)
            raised += more
            letters += [letter] if letter else []
    return Looked(account.model_copy(update={"looked_on": today}), tuple(raised), tuple(letters))


def _merged(account: Account, found: OpenItems, today: date, now: datetime) -> Account:
    """With Finance's open amounts. What is overdue and was told by no deal is the customer's as well."""
    plan = found.plan
    items = _by_invoice(found.items)
    for invoice in account.invoices:
        item = items.pop(invoice.number.casefold(), None)
        amount = item.open_amount if item else _NONE
        due_on = item.due_on if item and item.due_on else invoice.due_on
        account = _seen(account, invoice, amount, due_on, found.as_of, plan, now)
    for item in items.values():
        if item.due_on is None or item.due_on >= today or counts_as_paid(item.open_amount, item.currency, plan):
            continue
        new = WatchedInvoice(
            number=item.invoice,
            due_on=item.due_on,
            currency=item.currency,
            total=item.total,
            open_amount=item.open_amount,
            as_of=found.as_of,
        )
        account = account.model_copy(update={"invoices": (*account.invoices, new)})
    unapplied: dict[str, Decimal] = {}
    for item in found.items:
        if item.open_amount < 0:
            unapplied[item.currency] = unapplied.get(item.currency, _NONE) - item.open_amount
    update = {"customer": found.customer, "unapplied": dict(sorted(unapplied.items())), "read_at": found.as_of}
    return account.model_copy(update=update).bounded()


def _by_invoice(items: Sequence[OpenItem]) -> dict[str, OpenItem]:
    """What is open by invoice number: an invoice with instalments is open once for each, and due with the first."""
    found: dict[str, OpenItem] = {}
    for item in items:
        if not item.invoice or item.open_amount < 0:
            continue
        known = found.get(item.invoice.casefold())
        if known is not None:
            days = [day for day in (known.due_on, item.due_on) if day is not None]
            item = known.model_copy(
                update={"open_amount": known.open_amount + item.open_amount, "due_on": min(days, default=None)}
            )
        found[item.invoice.casefold()] = item
    return found


def _over(account: Account, today: date, now: datetime) -> Account:
    """Without pauses whose last day is over."""
    for invoice in account.invoices:
        if invoice.promise is not None and invoice.promise.until < today:
            text = f"Nothing came by {invoice.promise.until}" if invoice.is_open else "The promise is over"
            account = account.with_entry(now, SYSTEM, "promise_broken", text, invoice=invoice.number)
            account = account.with_invoice(invoice.model_copy(update={"promise": None}))
    for invoice in account.invoices:
        if invoice.rest is not None and invoice.rest.until < today:
            account = account.with_entry(now, SYSTEM, "rest_over", "Its rest is over", invoice=invoice.number)
            account = account.with_invoice(invoice.model_copy(update={"rest": None}))
    if account.rest is not None and account.rest.until < today:
        account = account.with_entry(now, SYSTEM, "rest_over", "The rest of the account is over")
        account = account.model_copy(update={"rest": None})
    return account


def _step(
    account: Account, currency: str, plan: DunningPlan, today: date, now: datetime
) -> tuple[Account, list[Raised], Letter | None]:
    """The levels reached today by what is overdue in one currency, and the letter that says so."""
    overdue = [i for i in account.invoices if i.currency == currency and i.is_overdue(today)]
    demanded = [invoice for invoice in overdue if invoice.paused(today) is None]
    unapplied = min(account.unapplied.get(currency, _NONE), total_of(demanded))
    owed = total_of(demanded) - unapplied
    if counts_as_paid(owed, currency, plan) or owed < plan.rules.min_amount.get(currency, _NONE):
        return account, [], None
    raised: list[Raised] = []
    for invoice in demanded:
        following = invoice.next_level(plan.levels)
        if following is None or following[1] > today:
            continue
        level = following[0]
        new = invoice.model_copy(update={"level": invoice.level + 1, "reached_on": today, "restarted_on": None})
        text = f"Level {level.id}: {format_money(invoice.open_amount, currency)}, due {invoice.due_on}"
        account = account.with_invoice(new).with_entry(now, SYSTEM, "level_reached", text, invoice=invoice.number)
        raised.append(Raised(new, level))
    if not raised:
        return account, [], None
    letter = _letter(account, currency, plan, today, max((r.level for r in raised), key=lambda level: level.days))
    account = account.model_copy(
        update={"letters": (*account.letters, letter)[-MOST_LETTERS:], "letters_written": letter.n}
    )
    return account, raised, letter


def _letter(account: Account, currency: str, plan: DunningPlan, today: date, level: DunningLevel) -> Letter:
    overdue = [i for i in account.invoices if i.currency == currency and i.is_overdue(today)]
    overdue.sort(key=lambda invoice: (invoice.due_on, invoice.number))
    demanded = [invoice for invoice in overdue if invoice.paused(today) is None]
    paused = [invoice for invoice in overdue if invoice.paused(today) is not None]
    listed = demanded[:MOST_LINES]
    return Letter(
        n=account.letters_written + 1,
        on=today,
        company=account.company,
        account=account.account,
        customer_name=account.customer.name,
        address=account.customer.lines,
        sender=plan.rules.sender,
        language=account.customer.language,
        kind=level.letter,
        level=level.id,
        currency=currency,
        lines=tuple(_line(i, plan, today) for i in (*listed, *paused[: MOST_LINES - len(listed)])),
        more=len(demanded) - len(listed),
        demanded=total_of(demanded),
        fee=level.fee_in(currency),
        unapplied=min(account.unapplied.get(currency, _NONE), total_of(demanded)),
        blocks_orders=level.blocks_orders,
        policy=plan.named,
    )


def _line(invoice: WatchedInvoice, plan: DunningPlan, today: date) -> LetterLine:
    paused = invoice.paused(today)
    return LetterLine(
        invoice=invoice.number,
        order_number=invoice.order_number,
        due_on=invoice.due_on,
        days_overdue=invoice.days_overdue(today),
        total=invoice.total,
        open_amount=invoice.open_amount,
        level=plan.levels[min(invoice.level, len(plan.levels)) - 1].id if invoice.level else "",
        left_out=_WHY[paused] if paused else "",
    )


# When to look


def opening(day: date, calendar: BusinessHours) -> datetime:
    """When the company opens on a day, or on the next day on which it does; UTC."""
    midnight = datetime.combine(day, time(0), ZoneInfo(calendar.timezone)).astimezone(UTC)
    try:
        return add_working_time(midnight, timedelta(0), calendar)
    except NoWorkingTime:  # a calendar that is closed forever keeps nobody from looking
        return midnight


def may_step(now: datetime, calendar: BusinessHours) -> bool:
    """Whether a level may be reached at a moment: on a working day, once the company has opened."""
    today = local_date(now, calendar.timezone)
    opens = opening(today, calendar)
    return local_date(opens, calendar.timezone) == today and opens <= now


def next_look(account: Account, plan: DunningPlan, now: datetime) -> datetime | None:
    """When Finance has to be read next, UTC; None: not before something is heard. Later than a look of this moment."""
    today = local_date(now, plan.calendar.timezone)
    days = list(_days(account, plan, today))
    if not days:
        return None
    first = min(days)
    if first <= today and (account.looked_on is not None and account.looked_on >= today):
        first = today + DAILY
    return opening(max(first, today), plan.calendar)


def _days(account: Account, plan: DunningPlan, today: date) -> Iterator[date]:
    """The days on which something may be due."""
    since = account.looked_on or today
    if account.rest is not None:
        yield account.rest.until + DAILY
    for invoice in account.invoices:
        if not invoice.is_open:
            continue
        for ends in (invoice.promise.until if invoice.promise else None, invoice.rest.until if invoice.rest else None):
            if ends is not None:
                yield ends + DAILY
        paused = invoice.paused(today) is not None or account.resting(today)
        following = invoice.next_level(plan.levels)
        if following is not None and not paused:
            yield following[1]
        if invoice.level:
            often = following is not None and not paused and invoice.blocks(plan.levels)
            yield since + (DAILY if often else WEEKLY)


# What others are told


def held_reason(account: Account, plan: DunningPlan) -> str:
    """Why orders of the customer are held, in words for a rep; empty: they are not."""
    blocking = account.blocking(plan.levels)
    if not blocking:
        return ""
    oldest = min(blocking, key=lambda invoice: (invoice.due_on, invoice.number))
    more = f" and {len(blocking) - 1} more" if len(blocking) > 1 else ""
    return f"collections hold the customer's orders: invoice {oldest.number}, due {oldest.due_on},{more} is not paid"


def notices_of(account: Account, raised: Sequence[Raised], now: datetime) -> Iterator[Notice]:
    """What the owners of the quotes are told of levels that were reached: each of all their invoices of a quote."""
    told: dict[tuple[str, str], tuple[Person, list[Raised]]] = {}
    for one in raised:
        owner = one.invoice.owner
        if owner is not None and one.invoice.quote_number:
            told.setdefault((one.invoice.quote_number, owner.oid), (owner, []))[1].append(one)
    for (quote_number, _oid), (owner, some) in told.items():
        texts = [
            f"Invoice {one.invoice.number}, due {one.invoice.due_on}: level {one.level.id}, "
            f"{format_money(one.invoice.open_amount, one.invoice.currency)} open."
            + (" New orders of the customer are held." if one.level.blocks_orders else "")
            for one in some
        ]
        yield Notice(
            kind=Kind.INVOICE_OVERDUE,
            to=(owner,),
            role=REP,
            company=account.company,
            quote_number=quote_number,
            customer=f"{account.account} {account.customer.name}".strip()[:200],
            text="\n".join(texts)[:LONGEST_TEXT],
            at=now,
        )


_ENTRIES_TELL: Final = frozenset({"promise_broken", DISPUTE})
"""Events of an account that somebody has to do something about."""


def waits_of(before: Account, after: Account, now: datetime) -> Iterator[Notice]:
    """What whoever collects is told when an account goes from one state to the next: letters to be sent, disputes to
    be settled, promises that were not kept.
    """
    entries = [e for e in after.history if e.n > before.happened and e.event in _ENTRIES_TELL]
    letters = [letter for letter in after.letters if letter.n > before.letters_written]
    texts = [
        *(f"Letter {letter.n} ({letter.level}) is written: read it, then send it." for letter in letters),
        *(f"{entry.text}{f': {entry.reason}' if entry.reason else ''}" for entry in entries),
    ]
    if texts:
        yield Notice(
            kind=Kind.ACCOUNT_WAITS,
            but=entries[-1].by if entries and not letters and entries[-1].by != SYSTEM else None,
            company=after.company,
            quote_number="",
            account=after.account,
            customer=f"{after.account} {after.customer.name}".strip()[:200],
            text="\n".join(texts)[:LONGEST_TEXT],
            at=now,
        )
