"""Duplicate detection: off unless a request turns it on; then the rules Microsoft publishes for accounts and contacts.

(Microsoft Learn: "Detect duplicate data using the Web API", "Duplicate detection rules".)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("emailaddress1", "websiteurl"),
    "contact": ("emailaddress1",),
}
"""Table -> columns of which each alone makes two rows duplicates."""


def matches(name: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What to look for: each of the conditions is a duplicate."""
    return [{column: body[column]} for column in RULES.get(name, ()) if body.get(column)]
