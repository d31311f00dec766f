"""A Dataverse environment on a table: companies, people, a catalogue, and a client that speaks HTTP to it as ASGI."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from sandbox.dataverse import Dataverse, Limits, build_app
from sandbox.entra.tokens import TokenAuthority
from sandbox.odata.jsonio import decode, encode
from sandbox.runtime import Sandbox, SandboxInfo
from sandbox.store import Clock, Row

ORIGIN = "https://contoso.crm.example"
ROOT = "/api/data/v9.2"
TENANT = "7d3b4c5e-0000-4000-8000-000000000001"
APPLICATION = "11111111-0000-4000-8000-000000000001"
SERVICE_PRINCIPAL = "11111111-0000-4000-8000-000000000002"
RITA_OID = "22222222-0000-4000-8000-000000000001"
_AUTHORITY = TokenAuthority("https://entra.example", TENANT)


@dataclass(frozen=True)
class LiveSandbox:
    """A running sandbox with the sample data: `info` says where, `sandbox` lets a test look inside."""

    sandbox: Sandbox
    info: SandboxInfo


class World:
    """One environment with company USMF, rep rita, customer US-001 and products P100 (100.00) and P250 (250.00)."""

    def __init__(self, limits: Limits | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.dataverse = Dataverse(ORIGIN, clock=self.clock, limits=limits, **settings)
        self.app = build_app(self.dataverse, _AUTHORITY)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.application = token(APPLICATION)
        self.unit = self._create("businessunits", {"name": "USMF"})
        self.rita = self._user("Rita", {"azureactivedirectoryobjectid": RITA_OID}, "Salesperson")
        self.app_user = self._user("Q2C", {"applicationid": APPLICATION}, "System Administrator")
        self.usd = self._currency("USD", 2, Decimal(1))
        self.eur = self._currency("EUR", 2, Decimal("0.8"))
        self.jpy = self._currency("JPY", 0, Decimal(150))
        self.prices = self._price_list("USD list", self.usd)
        schedule = self._create("uomschedules", {"name": "Unit", "baseuomname": "ea"})
        unit = {"name": "ea", "quantity": Decimal(1), **bind("uomscheduleid", "uomschedules", schedule)}
        self.each = self._create("uoms", unit)
        self.p100 = self._product("P100", Decimal("100.00"))
        self.p250 = self._product("P250", Decimal("250.00"))
        self.account = self._create("accounts", {"name": "Contoso Retail", "accountnumber": "US-001"})

    def _create(self, entity_set: str, body: Mapping[str, Any]) -> str:
        row = self.dataverse.create(entity_set, body)
        return str(row[self.dataverse.entity(entity_set).key])

    def _user(self, name: str, identity: Mapping[str, Any], role: str) -> str:
        body = {"firstname": name, "lastname": "Test", **identity, **bind("businessunitid", "businessunits", self.unit)}
        user = self._create("systemusers", body)
        self.dataverse.assign_role(user, role)
        return user

    def _currency(self, code: str, precision: int, rate: Decimal) -> str:
        body = {"isocurrencycode": code, "currencyname": code, "currencyprecision": precision, "exchangerate": rate}
        return self._create("transactioncurrencies", body | {"currencysymbol": "$" if code == "USD" else code})

    def _price_list(self, name: str, currency: str) -> str:
        return self._create(
            "pricelevels", {"name": name, **bind("transactioncurrencyid", "transactioncurrencies", currency)}
        )

    def _product(self, number: str, price: Decimal) -> str:
        product = self._create(
            "products", {"name": f"Product {number}", "productnumber": number, "statecode": 0, "statuscode": 1}
        )
        item = {"amount": price, **bind("productid", "products", product), **bind("uomid", "uoms", self.each)}
        self._create("productpricelevels", item | bind("pricelevelid", "pricelevels", self.prices))
        return product

    def line(self, quantity: str, product: str | None = None, **columns: Any) -> Row:
        """The body of a quote line; amounts as text."""
        amounts = {name: Decimal(value) if isinstance(value, str) else value for name, value in columns.items()}
        found = bind("productid", "products", product or self.p100) | bind("uomid", "uoms", self.each)
        return {**found, "quantity": Decimal(quantity), **amounts}

    def quote(self, *lines: Row, **columns: Any) -> Row:
        """A draft quote of rita's for US-001, created as the Sales app would."""
        body = {
            "name": "A quote",
            **bind("customerid_account", "accounts", self.account),
            **bind("pricelevelid", "pricelevels", self.prices),
            "quote_details": list(lines),
            **columns,
        }
        return self.dataverse.create("quotes", body, user=self.rita)

    def lines(self, quote: Row) -> list[Row]:
        return sorted(
            self.dataverse.rows("quotedetail", quoteid=quote["quoteid"]), key=lambda row: row["lineitemnumber"]
        )

    def again(self, quote: Row) -> Row:
        """The quote as it is now."""
        row = self.dataverse.get("quotes", quote["quoteid"])
        assert row is not None
        return row

    def activate(self, quote: Row) -> None:
        self.dataverse.update("quotes", quote["quoteid"], {"statecode": 1, "statuscode": 2}, user=self.rita)

    def close_quote(self, action: str, quote: Row, status: int) -> None:
        self.dataverse.action(action, {"Status": status, "QuoteClose": closing("quote", quote)}, user=self.rita)

    def request(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, **headers: str
    ) -> httpx.Response:
        """A request as the application, or with another token (empty: none); header names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer != "":
            sent["Authorization"] = f"Bearer {bearer or self.application}"
        content = body if isinstance(body, bytes) else b"" if body is None else encode(body)
        if content and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        url = path if path.startswith(("http", "/")) else f"{ROOT}/{path}"
        return self._runner.run(self._send(method, url, content, sent))

    async def _send(self, method: str, url: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN) as client:
            return await client.request(method, url, content=content, headers=dict(headers))

    def close(self) -> None:
        """End the event loop requests ran in."""
        self._runner.close()

    def get(self, path: str, **headers: str) -> Any:
        """The JSON body of a successful read, numbers as Decimal."""
        answer = self.request("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return decode(answer.content)

    def done(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A write that must succeed."""
        answer = self.request(method, path, body, **headers)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer

    def person(self, name: str, role: str, unit: str | None = None) -> tuple[str, str]:
        """A user with a role: `systemuserid` and a token."""
        oid = str(uuid.uuid4())
        home = bind("businessunitid", "businessunits", unit or self.unit)
        body = {"firstname": name, "lastname": "Test", "azureactivedirectoryobjectid": oid, **home}
        user = self._create("systemusers", body)
        self.dataverse.assign_role(user, role)
        return user, person_token(oid)

    def refused(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, **headers: str
    ) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        answer = self.request(method, path, body, bearer=bearer, **headers)
        assert answer.status_code >= 400, answer.text
        error = decode(answer.content)["error"]
        return answer.status_code, error["code"], error["message"]

    def sleep(self, **span: float) -> None:
        """Let simulated time pass."""
        self.clock.offset += timedelta(**span)


