"""Dataverse webhooks: what happened to a quote or an opportunity, as an event of the deal.

The body is a RemoteExecutionContext of an asynchronous step with a post-image. It is a hint: the deal reads the quote
again before it acts. What the product itself writes (pending, approved, rejected, order numbers) is no event.
Source: Microsoft Learn, "Use webhooks to create external handlers for server events" and "Understand the execution
context"; Dataverse drops images and parameters from a context above 256 KB and says so in a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from domain.messages import SalesEvent, SalesEventKind
from domain.record import Record

APPROVAL_NONE = 100000000
APPROVAL_REQUESTED = 100000001
_STATE_DRAFT, _STATE_ACTIVE, _STATE_WON, _STATE_CLOSED = 0, 1, 2, 3
_CLOSED_AS = {5: SalesEventKind.LOST, 6: SalesEventKind.CANCELLED, 7: SalesEventKind.REVISED}
_REPEATABLE = frozenset({SalesEventKind.SUBMITTED, SalesEventKind.WITHDRAWN})
_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Malformed(ValueError):
    """The body is not a RemoteExecutionContext; the text names what is missing."""


class Change(Record):
    """A webhook call, understood.

    ``route``: ``case`` - the deal is known and gets the event; ``feed`` - the feed of the company (of all companies,
    where ``company`` is empty) has to find out which deals it concerns; ``ignore`` - it concerns no deal.
    """

    route: Literal["case", "feed", "ignore"]
    event: SalesEvent | None = None
    why: str = Field("", description="Why it is ignored, a short word for the counter")


def read_change(context: Mapping[str, Any], companies: Mapping[str, str]) -> Change:
    """Understand a webhook call.

    Args:
        context: the RemoteExecutionContext.
        companies: name of the owning business unit → legal entity.

    Returns:
        What to do with it.

    Raises:
        Malformed: it is none, or it belongs to a business unit that no company is mapped to.
    """
    entity = _text(context, "PrimaryEntityName")
    message = _text(context, "MessageName")
    record_id = _text(context, "PrimaryEntityId").lower()
    target = _entity(context.get("InputParameters"), "Target")
    image = _image(context)
    if entity == "opportunity":
        return _opportunity_change(context, message, record_id, image, companies)
    if entity != "quote":
        return Change(route="ignore", why="entity")
    if not image and message in ("Update", "Win", "Close", "Delete"):
        # No image: too large to carry, or deleted. Whose quote it is stands in Dataverse only.
        kind = _kind_without_image(message)
        return Change(route="feed", event=_event(context, kind, "", "", record_id, 0, 0))
    kind_found = _quote_kind(message, target, image)
    if kind_found is None:
        return Change(route="ignore", why=f"quote-{message.lower()}")
    company = _company(image, companies)
    number = str(image.get("quotenumber") or "")
    if not number:
        raise Malformed("the image holds no quotenumber")
    revision = int(image.get("revisionnumber") or 0)
    version = int(image.get("versionnumber") or 0)
    event = _event(context, kind_found, company, number, record_id, revision, version)
    return Change(route="case", event=event)


def _quote_kind(message: str, target: Mapping[str, Any], image: Mapping[str, Any]) -> SalesEventKind | None:
    """What happened, from what was written (target) and how the quote stands after it (image)."""
    if message == "Win":
        return SalesEventKind.ACCEPTED
    if message == "Close":
        return _CLOSED_AS.get(_choice(image.get("statuscode")))
    if message == "Delete":
        return SalesEventKind.CANCELLED
    if message not in ("Create", "Update"):
        return None
    state = _choice(image.get("statecode"))
    if "statecode" in target and state != _STATE_DRAFT:
        if state == _STATE_CLOSED:
            return _CLOSED_AS.get(_choice(image.get("statuscode")))
        return {_STATE_ACTIVE: SalesEventKind.ACTIVATED, _STATE_WON: SalesEventKind.ACCEPTED}.get(state)
    if state == _STATE_DRAFT and "q2c_approvalstatus" in target:
        wanted = _choice(target["q2c_approvalstatus"])
        if wanted == APPROVAL_REQUESTED:
            return SalesEventKind.SUBMITTED
        if wanted == APPROVAL_NONE and message == "Update":
            return SalesEventKind.WITHDRAWN
    return None


def _kind_without_image(message: str) -> SalesEventKind:
    return {
        "Win": SalesEventKind.ACCEPTED,
        "Close": SalesEventKind.LOST,
        "Delete": SalesEventKind.CANCELLED,
    }.get(message, SalesEventKind.SUBMITTED)


def _opportunity_change(
    context: Mapping[str, Any], message: str, record_id: str, image: Mapping[str, Any], companies: Mapping[str, str]
) -> Change:
    if message != "Lose":
        return Change(route="ignore", why=f"opportunity-{message.lower()}")
    company = _company(image, companies) if image else ""
    event = SalesEvent(
        event_id=f"dv/opportunity/{record_id}/{SalesEventKind.OPPORTUNITY_LOST}",
        kind=SalesEventKind.OPPORTUNITY_LOST,
        company=company,
        quote_number="",
        quote_id="",
        revision=0,
        occurred_at=_moment(context.get("OperationCreatedOn")),
        actor=str(context.get("InitiatingUserId") or ""),
    )
    return Change(route="feed", event=event)


def _event(
    context: Mapping[str, Any],
    kind: SalesEventKind,
    company: str,
    number: str,
    quote_id: str,
    revision: int,
    version: int,
) -> SalesEvent:
    # A draft can be submitted and withdrawn again and again: only the row version tells one time from the next.
    again = f"/{version}" if kind in _REPEATABLE else ""
    return SalesEvent(
        event_id=f"dv/quote/{quote_id}/{revision}/{kind}{again}",
        kind=kind,
        company=company,
        quote_number=number,
        quote_id=quote_id,
        revision=revision,
        version=version,
        occurred_at=_moment(context.get("OperationCreatedOn")),
        actor=str(context.get("InitiatingUserId") or ""),
    )


def _company(image: Mapping[str, Any], companies: Mapping[str, str]) -> str:
    unit = image.get("owningbusinessunit")
    name = str(unit.get("Name") or "") if isinstance(unit, Mapping) else ""
    company = companies.get(name)
    if company is None:
        raise Malformed(f"business unit {name!r} is mapped to no company: add it to the entity map")
    return company


def _image(context: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("PostEntityImages", "PreEntityImages"):
        for pair in _pairs(context.get(name)):
            attributes = _attributes(pair.get("value"))
            if attributes:
                return attributes
    return {}


def _entity(parameters: object, key: str) -> dict[str, Any]:
    for pair in _pairs(parameters):
        if pair.get("key") == key:
            return _attributes(pair.get("value"))
    return {}


def _attributes(entity: object) -> dict[str, Any]:
    if not isinstance(entity, Mapping):
        return {}
    return {str(pair.get("key")): pair.get("value") for pair in _pairs(entity.get("Attributes"))}


def _pairs(collection: object) -> list[Mapping[str, Any]]:
    """Collections of the context are arrays of {key, value}, not objects."""
    return [pair for pair in collection if isinstance(pair, Mapping)] if isinstance(collection, list) else []


def _choice(value: object) -> int:
    """The number of a choice: {"__type": "OptionSetValue:…", "Value": n}, or n itself; -1 where there is none."""
    if isinstance(value, Mapping):
        value = value.get("Value")
    return value if isinstance(value, int) else -1


def _text(context: Mapping[str, Any], name: str) -> str:
    value = context.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name} is missing: this is no RemoteExecutionContext")
    return value


def _moment(value: object) -> datetime:
    """A date of the context, /Date(milliseconds[offset])/: the milliseconds count from the epoch in UTC."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise Malformed("OperationCreatedOn is not a date of the form /Date(…)/")
    return _EPOCH + timedelta(milliseconds=int(found[1]))
