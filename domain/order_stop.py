"""Whether a confirmed order is kept from the warehouse, and by whom: Finance's "Do not process" of the order."""

from __future__ import annotations

from enum import StrEnum


class OrderStop(StrEnum):
    """Who keeps an order from being picked and shipped, as far as its deal knows."""

    NONE = ""
    OURS = "ours"
    """The deal does, and takes it back when credit is given."""
    FOUND = "found"
    """Somebody in Finance did before: it stays theirs when credit is given."""
