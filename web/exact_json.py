"""JSON from outside: exact numbers within bounds, and nothing that could not be written down again."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

LARGEST_EXPONENT: Final = 40
"""Orders of magnitude a number may have; Dataverse and Finance hold fewer."""


def loads(body: bytes) -> Any:
    """The content of a body; fractions are ``Decimal``.

    Raises:
        ValueError: it is not JSON, or a number, a text or its depth is beyond what can be handled.
    """
    try:
        content = json.loads(body, parse_float=_number, parse_int=_number, parse_constant=_no_number)
        # A half of a surrogate pair cannot be written as UTF-8.
        json.dumps(content, ensure_ascii=False, default=str).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return content


def _number(text: str) -> Decimal | int:
    if len(text) > 2 * LARGEST_EXPONENT:
        raise ValueError(f"the number {text[:20]}… is too long")
    value = Decimal(text)
    if value and not -LARGEST_EXPONENT <= value.adjusted() <= LARGEST_EXPONENT:
        raise ValueError(f"the number {text} is too large or too small")
    return value if any(sign in text for sign in ".eE") else int(text)


def _no_number(text: str) -> Decimal:
    raise ValueError(f"{text} is no number")
