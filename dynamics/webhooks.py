"""Dataverse webhooks: which record changed, and where it can be told already, what happened to its deal.

The body is a RemoteExecutionContext of an asynchronous step. It is a hint: the deal reads the quote again before it
acts, and what the product itself writes (pending, approved, rejected, order numbers) is no event. An image exists only
for some messages (none for Win, Close, Revise and Lose), is dropped from a context above 256 KB, and may name a
business unit without its name. So a call that names a record and cannot be understood further is not refused, because
Dataverse would not repeat it: it goes to the feed, which reads the record.
Sources: Microsoft Learn, "Use webhooks to create external handlers for server events", "Understand the execution
context", and "Register a plug-in" (messages with images).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, ValidationError

from domain import event_ids
from domain.feeds import SALES_TABLES, SalesTable
from domain.messages import SalesEvent, SalesEventKind
from domain.record import Record
from dynamics.core.intake import JsonDate, Malformed, Name, OptionalName, Reported, Whole, json_object, json_objects
from dynamics.sales.options import QUOTE_CLOSED_AS, ApprovalChoice, OpportunityState, QuoteState

__all__ = ["Change", "Malformed", "json_object", "json_objects", "read_change"]

FOLLOWED: Mapping[str, SalesTable] = {table: table for table in SALES_TABLES}
"""Tables whose records a deal follows."""

_NOBODY = UUID(int=0)
_SET_STATE = frozenset({"SetState", "SetStateDynamicEntity"})
_CLOSE_ACTIVITIES = {
    "quote": ("QuoteClose", "quoteid"),
    "opportunity": ("OpportunityClose", "opportunityid"),
    "salesorder": ("OrderClose", "salesorderid"),
}
"""Win, Close, Lose and Cancel carry their closing activity instead of a target; it names the record."""
_OPENED_AS: Mapping[int, SalesEventKind] = {
    QuoteState.ACTIVE: SalesEventKind.ACTIVATED,
    QuoteState.WON: SalesEventKind.ACCEPTED,
}
_HINTED = {"Win": SalesEventKind.ACCEPTED, "Delete": SalesEventKind.DELETED}


class Change(Record):
    """A webhook call, understood as far as it can be.

    ``route``: ``deal`` - the deal is known and gets the event; ``feed`` - the feed of the table ``entity`` reads
    ``record_id`` and tells the deals it concerns; ``ignore`` - it concerns no deal.
    """

    route: Literal["deal", "feed", "ignore"]
    entity: str = Field("", description="Logical name of the record's table")
    record_id: str = Field("", description="Primary key, lower case")
    event: SalesEvent | None = Field(None, description="None for an order of Sales: only the feed knows its deal")
    why: str = Field("", description="Why it is ignored or could not be understood, a short word for the counter")


def _choice(value: object) -> object:
    """The number of a choice: {"__type": "OptionSetValue:…", "Value": n}, or n itself."""
    return value.get("Value") if isinstance(value, Mapping) else value


Choice = Annotated[Whole | None, BeforeValidator(_choice)]


class _Reference(Reported):
    """A lookup; its name may be null, so that only its id can be relied on."""

    Id: UUID
    Name: OptionalName | None = None


class _Envelope(Reported):
    """What every context holds, and nothing less names a record."""

    MessageName: Name
    PrimaryEntityName: Name
    PrimaryEntityId: UUID = _NOBODY


class _Circumstances(Reported):
    """When, by whom and in which operation it happened."""

    OperationCreatedOn: JsonDate
    OperationId: UUID = _NOBODY
    InitiatingUserId: UUID = _NOBODY


class _QuoteImage(Reported):
    """The columns of a quote our steps ask for."""

    quotenumber: Name
    revisionnumber: Annotated[Whole, Field(ge=0, lt=2**31)]
    versionnumber: Annotated[Whole, Field(ge=0)] = 0
    statecode: Choice = None
    statuscode: Choice = None
    owningbusinessunit: _Reference | None = None


class _OpportunityImage(Reported):
    """The columns of an opportunity our steps ask for."""

    statecode: Choice = None
    owningbusinessunit: _Reference | None = None


def read_change(context: Mapping[str, Any], companies: Mapping[str, str]) -> Change:
    """Understand a webhook call.

    Args:
        context: the RemoteExecutionContext, as ``json_object`` reads it.
        companies: owning business unit → legal entity; a unit is named by its id or by its name, without regard to
            case. The id counts first: the name may be missing.

    Returns:
        What to do with it.

    Raises:
        Malformed: it names no record.
    """
    envelope = _Envelope.read(context)
    entity, message = envelope.PrimaryEntityName.lower(), envelope.MessageName
    if entity not in FOLLOWED:
        return Change(route="ignore", entity=entity, why="entity")
    call = _Call(context, entity, message, _record_id(context, envelope))
    if entity == "quote":
        return _quote_change(call, companies)
    if entity == "opportunity":
        return _opportunity_change(call, companies)
    return Change(route="feed", entity=entity, record_id=str(call.record_id), why=f"{entity}-{message.lower()}")


def _record_id(context: Mapping[str, Any], envelope: _Envelope) -> UUID:
    """The record's id; where the context leaves it empty, from the closing activity or the moniker."""
    if envelope.PrimaryEntityId != _NOBODY:
        return envelope.PrimaryEntityId
    activity, column = _CLOSE_ACTIVITIES[envelope.PrimaryEntityName.lower()]
    parameters = _pairs(context.get("InputParameters"))
    for candidate in (_attributes(parameters.get(activity)).get(column), parameters.get("EntityMoniker")):
        try:
            return _Reference.model_validate(candidate).Id
        except ValidationError:
            continue
    raise Malformed("PrimaryEntityId", "missing, and no closing activity names the record")


