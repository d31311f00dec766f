"""What programs may send to the desk, and how it says what is wrong with it.

Amounts and quantities are read as `Decimal`, from JSON numbers or text; quantities and prices are deliberately not
judged here: a rep can enter nonsense in Sales too, and the product has to find it.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec

Body = TypeVar("Body")


class DeskError(Exception):
    """The desk cannot do what was asked: `field` names what is wrong (empty: the whole), `status` is the answer's."""

    def __init__(self, message: str, *, field: str = "", status: int = 400, system: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.status = status
        self.system = system

    def as_json(self) -> dict[str, Any]:
        """The body of the refusal; `system` says which of the two refused, where one did."""
        error = {"message": self.message}
        if self.field:
            error["field"] = self.field
        if self.system:
            error["system"] = self.system
        return {"error": error}


class LineRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A quote line as a rep enters it.

    Without `item` the line is written in by its description. `price` overrides the price list; a discount is given in
    percent of quantity × price, or as money off the whole line, in the quote's currency. Lines are numbered 1, 2, 3 …
    unless `number` says otherwise; `numbered: false` leaves the line without a number.
    """

    item: str | None = None
    quantity: Decimal = Decimal(1)
    price: Decimal | None = None
    discount_pct: Decimal | None = None
    discount_amount: Decimal | None = None
    tax: Decimal | None = None
    description: str = ""
    number: int | None = None
    numbered: bool = True


class AddressRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the goods go, and who takes them there."""

    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    name: str = ""
    contact: str = ""
    phone: str = ""


class QuoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new draft quote. `opportunity` makes one for it; `number` is taken as it is (else Sales numbers it).

    `beside` is the number of a quote whose opportunity this one is for, too: an alternative. `owner_team` is the name
    of a team the quote belongs to instead of its rep. `customer_reference` is the customer's purchase order number,
    `description` what the rep writes about the quote, e.g. why the discount is asked for.
    """

    company: str
    customer: str
    rep: str
    lines: list[LineRequest] = []
    header_discount_pct: Decimal | None = None
    payment_terms: str | None = None
    expires_on: date | None = None
    opportunity: bool = False
    beside: str | None = None
    name: str | None = None
    number: str | None = None
    owner_team: str | None = None
    ship_to: AddressRequest | None = None
    requested_delivery: date | None = None
    customer_reference: str | None = None
    description: str | None = None


class ReviseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changes in the next revision; what is left out stays as it was."""

    lines: list[LineRequest] | None = None
    header_discount_pct: Decimal | None = None
    payment_terms: str | None = None
    expires_on: date | None = None


class LineQuantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of an order line, by its number in Finance (LineCreationSequenceNumber)."""

    line: int
    quantity: Decimal


class LinesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which quantities to pick, ship, invoice or cancel; without lines all that remain."""

    lines: list[LineQuantity] | None = None


class SettlementRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a payment that settles an invoice, in the invoice's currency."""

    invoice: str
    amount: Decimal


class PaymentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money received from a customer; `currency` defaults to the company's."""

    company: str
    customer: str
    amount: Decimal
    currency: str | None = None
    settlements: list[SettlementRequest] = []
    reference: str | None = None


class CustomerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the credit department changes on a customer.

    `on_hold` is Finance's OnHoldStatus symbol; `threshold_pct` is how much of the limit may be used.
    """

    credit_limit: Decimal | None = None
    on_hold: str | None = None
    unlimited: bool | None = None
    payment_terms: str | None = None
    threshold_pct: Decimal | None = None


class CompanyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a company; what is left out stays as it is.

    `order_numbers` says who numbers sales orders: the caller or Finance; `customer_numbers` whether Finance numbers
    customers that come without an account. `penny_difference` and `over_under` are what a
    payment may be off, in the company's currency; `settle_automatically` lets prepayments pay their order's invoice;
    `net_price_rounding` rounds a unit price after its discount before it is multiplied.
    """

    credit_management: bool | None = None
    tax_pct: Decimal | None = None
    order_numbers: Literal["manual", "automatic"] | None = None
    customer_numbers: Literal["manual", "automatic"] | None = None
    net_price_rounding: bool | None = None
    penny_difference: Decimal | None = None
    over_under: Decimal | None = None
    settle_automatically: bool | None = None


class ItemRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changes on an item in Finance, in the company's currency; the price list in Sales stays as it is."""

    list_price: Decimal | None = None
    unit_cost: Decimal | None = None
    stopped: bool | None = None


class LineChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The quantity an order line shall have in Finance, and its unit price where that changes."""

    quantity: Decimal
    price: Decimal | None = None


class MapRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dual-write map: table (logical name), Finance's entity, and pairs of columns that it keeps the same.

    `fields` goes from Finance's column to the one in Dataverse; `direction` is 1 (from Finance), 2 (from Dataverse) or
    3 (both).
    """

    table: str
    entity: str
    fields: dict[str, str] = {}
    direction: Literal[1, 2, 3] = 3
    version: Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+){3}$")] = "1.0.0.0"
    running: bool = True


class DualWriteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dual-write maps there are."""

    maps: list[MapRequest]


class ExchangeRateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many units of `target` one unit of `source` is worth, from `start` on (left out: from always)."""

    source: str
    target: str
    rate: Decimal
    rate_type: str = "Default"
    start: date | None = None


class ReversalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a payment is taken back."""

    reason: str = "Returned by the bank"


class NewCustomerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer of one company, made in both systems; amounts in the company's currency.

    `open_ar` is one unpaid invoice from before, due in ten days; `threshold_pct` the share of the limit that Finance's
    credit management allows to be used. `only_in` makes it in one system: in Sales it is an account without a number,
    as one that was never synchronised, and `account` is what the desk calls it.
    """

    company: str
    account: str
    name: str
    credit_limit: Decimal = Decimal(0)
    unlimited: bool = False
    threshold_pct: Decimal = Decimal(100)
    payment_terms: str = "Net 30"
    open_ar: Decimal = Decimal(0)
    prices_include_tax: bool = False
    only_in: Literal["sales", "finance"] | None = None
    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""
    tax_number: str = ""


class ClockRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the sandbox's clock is ahead of the real one."""

    offset_seconds: float


class LimitsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much the systems bear; what is left out stays as it is.

    The first four are Dataverse's service protection limits; `finance_retry_after` makes Finance answer everything with
    429 and this Retry-After in seconds (0 ends it).
    """

    requests: int | None = None
    execution_seconds: float | None = None
    concurrent: int | None = None
    window_seconds: float | None = None
    finance_retry_after: int | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Dataverse sends its webhooks, and the value of the header x-q2c-webhook-key."""

    url: str
    key: str


class EventsEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Finance sends its business events; the secret is part of the URL."""

    url: str


class EndpointsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the product listens; what is left out stays as it is.

    ``quote_link`` is the address of a link on each quote's form, with ``{company}`` and ``{quote}`` in it, and
    ``runs_link`` that of the deals' runs in Temporal Web, where the guided tour ends.
    """

    dataverse_webhook: WebhookEndpoint | None = None
    finance_events: EventsEndpoint | None = None
    web_redirect_uris: list[str] | None = None
    quote_link: str | None = None
    runs_link: str | None = None


_PLACE = re.compile(r"(?P<message>.*?)(?: - at `\$\.?(?P<field>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`|.*unknown field `(?P<unknown>[^`]+)`")


def parse(body: bytes, kind: type[Body]) -> Body:
    """The request of a JSON body; an empty body counts as `{}`.

    Raises:
        DeskError: the body does not fit; `field` names the place, e.g. `lines[0].quantity`.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except msgspec.DecodeError as error:
        raise DeskError(f"not JSON: {error}") from error


def convert(value: Any, kind: type[Body]) -> Body:
    """The same from plain values (a form's fields), where numbers come as text."""
    try:
        return msgspec.convert(value, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _refusal(text: str) -> DeskError:
    place = _PLACE.fullmatch(text)
    message, field = (place["message"], place["field"] or "") if place else (text, "")
    if named := _MISSING.match(message):
        name = named["field"] or named["unknown"]
        field = f"{field}.{name}" if field else name
    return DeskError(message, field=field)
