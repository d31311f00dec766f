"""Sentences whose numbers stay apart from their words, so that each reader gets them in their language.

The rules speak English. A sentence of theirs that people read elsewhere is kept as its words with places in braces and
what stands in each; ``str`` gives it in English, as it is recorded, and the web translates the words and writes the
numbers as its reader does (``web.languages``). Whatever is made by ``phrase`` is found by ``poe messages``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from domain.money import format_amount, format_money, plain
from domain.record import Record

Kind = Literal["text", "money", "amount", "number", "percent", "day", "moment", "clock", "role", "known", "phrases"]


class Arg(Record):
    """What stands in one place of a sentence, in a form that every language can write in its own way."""

    kind: Kind
    value: str = ""
    currency: str = Field("", description="Of money, and of an amount whose currency stands elsewhere")
    between: str = Field("", description="What stands between the parts")
    parts: tuple[Phrase, ...] = Field((), description="Sentences or parts of a list, where they stand in this place")

    def __str__(self) -> str:
        """In English."""
        match self.kind:
            case "money":
                return format_money(Decimal(self.value), self.currency)
            case "amount":
                return format_amount(Decimal(self.value), self.currency)
            case "number":
                return f"{Decimal(self.value):,f}"
            case "percent":
                return f"{self.value} %"
            case "moment":
                return f"{datetime.fromisoformat(self.value):%Y-%m-%d %H:%M} UTC"
            case "clock":
                return f"{datetime.fromisoformat(self.value):%H:%M} UTC"
            case "role":
                return self.value.replace("_", " ")
            case "phrases":
                return self.between.join(str(part) for part in self.parts)
            case "text" | "day" | "known":
                return self.value


class Phrase(Record):
    """A sentence: its English words, with a place in braces for each argument."""

    words: str
    many: str = Field("", description="Its words where `count` is not one; empty: there is nothing to count")
    args: dict[str, Arg] = Field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many it speaks of."""
        return int(self.args["count"].value) if self.many else 1

    def __str__(self) -> str:
        """In English."""
        words = self.many if self.many and self.count != 1 else self.words
        return words.format_map({name: str(arg) for name, arg in self.args.items()})


def marked(words: str) -> str:
    """Words of the source that are translated where they are shown: found by ``poe messages``, else unchanged."""
    return words


def phrase(words: str, /, **args: Arg | str | int) -> Phrase:
    """A sentence; a text stands as it is in every language, a whole number is written as the reader does."""
    return Phrase(words=words, args={name: _arg(value) for name, value in args.items()})


def counted(one: str, many: str, count: int, /, **args: Arg | str | int) -> Phrase:
    """A sentence about so many, ``{count}`` of them: in its words for one, and for any other number."""
    return Phrase(
        words=one, many=many, args={"count": _arg(count)} | {name: _arg(value) for name, value in args.items()}
    )


def _arg(value: Arg | str | int) -> Arg:
    if isinstance(value, Arg):
        return value
    return Arg(kind="number", value=str(value)) if isinstance(value, int) else Arg(kind="text", value=value)


def money(amount: Decimal, currency: str) -> Arg:
    """An amount with its currency."""
    return Arg(kind="money", value=f"{amount:f}", currency=currency)


def amount(value: Decimal, currency: str) -> Arg:
    """An amount whose currency stands elsewhere."""
    return Arg(kind="amount", value=f"{value:f}", currency=currency)


def number(value: Decimal) -> Arg:
    """A number in as few characters as it takes."""
    return Arg(kind="number", value=plain(value))


def percent(shown: str | Decimal) -> Arg:
    """A percentage with the decimals that are to be shown."""
    return Arg(kind="percent", value=shown if isinstance(shown, str) else plain(shown))


def day(value: date) -> Arg:
    """A calendar day."""
    return Arg(kind="day", value=value.isoformat())


def moment(value: datetime) -> Arg:
    """A moment, UTC."""
    return Arg(kind="moment", value=value.astimezone(UTC).isoformat())


def clock(value: datetime) -> Arg:
    """The time of a moment of today, UTC."""
    return Arg(kind="clock", value=value.astimezone(UTC).isoformat())


def role(code: str) -> Arg:
    """A role as people say it."""
    return Arg(kind="role", value=code)


def known(text: str) -> Arg:
    """A text that is one of a fixed set, translated where it is in the catalogues."""
    return Arg(kind="known", value=text)


def listed(parts: tuple[Phrase, ...], between: str = "; ") -> Arg:
    """Several sentences, or parts of a list, one after the other."""
    return Arg(kind="phrases", parts=parts, between=between)


Arg.model_rebuild()
