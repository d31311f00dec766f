"""How values read on a page: amounts, percentages, moments and codes in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from babel.dates import format_timedelta
from markupsafe import Markup

from domain.approvals import ApprovalStatus, LineFinding
from domain.causes import Cause, what_failed
from domain.money import format_amount, format_money, plain
from domain.views import ParkedStep, WaitingFor

LOCALE = "en"
_WAITING = {
    WaitingFor.NOTHING: "In progress",
    WaitingFor.APPROVAL: "Approval",
    WaitingFor.REP: "Sales rep",
    WaitingFor.CUSTOMER: "Customer",
    WaitingFor.CREDIT: "Credit release",
    WaitingFor.SHIPMENT: "Shipment",
    WaitingFor.INVOICE: "Invoice",
    WaitingFor.PAYMENT: "Payment",
    WaitingFor.UNAPPLIED: "Unapplied credit",
    WaitingFor.DEPOSIT: "Deposit",
    WaitingFor.FINANCE: "Dynamics 365 Finance",
    WaitingFor.SALES: "Dynamics 365 Sales",
    WaitingFor.OPERATOR: "Operations",
    WaitingFor.CUSTOMER_SETUP: "Customer set-up",
}
_GOOD = frozenset({"approved", "completed", "passed", "released", "closed", "paid", "accepted", "invoiced", "shipped"})
_BAD = frozenset(
    {"rejected", "held", "failed", "expired", "aborted", "lost", "cancelled", "terminated", "operator"}
) | {"compensating"}
_WARN = frozenset({"pending", "approval", "credit", "finance", "sales", "unknown", "withdrawn", "superseded"}) | {
    "cancelling"
}


def money(amount: Decimal | None, currency: str = "") -> str:
    """``19,500.00 USD``; a dash for none."""
    return "–" if amount is None else format_money(amount, currency)


def amount(value: Decimal | None, currency: str = "") -> str:
    """``19,500.00``: an amount where its currency stands elsewhere on the page; a dash for none."""
    return "–" if value is None else format_amount(value, currency)


def unit_price(line: LineFinding) -> Decimal:
    """What one unit is sold for, all discounts off: that is what stands against list, floor and cost."""
    return line.net / line.quantity if line.quantity else line.price


def percent(value: Decimal | None) -> str:
    """``23.08 %``: at most two decimals, none that say nothing."""
    if value is None:
        return "–"
    return f"{plain(value.quantize(Decimal('0.01'), ROUND_HALF_UP))} %"


def quantity(value: Decimal) -> str:
    """A quantity without needless decimals, ``1,000`` or ``2.5``."""
    whole, point, rest = plain(value).partition(".")
    return f"{int(whole):,}{point}{rest}"


def size(count: int) -> str:
    """A number of bytes, ``512 bytes``, ``14 kB`` or ``2.3 MB``."""
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:,.1f} MB"


def moment(value: datetime | None) -> Markup:
    """A moment in UTC; a browser with JavaScript shows it in the reader's own time."""
    if value is None:
        return Markup("–")
    utc = value.astimezone(UTC)
    text = f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), text)


def day(value: datetime | None) -> Markup:
    """A calendar date as the other system holds it (UTC); no browser shifts it into another zone."""
    if value is None:
        return Markup("–")
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.date().isoformat(), f"{utc.day} {utc:%b %Y}")


def distance(value: datetime | None, now: datetime) -> str:
    """How far off a moment is: ``in 3 hours``, ``overdue by 2 days``."""
    if value is None:
        return "no deadline"
    if value >= now:
        return _relative(value - now)
    return f"overdue by {format_timedelta(now - value, locale=LOCALE)}"


def ago(value: datetime | None, now: datetime) -> str:
    """How long ago a moment was: ``4 minutes ago``."""
    if value is None:
        return ""
    return "just now" if now - value < timedelta(minutes=1) else _relative(value - now)


def lasting(value: datetime, now: datetime) -> str:
    """How long something has lasted: ``4 minutes``, ``2 days``."""
    return stretch(now - value)


def stretch(value: timedelta) -> str:
    """A stretch of time: ``less than a minute``, ``4 minutes``, ``2 days``."""
    if value < timedelta(minutes=1):
        return "less than a minute"
    return format_timedelta(value, granularity="minute", locale=LOCALE)


def _relative(length: timedelta) -> str:
    return format_timedelta(length, granularity="minute", add_direction=True, locale=LOCALE)


def words(code: str) -> str:
    """A code in words: ``partially_invoiced`` → ``Partially invoiced``; text that is no code stays as it is."""
    if not code or " " in code:
        return code
    text = (code.lower() if code.isupper() else code).replace("_", " ")
    return text[:1].upper() + text[1:]


_BY_LETTERS = {"cfo", "ar"}
"""Parts of a role's name that people say by letters."""


def role(code: str) -> str:
    """An app role as people say it: ``sales_manager.usmf`` → ``Sales manager (USMF)``."""
    name, _, company = code.partition(".")
    said = " ".join(part.upper() if part in _BY_LETTERS else part for part in name.split("_"))
    said = said[:1].upper() + said[1:]
    return f"{said} ({company.upper()})" if company else said


def cause(code: str) -> str:
    """Why a step is parked, in a few words."""
    known = Cause.of(code)
    return words(code) if known is Cause.UNEXPECTED and code not in ("", known) else known.words


def parked(step: ParkedStep) -> str:
    """What was attempted and why it does not go on, in one sentence."""
    return what_failed(step.step, Cause.of(step.cause), step.message)


def status_words(code: str) -> str:
    """A status in words; a request for approval that is completed is approved."""
    return "Approved" if code == ApprovalStatus.COMPLETED else words(code)


def sentence(text: str) -> str:
    """A text with a capital first letter."""
    return text[:1].upper() + text[1:]


def changed(before: str, after: str) -> str:
    """What differs between two states of a deal, ``order confirmed → partially shipped``; empty where nothing does.

    A state reads ``stage: quote …, credit …, order …`` in the audit record.
    """
    then, now = _parts(before), _parts(after)
    return ", ".join(
        f"{name} {words(then[name]).lower()} → {words(value).lower()}"
        for name, value in now.items()
        if then.get(name) and then[name] != value
    )


def _parts(state: str) -> dict[str, str]:
    stage, _, rest = state.partition(": ")
    pairs = (part.partition(" ") for part in rest.split(", ") if " " in part)
    return {"stage": stage} | {name: value for name, _, value in pairs}


def waiting(code: str) -> str:
    """What a deal waits for, in words."""
    try:
        return _WAITING[WaitingFor(code)]
    except ValueError:
        return words(code) or "–"


def tone(code: str) -> str:
    """The colour a status is shown in: good, bad, warn or plain."""
    for name, codes in (("good", _GOOD), ("bad", _BAD), ("warn", _WARN)):
        if code in codes:
            return name
    return "plain"
