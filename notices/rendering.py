"""What a message looks like: a subject of one line, plain text, and HTML in which everything is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from domain.notices import Kind, Notice
from domain.notices_box import Message

LONGEST_SUBJECT: Final = 150
_FOLDER: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Pages:
    """Where what a message is about is seen: addresses of the web application."""

    home: str
    deal: Callable[[str, str], str]
    """By company and quote number."""
    request: Callable[[str, str, int], str]
    """By company, quote number and number of the request for approval."""
    account: Callable[[str, str], str]
    """By company and account in Finance: what is collected from it."""
    late: Callable[[str], str]
    """By company: what stands open without a running deal."""
    parallel: Callable[[str], str]
    """By company: both systems beside each other, day by day."""


@dataclass(frozen=True)
class Rendered:
    """A message, ready to be sent."""

    subject: str
    plain: str
    html: str


class Templates:
    """The templates of messages."""

    def __init__(self, pages: Pages) -> None:
        """Lead to ``pages``."""
        self._pages = pages
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["line"] = one_line

    def render(self, message: Message) -> Rendered:
        """The message in the recipient's time zone."""
        zone = ZoneInfo(message.timezone)
        context = {
            "message": message,
            "home": self._pages.home,
            "rows": [self._row(notice, zone) for notice in message.notices],
            "digest": [
                {
                    "asked": asked,
                    "link": self._pages.request(asked.company, asked.quote_number, asked.n),
                    "due": _moment(asked.due, zone),
                }
                for asked in message.digest
            ],
        }
        return Rendered(
            subject=subject(message),
            plain=printable(self._templates.get_template("message.txt").render(context)),
            html=printable(self._templates.get_template("message.html").render(context)),
        )

    def _row(self, notice: Notice, zone: ZoneInfo) -> dict[str, Any]:
        pages = self._pages
        if notice.n:
            link = pages.request(notice.company, notice.quote_number, notice.n)
        elif notice.kind is Kind.PARALLEL_DIGEST:
            link = pages.parallel(notice.company)
        elif notice.kind is Kind.EXCEPTION_OPENED and not notice.quote_number:
            link = pages.late(notice.company)
        elif not notice.quote_number:
            link = pages.account(notice.company, notice.account)
        else:
            link = pages.deal(notice.company, notice.quote_number)
        more = "&" if "?" in link else "?"
        decide = {answer: f"{link}{more}decide={answer}" for answer in ("approve", "reject")}
        return {
            "notice": notice,
            "heading": notice.heading,
            "at": _moment(notice.at, zone),
            "due": _moment(notice.due, zone),
            "link": link,
            "decide": decide if notice.kind.asks_for_a_decision else {},
        }


def subject(message: Message) -> str:
    """What a message is about, in one line without any control character."""
    if message.digest:
        late = sum(asked.overdue for asked in message.digest)
        over = f", {late} overdue" if late else ""
        text = f"{len(message.digest)} waiting for your decision{over}"
    elif len(message.notices) == 1 and not message.left_out:
        (notice,) = message.notices
        text = f"{notice.heading}: {notice.quote_number} {notice.customer or notice.account}"
    else:
        quotes = ", ".join(dict.fromkeys(notice.about for notice in message.notices))
        text = f"{len(message.notices) + message.left_out} notices: {quotes}"
    line = one_line(text)
    return line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"


def one_line(text: str) -> str:
    """A text as one line."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """A text without control characters and without signs that change the direction of writing; lines stay."""
    kept = (sign for sign in text if sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return "".join(kept)


def _moment(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})" if at else ""
