"""When two maps are the same map: a hash of what they do, whatever the order or the words they are written in.

The order of fields, keys and values, comments, and a default that is written out make no other map; neither do the
version, titles, reasons and notes, which explain and move nothing. Everything else does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from domain.entities.model import DataMap
from domain.money import plain

EXPLAINS: Final = frozenset({"title", "version", "reason", "note", "unconfirmed", "guard"})
"""Texts for people; that there is a guard does count."""
_UNORDERED: Final = frozenset({"key", "refused", "left_to_system"})
_YOUNGER: Final = frozenset({"belongs_to"})
"""Parts that maps had not always: without one, a map is what it was."""
_QUOTED = re.compile(r"('(?:[^']|'')*')")


def hash_of(entity: DataMap) -> str:
    """SHA-256 (hex) of what a map does."""
    return _digest(_canonical(entity.model_dump(mode="python")))


def hash_of_all(entities: Iterable[DataMap]) -> str:
    """SHA-256 (hex) of what maps do together, in whatever order they come."""
    return _digest(sorted([entity.entity, hash_of(entity)] for entity in entities))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any, name: str = "") -> Any:
    match value:
        case dict() if name in ("values", "constants", "fields"):  # the keys are data here
            return {key: _canonical(item) for key, item in value.items()}
        case dict():
            said = {key: item for key, item in value.items() if key not in (_YOUNGER if item is None else EXPLAINS)}
            kept = {key: _canonical(item, key) for key, item in said.items()}
            return kept | ({"guarded": bool(value["guard"].strip())} if "guard" in value else {})
        case list() | tuple():
            items = [_canonical(item) for item in value]
            return sorted(items) if name in _UNORDERED else items
        case Decimal():
            return plain(value or Decimal(0))
        case str() if name == "filter":
            return _spaced(value)
        case _:
            return value


def _spaced(text: str) -> str:
    """A filter with one blank where it has several; what stands in quotes stays."""
    parts = _QUOTED.split(text)
    return "".join(part if number % 2 else re.sub(r"\s+", " ", part) for number, part in enumerate(parts)).strip()
