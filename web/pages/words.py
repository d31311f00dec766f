"""How values read on a page, in the reader's language: amounts, percentages, moments and codes in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from babel.dates import format_datetime, format_timedelta
from markupsafe import Markup

from domain.approvals import ApprovalStatus, LineFinding
from domain.causes import Cause, failure_of
from domain.money import format_amount, plain
from domain.phrases import Arg, Phrase, marked
from domain.refusals import Refusal, sentence_of
from domain.views import ParkedStep, WaitingFor
from web.languages import ENGLISH, current, gettext, is_translated, ngettext
from web.problems import Problem

_WAITING = {
    WaitingFor.NOTHING: marked("In progress"),
    WaitingFor.APPROVAL: marked("Approval"),
    WaitingFor.REP: marked("Sales rep"),
    WaitingFor.CUSTOMER: marked("Customer"),
    WaitingFor.CREDIT: marked("Credit release"),
    WaitingFor.SHIPMENT: marked("Shipment"),
    WaitingFor.INVOICE: marked("Invoice"),
    WaitingFor.PAYMENT: marked("Payment"),
    WaitingFor.UNAPPLIED: marked("Unapplied credit"),
    WaitingFor.DEPOSIT: marked("Deposit"),
    WaitingFor.FINANCE: marked("Dynamics 365 Finance"),
    WaitingFor.SALES: marked("Dynamics 365 Sales"),
    WaitingFor.OPERATOR: marked("Operations"),
    WaitingFor.CUSTOMER_SETUP: marked("Customer set-up"),
}
_GOOD = frozenset(
    {"approved", "completed", "passed", "released", "closed", "paid", "accepted", "invoiced", "shipped"}
) | {
    "done",
    "moved_on",
    "ready",
}
_BAD = frozenset(
    {"rejected", "held", "failed", "expired", "aborted", "lost", "cancelled", "terminated", "operator"}
) | {"compensating", "critical", "refused", "parked_again"}
_WARN = frozenset({"pending", "approval", "credit", "finance", "sales", "unknown", "withdrawn", "superseded"}) | {
    "cancelling",
    "high",
    "paused",
    "left_out",
    "lapsed",
}


def with_marks(figure: str) -> str:
    """A number written in English, ``19,500.00``, with the reader's marks: ``19.500,00`` in German and Spanish."""
    language = current()
    return figure.translate({ord(","): language.group_mark, ord("."): language.decimal_mark})


def money(value: Decimal | None, currency: str = "") -> str:
    """``19,500.00 USD``; a dash for none."""
    return "–" if value is None else f"{amount(value, currency)} {currency}".rstrip()


def amount(value: Decimal | None, currency: str = "") -> str:
    """``19,500.00``: an amount where its currency stands elsewhere on the page; a dash for none."""
    return "–" if value is None else with_marks(format_amount(value, currency))


def unit_price(line: LineFinding) -> Decimal:
    """What one unit is sold for, all discounts off: that is what stands against list, floor and cost."""
    return line.net / line.quantity if line.quantity else line.price


def percent(value: Decimal | None) -> str:
    """``23.08 %``: at most two decimals, none that say nothing."""
    if value is None:
        return "–"
    return f"{with_marks(plain(value.quantize(Decimal('0.01'), ROUND_HALF_UP)))} %"


def quantity(value: Decimal) -> str:
    """A quantity without needless decimals, ``1,000`` or ``2.5``."""
    whole, point, rest = plain(value).partition(".")
    return with_marks(f"{int(whole):,}{point}{rest}")


def figure(value: float) -> str:
    """A figure that is no amount, ``97.4``."""
    return with_marks(f"{value:,.1f}")


def size(count: int) -> str:
    """A number of bytes, ``512 bytes``, ``14 kB`` or ``2.3 MB``."""
    if count < 1000:
        return gettext("%(count)s bytes") % {"count": count}
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return with_marks(f"{count / 1_000_000:,.1f} MB")


def moment(value: datetime | None) -> Markup:
    """A moment in UTC; a browser with JavaScript shows it in the reader's own time."""
    if value is None:
        return Markup("–")
    utc = value.astimezone(UTC)
    text = f"{_day(utc)}, {utc:%H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), text)


def day(value: datetime | date | None) -> Markup:
    """A calendar date as the other system holds it (UTC); no browser shifts it into another zone."""
    if value is None:
        return Markup("–")
    on = value.astimezone(UTC).date() if isinstance(value, datetime) else value
    return Markup('<time datetime="{}">{}</time>').format(on.isoformat(), _day(on))


def _day(value: date) -> str:
    language = current()
    return format_datetime(datetime(value.year, value.month, value.day), language.day, locale=language.locale)


def distance(value: datetime | None, now: datetime) -> str:
    """How far off a moment is: ``in 3 hours``, ``overdue by 2 days``."""
    if value is None:
        return gettext("no deadline")
    if value >= now:
        return _relative(value - now)
    return gettext("overdue by %(duration)s") % {"duration": format_timedelta(now - value, locale=current().locale)}


def ago(value: datetime | None, now: datetime) -> str:
    """How long ago a moment was: ``4 minutes ago``."""
    if value is None:
        return ""
    return gettext("just now") if now - value < timedelta(minutes=1) else _relative(value - now)


def lasting(value: datetime, now: datetime) -> str:
    """How long something has lasted: ``4 minutes``, ``2 days``."""
    return stretch(now - value)


def stretch(value: timedelta) -> str:
    """A stretch of time: ``less than a minute``, ``4 minutes``, ``2 days``."""
    if value < timedelta(minutes=1):
        return gettext("less than a minute")
    return format_timedelta(value, granularity="minute", locale=current().locale)


