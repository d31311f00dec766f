"""Stand-ins of the product's workflows on a real server, as ``tests.webworld`` sets them up."""

from __future__ import annotations

from tests.webworld.world import stage, temporal

__all__ = ["stage", "temporal"]
