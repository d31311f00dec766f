"""The OpenAPI document of the API without the API: no run, no ledger and no key is needed to say what can be asked."""

from __future__ import annotations

from typing import Any

from web.access import Access
from web.api.application import application
from web.api.bulk import add_bulk
from web.api.collections import add_collections
from web.api.credit import add_credit
from web.api.late import add_late
from web.api.routes import add_delegations, add_operations, add_people, add_readings
from web.config import WebConfig


def document(config: WebConfig) -> dict[str, Any]:
    """What `/api/v1/openapi.json` says of an installation with these addresses."""
    nothing: Any = None  # what operations use when they are called, and none is
    access = Access(config.policy)
    api = application(config, nothing, {})
    add_operations(api, access, nothing, nothing, nothing, nothing)
    add_readings(api, access, nothing, nothing)
    add_people(api, access, nothing)
    add_delegations(api, access, nothing)
    add_late(api, nothing)
    add_credit(api, nothing)
    add_collections(api, nothing)
    add_bulk(api, nothing)
    found: dict[str, Any] = api.openapi()
    return found
