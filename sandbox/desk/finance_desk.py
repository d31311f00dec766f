"""The back office's own routes: every operation of Finance's posting service, its settings and how its events travel.

`POST /finance/{company}/{operation}` takes the members of the service's request and answers its members; a page does
the same with forms. What is a fact of a tenant and not known is set with `PUT /finance/settings`; how business events
travel with `PUT /finance/events`; exchange rates with `PUT /finance/rates`; how a currency rounds with
`PUT /finance/currencies/{currency}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request

from sandbox.currencies import minor_unit
from sandbox.desk.requests import DeskError, ExchangeRateRequest, LineQuantity, parse
from sandbox.finance import BadServiceRequest, Finance, FinanceError, PostingRefused
from sandbox.finance.behaviour import Behaviour
from sandbox.finance.operations import OPERATIONS
from sandbox.odata.jsonio import BadJson, decode

_AMOUNTS: Final = frozenset({"Amount", "Quantity", "UnitPrice", "Value"})
_WHOLE: Final = frozenset({"InvoiceIdentifier", "Level", "LineNumber"})


class SettingsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the environment (see `sandbox.finance.behaviour.Behaviour`); what is left out stays as it is.

    `stored_decimals` -1 keeps all decimals.
    """

    filter_nodes: int | None = None
    text_order: bool | None = None
    text_functions: bool | None = None
    missing_row_status: int | None = None
    norwegian_fields: bool | None = None
    stored_decimals: int | None = None


class RoundingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a currency's amounts on sales orders are rounded; what is left out stays as it is. 0: to the minor unit."""

    multiple: Decimal | None = None
    method: Literal["Ordinary", "RoundDown", "RoundUp"] | None = None


class DeliveryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How business events travel (see `sandbox.finance.events.Delivery`); what is left out stays as it is."""

    custom: bool | None = None
    inactive: list[str] | None = None
    delay: float | None = None
    scatter: float | None = None
    copies: int | None = None


class FinanceDesk:
    """What the desk does inside Finance beyond the everyday of an order."""

    def __init__(self, finance: Finance) -> None:
        self._finance = finance

    def post(self, company: str, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation of the posting service; its members, without the service's own.

        Raises:
            DeskError: 404, no such operation; 400, a member has the wrong type; 409, Finance refuses it.
        """
        if operation not in OPERATIONS:
            raise DeskError(f"{operation} is not one of {', '.join(OPERATIONS)}", field="operation", status=404)
        try:
            answer = self._finance.post(operation, {"DataAreaId": company, **numbers(members)}, user="desk")
        except BadServiceRequest as error:
            raise DeskError(str(error), system="finance") from error
        if not answer["Success"]:
            raise DeskError(answer["ErrorMessage"], status=409, system="finance")
        return {name: answer[name] for name in OPERATIONS[operation].answer}

    def change_settings(self, wanted: SettingsRequest) -> dict[str, Any]:
        """Change settings; says how they are now."""
        behaviour = self._finance.behaviour
        for name in Behaviour.__slots__:
            value = getattr(wanted, name)
            if value is not None:
                setattr(behaviour, name, None if name == "stored_decimals" and value < 0 else value)
        return self.settings()

    def settings(self) -> dict[str, Any]:
        """The environment's settings."""
        return {name: getattr(self._finance.behaviour, name) for name in Behaviour.__slots__}

    def change_delivery(self, wanted: DeliveryRequest) -> dict[str, Any]:
        """Change how events travel; says how they do now.

        Raises:
            DeskError: A number is below what makes sense.
        """
        delivery = self._finance.events.delivery
        for name, least in (("delay", 0.0), ("scatter", 0.0), ("copies", 1)):
            value = getattr(wanted, name)
            if value is not None and value < least:
                raise DeskError(f"must be at least {least:g}", field=name)
        for name in ("custom", "delay", "scatter", "copies"):
            value = getattr(wanted, name)
            if value is not None:
                setattr(delivery, name, value)
        if wanted.inactive is not None:
            delivery.inactive = frozenset(wanted.inactive)
        return self.delivery()

    def delivery(self) -> dict[str, Any]:
        """How business events travel."""
        found = self._finance.events.delivery
        return {
            "custom": found.custom,
            "inactive": sorted(found.inactive),
            "delay": found.delay,
            "scatter": found.scatter,
            "copies": found.copies,
        }

    def set_rate(self, wanted: ExchangeRateRequest) -> dict[str, Any]:
        """Set an exchange rate.

        Raises:
            DeskError: The rate is not above zero.
        """
        if wanted.rate <= 0:
            raise DeskError("must be above zero", field="rate")
        self._finance.set_exchange_rate(
            wanted.source, wanted.target, wanted.rate, rate_type=wanted.rate_type, start=wanted.start
        )
        return {"source": wanted.source, "target": wanted.target, "rate": wanted.rate}

    def change_rounding(self, currency: str, wanted: RoundingRequest) -> dict[str, Any]:
        """Change how a currency's amounts on sales orders are rounded; says how they are now.

        Raises:
            DeskError: 404, no such currency; 400, the multiple is below 0 or finer than the currency.
        """
        multiple = wanted.multiple
        if multiple is not None and (multiple < 0 or multiple % minor_unit(currency)):
            raise DeskError(f"must be a multiple of {minor_unit(currency)}", field="multiple")
        try:
            row = self._finance.set_rounding(currency, multiple, wanted.method)
        except LookupError as missing:
            raise DeskError(str(missing), field="currency", status=404) from missing
        names = {"multiple": "RoundingRuleSalesOrders", "method": "RoundingMethodSalesOrders"}
        return {"currency": currency} | {name: row[column] for name, column in names.items()}

    def change_line(
        self, company: str, number: str, line: int, quantity: Decimal, price: Decimal | None = None
    ) -> dict[str, Any]:
        """Raise or lower the quantity of an order line, and its unit price where one is given.

        Raises:
            DeskError: 404, no such line; 409, Finance refuses the quantity.
        """
        rows = self._finance.query("SalesOrderLinesV3", SalesOrderNumber=number, dataAreaId=company)
        found = next((row for row in rows if row["LineCreationSequenceNumber"] == line), None)
        if found is None:
            raise DeskError(f"no line {line} of order {number} in company {company}", field="line", status=404)
        try:
            with self._finance.books.acting("desk"):
                wanted = {"OrderedSalesQuantity": quantity} | ({} if price is None else {"SalesPrice": price})
                changed = self._finance.update("SalesOrderLinesV3", (company, found["InventoryLotId"]), wanted)
        except (FinanceError, PostingRefused) as error:
            raise DeskError(str(error), status=409, system="finance") from error
        return {"line": line, "quantity": changed["OrderedSalesQuantity"], "amount": changed["LineAmount"]}

    def hold(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Put the whole order on credit hold by hand, which only a release by hand takes away.

        Raises:
            DeskError: 409, no such order.
        """
        try:
            self._finance.place_hold(company, number, "Held by the credit department")
        except PostingRefused as error:
            raise DeskError(str(error), status=409, system="finance") from error
        return {"SalesOrderId": number}

    # --- over HTTP ---------------------------------------------------------------------------------------------------

    async def post_json(self, request: Request) -> Any:
        """`POST /finance/{company}/{operation}`."""
        try:
            members = decode(await request.body() or b"{}")
        except BadJson as error:
            raise DeskError(f"not JSON: {error}") from error
        if not isinstance(members, dict):
            raise DeskError("a JSON object is needed")
        return self.post(request.path_params["company"].lower(), request.path_params["operation"], members)

    async def get_settings(self, request: Request) -> Any:
        """`GET /finance/settings`."""
        return self.settings()

    async def put_settings(self, request: Request) -> Any:
        """`PUT /finance/settings`."""
        return self.change_settings(parse(await request.body(), SettingsRequest))

    async def get_delivery(self, request: Request) -> Any:
        """`GET /finance/events`."""
        return self.delivery()

    async def put_delivery(self, request: Request) -> Any:
        """`PUT /finance/events`."""
        return self.change_delivery(parse(await request.body(), DeliveryRequest))

    async def put_rounding(self, request: Request) -> Any:
        """`PUT /finance/currencies/{currency}`."""
        return self.change_rounding(request.path_params["currency"], parse(await request.body(), RoundingRequest))

    async def put_rate(self, request: Request) -> Any:
        """`PUT /finance/rates`."""
        return self.set_rate(parse(await request.body(), ExchangeRateRequest))


def numbers(members: Any, name: str = "") -> Any:
    """The members of a request, with amounts and numbers that came as text.

    Raises:
        DeskError: Such a text is not a number.
    """
    if isinstance(members, Mapping):
        return {key: numbers(value, key) for key, value in members.items()}
    if isinstance(members, list):
        return [numbers(item, name) for item in members]
    if not isinstance(members, str) or name not in _AMOUNTS | _WHOLE:
        return members
    try:
        return int(members) if name in _WHOLE else Decimal(members)
    except (InvalidOperation, ValueError) as error:
        raise DeskError("not a number", field=name) from error
