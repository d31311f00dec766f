"""The forms in which values are compared, as SQL: what a map calls `normal`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.entities.model import Normal

NORMAL: Final[Mapping[Normal | None, str]] = {
    None: "{0}",
    "trim": "trim({0})",
    "upper": "upper(trim({0}))",
    "lower": "lower(trim({0}))",
    "email": "lower(trim({0}))",
    "iso_country": "upper(trim({0}))",
    "e164": r"regexp_replace(regexp_replace(trim({0}), '^\+', '00'), '[^0-9]', '', 'g')",
    "url": r"rtrim(regexp_replace(lower(trim({0})), '^[a-z]+://(www\.)?', ''), '/')",
    "vat": "regexp_replace(upper({0}), '[^A-Z0-9]', '', 'g')",
    # Finance has no empty day: it says 1900 (Microsoft Learn: "Date and time" of finance and operations).
    "day": "replace(left({0}, 10), '1900-01-01', '')",
}
"""A form by its name, `{0}` for the value; an empty text and none are the same, Finance has no null."""


def normal(column: str, form: Normal | None) -> str:
    """SQL that gives a column in the form in which values are compared.

    Args:
        column: an SQL expression.
        form: `normal` of the field's map.
    """
    return NORMAL[form].format(column)