class _Call:
    """One call: which record, and the parts of the context that may be missing or unreadable."""

    def __init__(self, context: Mapping[str, Any], entity: str, message: str, record_id: UUID) -> None:
        self.entity = entity
        self.message = message
        self.record_id = record_id
        self.parameters = _pairs(context.get("InputParameters"))
        self.target = _attributes(self.parameters.get("Target"))
        self.image = _image(context)
        try:
            self.circumstances: _Circumstances | None = _Circumstances.read(context)
        except Malformed:
            self.circumstances = None

    @property
    def status(self) -> int | None:
        """`Status` of Win, Close and Lose."""
        value = _choice(self.parameters.get("Status"))
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def changed(self, column: str) -> bool:
        """Whether the write set a column."""
        return column in self.target or (column == "statecode" and self.message in _SET_STATE)

    def ignored(self) -> Change:
        """Nothing for a deal."""
        why = f"{self.entity}-{self.message.lower()}"
        return Change(route="ignore", entity=self.entity, record_id=str(self.record_id), why=why)

    def event(
        self, event_id: str, kind: SalesEventKind, *, company: str = "", image: _QuoteImage | None = None
    ) -> SalesEvent:
        """The event of a deal; a moment that could not be read is the moment it was heard."""
        about = self.circumstances
        return SalesEvent(
            event_id=event_id,
            kind=kind,
            company=company,
            quote_number=image.quotenumber if image else "",
            quote_id=str(self.record_id) if self.entity == "quote" else "",
            revision=image.revisionnumber if image else 0,
            version=image.versionnumber if image else 0,
            occurred_at=about.OperationCreatedOn if about else datetime.now(UTC),
            actor=str(about.InitiatingUserId) if about and about.InitiatingUserId != _NOBODY else "",
        )

    def for_feed(self, event: SalesEvent, why: str) -> Change:
        """A change the feed has to find the deal of."""
        return Change(route="feed", entity=self.entity, record_id=str(self.record_id), event=event, why=why)

    def hint(self, kind: SalesEventKind, why: str) -> Change:
        """A change of which only the record is known."""
        operation = str(self.circumstances.OperationId) if self.circumstances else ""
        return self.for_feed(self.event(event_ids.hint(self.entity, self.record_id, operation), kind), why)


