"""Which quotes two versions of the rules decide otherwise: a what-if over quotes of the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.discount import asked_levels
from domain.money import format_money
from domain.policy import Policy
from domain.record import Record
from domain.what_if import Step, in_words, require_company, steps
from policies.plain_text import one_line
from policies.quote_files import AskedQuote


class Change(StrEnum):
    """How the second version decides otherwise."""

    NOBODY_NOW = "nobody now"
    SOMEBODY_NOW = "somebody now"
    FEWER = "fewer levels"
    MORE = "more levels"
    OTHERS = "others"
    """Other levels or people, or a comment that was not needed, or is no longer."""


class Changed(Record):
    """A quote that is decided otherwise. Money in its currency."""

    quote: str
    company: str
    customer: str
    currency: str
    net: Decimal
    disc_pct: Decimal
    margin_pct: Decimal
    change: Change
    before: str = Field(description="Whom the first version asks, in words")
    after: str = Field(description="Whom the second version asks, in words")


class Total(Record):
    """Quotes of one kind of change and one currency."""

    change: Change
    currency: str
    quotes: int
    net: Decimal = Field(description="Sum of their net amounts")


class Comparison(Record):
    """What two versions of the rules say of the same quotes."""

    version_before: str
    version_after: str
    quotes: int
    same: int
    otherwise: int
    totals: tuple[Total, ...] = Field(description="By kind of change, then by currency")
    changed: tuple[Changed, ...] = Field(description="In the order of the file")


def compare(quotes: Sequence[AskedQuote], before: Policy, after: Policy) -> Comparison:
    """Which of some quotes two versions of the rules decide otherwise.

    Raises:
        ValueError: a version does not know the company of a quote; the text names the quote and the field.
    """
    for quote in quotes:
        for rules in (before, after):
            try:
                require_company(quote.company, rules)
            except ValueError as error:
                raise ValueError(f"quote {quote.quote}: {error} (version {rules.version})") from error
    changed = [found for quote in quotes if (found := _changed(quote, before, after)) is not None]
    counts = Counter((each.change, each.currency) for each in changed)
    kinds = list(Change)
    return Comparison(
        version_before=before.version,
        version_after=after.version,
        quotes=len(quotes),
        same=len(quotes) - len(changed),
        otherwise=len(changed),
        totals=tuple(
            Total(
                change=change,
                currency=currency,
                quotes=count,
                net=sum((c.net for c in changed if (c.change, c.currency) == (change, currency)), Decimal(0)),
            )
            for (change, currency), count in sorted(counts.items(), key=lambda t: (kinds.index(t[0][0]), t[0][1]))
        ),
        changed=tuple(changed),
    )


def _changed(quote: AskedQuote, before: Policy, after: Policy) -> Changed | None:
    priced = quote.proposal(after).priced()
    was, now = (steps(quote.proposal(rules), asked_levels(priced, rules), rules) for rules in (before, after))
    change = _change(was, now)
    if change is None:
        return None
    return Changed(
        quote=quote.quote,
        company=quote.company,
        customer=quote.customer,
        currency=quote.currency,
        net=priced.net,
        disc_pct=priced.disc_pct,
        margin_pct=priced.margin_pct,
        change=change,
        before=in_words(was),
        after=in_words(now),
    )


def _change(was: tuple[Step, ...], now: tuple[Step, ...]) -> Change | None:
    if [_decided(step) for step in was] == [_decided(step) for step in now]:
        return None
    if not now:
        return Change.NOBODY_NOW
    if not was:
        return Change.SOMEBODY_NOW
    levels_was, levels_now = ({(step.chain, step.level) for step in each} for each in (was, now))
    if levels_now < levels_was:
        return Change.FEWER
    return Change.MORE if levels_now > levels_was else Change.OTHERS


def _decided(step: Step) -> tuple[str, int, str, bool, str]:
    return step.chain, step.level, step.role, step.comment_required, step.asked


def as_data(found: Comparison, limit: int) -> dict[str, object]:
    """A comparison as JSON types, with at most so many quotes; 0: all."""
    data = found.model_dump(mode="json")
    data["changed"] = data["changed"][: limit or None]
    return data


def as_text(found: Comparison, limit: int) -> str:
    """A comparison in words and a table, with at most so many quotes; 0: all."""
    quotes = f"{found.quotes} quote{'' if found.quotes == 1 else 's'}"
    lines = [
        f"{found.version_before} → {found.version_after}",
        f"{quotes}: {found.same} decided as before, {found.otherwise} otherwise",
    ]
    lines += _table(
        [(total.change.value, str(total.quotes), format_money(total.net, total.currency)) for total in found.totals],
        ("change", "quotes", "net"),
    )
    shown = found.changed[: limit or None]
    rows = [
        (each.quote, each.customer, format_money(each.net, each.currency), f"{each.disc_pct:.2f} %", each.before,
         each.after)
        for each in shown
    ]  # fmt: skip
    lines += _table(rows, ("quote", "customer", "net", "discount", "before", "after"))
    if len(shown) < found.otherwise:
        lines.append(f"… and {found.otherwise - len(shown)} more; --limit 0 shows all")
    return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> list[str]:
    """Columns as wide as they need to be; numbers to the right."""
    if not rows:
        return []
    right = {"quotes", "net", "discount"}
    rows = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    return [
        "",
        *(
            "  ".join(
                cell.rjust(width) if head in right else cell.ljust(width)
                for cell, width, head in zip(row, widths, heads, strict=True)
            ).rstrip()
            for row in (heads, *rows)
        ),
    ]