def bind(navigation: str, entity_set: str, row_id: str) -> dict[str, str]:
    """`navigation@odata.bind` to a row."""
    return {f"{navigation}@odata.bind": f"/{entity_set}({row_id})"}


def closing(kind: str, row: Row) -> Row:
    """The close activity of an action on a quote, an order or an opportunity."""
    sets = {"quote": "quotes", "order": "salesorders", "opportunity": "opportunities"}
    lookup = {"quote": "quoteid", "order": "salesorderid", "opportunity": "opportunityid"}[kind]
    activity = {"@odata.type": f"Microsoft.Dynamics.CRM.{kind}close", "subject": "closed"}
    return activity | bind(lookup, sets[kind], row[lookup])


def token(application: str, *, audience: str = ORIGIN, lifetime: int = 3600) -> str:
    """An access token for the environment, as Entra ID issues it to an application."""
    return _AUTHORITY.issue(audience, app_id=application, object_id=SERVICE_PRINCIPAL, lifetime=lifetime)


def person_token(object_id: str) -> str:
    """An access token for the environment, as Entra ID issues it to a person through an application."""
    return _AUTHORITY.issue(ORIGIN, app_id=APPLICATION, object_id=object_id, claims={"scp": "user_impersonation"})


PRICED = ("totallineitemamount", "totaldiscountamount", "totalamountlessfreight", "totaltax", "totalamount")


def totals(row: Row) -> list[Decimal]:
    """The totals of a quote or an order, in the order in which Sales computes them."""
    return [row[name] for name in PRICED]