def _quote_change(call: _Call, companies: Mapping[str, str]) -> Change:
    hinted = _HINTED.get(call.message, SalesEventKind.SUBMITTED)
    if call.message == "Close":
        hinted = QUOTE_CLOSED_AS.get(call.status or 0, SalesEventKind.LOST)
    if call.message not in ("Create", "Update", "Delete", "Win", "Close", *_SET_STATE):
        return call.ignored()
    if not call.image:
        return call.hint(hinted, "no-image")
    try:
        image = _QuoteImage.read(call.image)
    except Malformed as error:
        return call.hint(hinted, f"image-{error.field}")
    kind = _quote_kind(call, image)
    if kind is None:
        return call.ignored()
    company = _company(image.owningbusinessunit, companies)
    if not company:
        return call.hint(kind, "business-unit")
    if call.circumstances is None:
        return call.hint(kind, "circumstances")
    event_id = event_ids.quote_fact(call.record_id, kind, image.versionnumber)
    event = call.event(event_id, kind, company=company, image=image)
    return Change(route="deal", entity=call.entity, record_id=str(call.record_id), event=event)


def _quote_kind(call: _Call, image: _QuoteImage) -> SalesEventKind | None:
    """What happened, from what was written (target) and how the quote stands after it (image)."""
    if call.message == "Close":
        return QUOTE_CLOSED_AS.get(call.status or image.statuscode or 0)
    if call.message in _HINTED:
        return _HINTED[call.message]
    state = image.statecode
    if call.changed("statecode") and state != QuoteState.DRAFT:
        if state == QuoteState.CLOSED:
            return QUOTE_CLOSED_AS.get(image.statuscode or 0)
        return _OPENED_AS.get(state) if state is not None else None
    if state == QuoteState.DRAFT and call.changed("q2c_approvalstatus"):
        wanted = _choice(call.target["q2c_approvalstatus"])
        if wanted == ApprovalChoice.REQUESTED:
            return SalesEventKind.SUBMITTED
        if wanted in (None, ApprovalChoice.NONE) and call.message == "Update":
            return SalesEventKind.WITHDRAWN
    return None


def _opportunity_change(call: _Call, companies: Mapping[str, str]) -> Change:
    """A lost opportunity concerns all its quotes, so its feed finds them."""
    try:
        image: _OpportunityImage | None = _OpportunityImage.read(call.image)
    except Malformed:
        image = None
    lost = image is not None and call.changed("statecode") and image.statecode == OpportunityState.LOST
    if call.message != "Lose" and not lost:
        return call.ignored()
    company = _company(image.owningbusinessunit, companies) if image else ""
    event_id = event_ids.opportunity_lost(call.record_id)
    return call.for_feed(call.event(event_id, SalesEventKind.OPPORTUNITY_LOST, company=company), "opportunity")


def _company(unit: _Reference | None, companies: Mapping[str, str]) -> str:
    """The legal entity of a business unit, by its id, else by its name; empty where neither is mapped."""
    if unit is None:
        return ""
    known = {name.strip().casefold(): company for name, company in companies.items()}
    return known.get(str(unit.Id), "") or known.get((unit.Name or "").casefold(), "")


def _image(context: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of the image after the change, else of the one before it; empty where there is none."""
    for name in ("PostEntityImages", "PreEntityImages"):
        for image in _pairs(context.get(name)).values():
            if attributes := _attributes(image):
                return attributes
    return {}


def _attributes(entity: object) -> dict[str, Any]:
    return _pairs(entity.get("Attributes")) if isinstance(entity, Mapping) else {}


def _pairs(collection: object) -> dict[str, Any]:
    """Collections of the context are arrays of {key, value}, not objects."""
    if not isinstance(collection, list):
        return {}
    pairs = ((pair.get("key"), pair.get("value")) for pair in collection if isinstance(pair, Mapping))
    return {key: value for key, value in pairs if isinstance(key, str)}
