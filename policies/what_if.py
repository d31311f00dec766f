"""What the rules ask of a quote of a file, in words (`q2c policy explain QUOTE.json`)."""

from __future__ import annotations

from decimal import Decimal

from domain.money import format_money, plain, told_apart
from domain.what_if import Explained
from policies.plain_text import one_line


def as_text(found: Explained) -> str:
    """What the rules say of a quote, in words."""
    figures = found.figures
    net = format_money(figures.net, found.currency)
    lines = [
        f"{found.quote or 'The quote'}: discount {_pct(figures.disc_pct)} %, margin {_pct(figures.margin_pct)} %, "
        f"net {net}, payment {figures.payment_days} days",
        f"As it is: {found.people}{_time(found.working_days)}.",
    ]
    for step in found.steps:
        comment = ", who must comment" if step.comment_required else ""
        then = f", or in turn {', '.join(step.then)}" if step.then else ""
        who = f"{step.asked}{then}{comment}" if step.asked else step.problem
        lines.append(f"  {step.chain} {step.level} ({step.role}): {who}")
        lines += [f"    {reason.rule}: {reason.sentence or reason.text}" for reason in step.reasons]
        if not step.reasons:
            lines.append("    because a higher level of the chain is asked")
    largest = found.largest_discount_for_nobody
    if largest is None:
        lines.append("There is no discount that would need nobody.")
    else:
        lines.append(f"At {plain(largest)} % on every line and no other discount: nobody.")
    for offer in found.cheaper:
        if offer.steps:
            net = format_money(offer.net, found.currency)
            lines.append(f"At {plain(offer.discount_pct)} %, net {net}: {offer.people}{_time(offer.working_days)}.")
    return "\n".join(" " * (len(line) - len(line.lstrip())) + one_line(line) for line in lines)


def _time(days: Decimal) -> str:
    return f", about {plain(days)} working day{'s' if days > 1 else ''}" if days else ""


def _pct(number: Decimal) -> str:
    return told_apart(number, number)
