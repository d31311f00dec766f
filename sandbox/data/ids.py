"""Ids of rows the sandbox brings along: derived from names, so that every start gives the same ones."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sandbox.contoso.example")


def row_id(table: str, *key: str) -> str:
    """The GUID of the row of a table that a natural key names, e.g. `row_id("account", "usmf", "US-001")`."""
    return str(uuid.uuid5(_NAMESPACE, "/".join((table, *key)).lower()))
