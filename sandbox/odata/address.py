"""Resource paths: `quotes(1f…)`, `quotes(quotenumber='Q-1')/quote_details`, `accounts/$count`, `$1/lines`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from sandbox.odata.tokens import Literal, Token, tokens


class AddressError(ValueError):
    """A resource path that cannot be parsed. The text is for the error body."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path.

    Attributes:
        name: Entity set, navigation property, action or `$`-word.
        key: None where no brackets follow; a single unnamed key is stored under the empty name.
    """

    name: str
    key: Mapping[str, Literal] | None = None


@lru_cache(maxsize=4096)
def parse_path(path: str) -> tuple[Segment, ...]:
    """The segments of a path below the service root (percent-encoded or not, with or without leading slash).

    Raises:
        AddressError: Brackets or keys are malformed.
    """
    return tuple(_segment(piece) for piece in _pieces(unquote(path).strip("/")))


def _pieces(path: str) -> list[str]:
    pieces: list[str] = []
    quoted = False
    start = 0
    for at, char in enumerate(path):
        if char == "'":
            quoted = not quoted
        elif char == "/" and not quoted:
            pieces.append(path[start:at])
            start = at + 1
    pieces.append(path[start:])
    return [piece for piece in pieces if piece]


def _segment(piece: str) -> Segment:
    match = re.fullmatch(r"([^(]+)(?:\((.*)\))?", piece, re.DOTALL)
    if match is None:
        raise AddressError(f"Bad Request - Error in query syntax: '{piece}'.")
    if match[2] is None:
        return Segment(match[1])
    return Segment(match[1], parse_key(match[2]))


def parse_key(text: str) -> dict[str, Literal]:
    """The parts of a key: `1f…` -> {"": guid}, `a='x',b=2` -> {"a": …, "b": …}, empty text -> {}.

    Raises:
        AddressError: The text is not a key.
    """
    try:
        words = tokens(text)
    except ValueError as problem:
        raise AddressError(f"Bad Request - Error in query syntax: '({text})'.") from problem
    if len(words) == 1 and words[0].literal is not None:
        return {"": words[0].literal}
    key: dict[str, Literal] = {}
    at = 0
    while at < len(words):
        group = words[at : at + 3]
        if len(group) < 3 or group[0].kind != "name" or group[1].text != "=":
            raise AddressError(f"Bad Request - Error in query syntax: '({text})'.")
        key[group[0].text], at = _argument(text, words, at + 2)
        if at < len(words):
            if words[at].text != "," or at + 1 == len(words):
                raise AddressError(f"Bad Request - Error in query syntax: '({text})'.")
            at += 1
    return key


def _argument(text: str, words: list[Token], at: int) -> tuple[Literal, int]:
    """A constant, an alias (`@p1`) or a list (`['a','b']`, kept as text), and where it ends."""
    first = words[at]
    if first.literal is not None:
        return first.literal, at + 1
    if first.kind == "name" and first.text.startswith("@"):
        return Literal("alias", first.text[1:]), at + 1
    if first.text == "[":
        for end in range(at, len(words)):
            if words[end].text == "]":
                return Literal("list", "".join(token.text for token in words[at : end + 1])), end + 1
    raise AddressError(f"Bad Request - Error in query syntax: '({text})'.")
