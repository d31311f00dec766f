"""The words of `$filter` expressions and of keys in addresses, and the error both are refused with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})
    | (?P<datetime>\d{4}-\d{2}-\d{2}T[0-9:.]+(?:Z|[+-]\d{2}:\d{2})?)
    | (?P<date>\d{4}-\d{2}-\d{2})
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[mMdDlLfF]?(?![\w.])
    | (?P<enum>[A-Za-z_][\w.]*\.[A-Za-z_]\w*)'(?P<member>(?:[^']|'')*)'
    | (?P<string>'(?:[^']|'')*')
    | (?P<name>[A-Za-z_@][\w.]*)
    | (?P<mark>[(),/:=\[\]])
    | (?P<dquoted>"(?:[^"\\]|\\.)*")
    )""",
    re.VERBOSE,
)


class FilterError(ValueError):
    """The filter cannot be parsed, or names something the entity does not have. The text is for the error body."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant in a filter. `kind` is string, number, guid, date, datetime, bool, null or enum.

    `value` is the text without quotes (Decimal or int for a number, bool for bool, None for null); `type_name` is the
    enum's qualified type, e.g. ``Microsoft.Dynamics.DataEntities.NoYes``.
    """

    kind: str
    value: Any
    type_name: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a filter or an address. `kind` is literal, name or mark; `literal` is its constant."""

    kind: str
    text: str
    literal: Literal | None = None


def tokens(text: str) -> list[Token]:
    """The words of a filter or an address, in order.

    Raises:
        FilterError: There is a character that starts no word.
    """
    found: list[Token] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise FilterError(f"Syntax error at position {at} in '{text}'.")
        found.append(_token(match))
        at = match.end()
    return found


def _token(match: re.Match[str]) -> Token:
    kind = match.lastgroup or ""
    if kind == "member":
        type_name = match["enum"]
        return Token("literal", type_name, Literal("enum", match["member"].replace("''", "'"), type_name))
    text = match[kind]
    if kind == "string":
        return Token("literal", text, Literal("string", text[1:-1].replace("''", "'")))
    if kind == "dquoted":
        return Token("literal", text, Literal("string", text[1:-1].replace('\\"', '"').replace("\\\\", "\\")))
    if kind == "number":
        is_integer = text.lstrip("-").isdigit()
        return Token("literal", text, Literal("number", int(text) if is_integer else Decimal(text)))
    if kind in ("guid", "datetime", "date"):
        return Token("literal", text, Literal(kind, text))
    if kind == "name" and text in ("true", "false"):
        return Token("literal", text, Literal("bool", text == "true"))
    if kind == "name" and text == "null":
        return Token("literal", text, Literal("null", None))
    return Token(kind, text)