def _relative(length: timedelta) -> str:
    return format_timedelta(length, granularity="minute", add_direction=True, locale=current().locale)


def words(code: str) -> str:
    """A code in words: ``partially_invoiced`` → ``Partially invoiced``; text that is no code stays as it is."""
    if not code or " " in code:
        return code
    text = (code.lower() if code.isupper() else code).replace("_", " ")
    return gettext(text[:1].upper() + text[1:])


_BY_LETTERS = {"cfo", "ar"}
"""Parts of a role's name that people say by letters."""


def role(code: str) -> str:
    """An app role as people say it: ``sales_manager.usmf`` → ``Sales manager (USMF)``."""
    name, _, company = code.partition(".")
    said = gettext(role_words(name))
    return f"{said} ({company.upper()})" if company else said


def role_words(name: str) -> str:
    """The name of a role in English words: ``ar_manager`` → ``AR manager``."""
    said = " ".join(part.upper() if part in _BY_LETTERS else part for part in name.split("_"))
    return said[:1].upper() + said[1:]


def cause(code: str) -> str:
    """Why a step is parked, in a few words."""
    known = Cause.of(code)
    return words(code) if known is Cause.UNEXPECTED and code not in ("", known) else gettext(known.words)


def parked(step: ParkedStep) -> str:
    """What was attempted and why it does not go on, in one sentence."""
    return say(failure_of(step.step, Cause.of(step.cause), step.message))


def status_words(code: str) -> str:
    """A status in words; a request for approval that is completed is approved."""
    return gettext("Approved") if code == ApprovalStatus.COMPLETED else words(code)


def sentence(text: str) -> str:
    """A text with a capital first letter; one that is markup already begins as it is."""
    return text if isinstance(text, Markup) else text[:1].upper() + text[1:]


def inside(text: str) -> str:
    """Words that begin with a capital letter, within a sentence: German nouns keep it."""
    if current() is ENGLISH:
        return text.lower()
    return text if current().code == "de" else text[:1].lower() + text[1:]


def known(text: str) -> str:
    """A text of a fixed set in the reader's language; one that is in no catalogue stays, marked as English."""
    if not text or is_translated(text):
        return gettext(text)
    return english(text)


def english(text: str) -> str:
    """A text that is recorded in English, marked so on a page in another language."""
    return text if current() is ENGLISH else Markup('<span lang="en">{}</span>').format(text)


def told(said: Phrase | None, text: str) -> str:
    """A sentence of the rules in the reader's language; where only its English is recorded, that."""
    if current() is ENGLISH:
        return sentence(text)
    return english(sentence(text)) if said is None else sentence(say(said))


def say(said: Phrase) -> str:
    """A phrase in the reader's language."""
    words_ = ngettext(said.words, said.many, said.count) if said.many else gettext(said.words)
    return words_.format_map({name: _said(arg) for name, arg in said.args.items()})


def _said(arg: Arg) -> str:
    match arg.kind:
        case "money":
            return money(Decimal(arg.value), arg.currency)
        case "day":
            return _day(date.fromisoformat(arg.value))
        case "moment":
            at = datetime.fromisoformat(arg.value)
            return f"{_day(at)}, {at:%H:%M} UTC"
        case "role":
            return role(arg.value)
        case "known":
            return gettext(arg.value)
        case "phrases":
            return arg.between.join(say(part) for part in arg.parts)
        case "text" | "clock":
            return str(arg)
        case "amount" | "number" | "percent":
            return with_marks(str(arg))


def refusal(code: str) -> str:
    """What a refusal's code means and what to do, in the reader's language."""
    return gettext(sentence_of(code))


def refused(problem: Problem) -> str:
    """What went wrong and what to do: in the reader's language, then what is only known in English."""
    sentence_, detail = sentence_of(problem.code), problem.detail
    if problem.said is not None:
        return told(problem.said, detail)
    if current() is ENGLISH or is_translated(detail):
        return gettext(detail)
    if Refusal.of(problem.code) is None or detail == sentence_:
        return english(detail)
    return Markup('{} <span lang="en">{}</span>').format(gettext(sentence_), detail.removeprefix(sentence_).strip())


def months() -> str:
    """The short names of the months, for a browser that shows moments in its own zone."""
    names = current().locale.months["format"]["abbreviated"]
    return "|".join(names[number] for number in range(1, 13))


def exception(text: str) -> str:
    """An open exception, ``CODE: what was found``: what its code means, then what was found, as it was recorded."""
    code, colon, found = text.partition(": ")
    if current() is ENGLISH or not colon or (meant := Refusal.of(code)) is None:
        return english(text)
    return Markup('{}: {} <span lang="en">{}</span>').format(code, gettext(meant.sentence), found)


def changed(before: str, after: str) -> str:
    """What differs between two states of a deal, ``order confirmed → partially shipped``; empty where nothing does.

    A state reads ``stage: quote …, credit …, order …`` in the audit record.
    """
    then, now = _parts(before), _parts(after)
    return ", ".join(
        f"{inside(words(name))} {inside(words(then[name]))} → {inside(words(value))}"
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
        return gettext(_WAITING[WaitingFor(code)])
    except ValueError:
        return words(code) or "–"


def tone(code: str) -> str:
    """The colour a status is shown in: good, bad, warn or plain."""
    for name, codes in (("good", _GOOD), ("bad", _BAD), ("warn", _WARN)):
        if code in codes:
            return name
    return "plain"
