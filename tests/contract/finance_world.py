"""A Finance environment on a table: companies, customers, items, and a client that speaks HTTP to it as ASGI."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from sandbox.entra.tokens import TokenAuthority
from sandbox.finance import Finance, build_app
from sandbox.odata.jsonio import decode, encode
from sandbox.store import Clock

ORIGIN = "https://finance.example"
TENANT = "7d3b4c5e-0000-4000-8000-000000000001"
APPLICATION = "11111111-2222-4333-8444-555555555555"
AUTHORITY = TokenAuthority("https://entra.example", TENANT)
ENUM = "Microsoft.Dynamics.DataEntities"


@dataclass(frozen=True)
class Part:
    """One inner answer of a batch."""

    status: int
    body: Any


class World:
    """Finance with sample companies, and ways to talk to it."""

    def __init__(self, finance: Finance, client: httpx.AsyncClient) -> None:
        self.finance = finance
        self.client = client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/data/{path}", headers=headers)

    async def rows(self, path: str) -> list[dict[str, Any]]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = decode(answer.content)["value"]
        return rows

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        content = b"" if body is None else encode(body)
        return await self.client.request(
            method, f"/data/{path}", content=content, headers={"Content-Type": "application/json", **headers}
        )

    async def post(self, operation: str, **request: Any) -> dict[str, Any]:
        answer = await self.client.post(
            f"/api/services/Q2CServiceGroup/Q2CPostingService/{operation}",
            content=encode({"_request": {"DataAreaId": "usmf", **request}}),
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = decode(answer.content)
        return body

    async def batch(self, *items: Any) -> list[Part]:
        """Send a batch: ("GET", path) alone, or a list of (method, path, body) as a change set."""
        lines: list[str] = []
        for item in items:
            if isinstance(item, list):
                lines += ["--b", "Content-Type: multipart/mixed; boundary=c", ""]
                for number, (method, path, body) in enumerate(item, start=1):
                    lines += ["--c", *_part(method, path, encode(body).decode(), content_id=number)]
                lines += ["--c--", ""]
            else:
                lines += ["--b", *_part(item[0], item[1], "")]
        lines += ["--b--", ""]
        answer = await self.client.post(
            "/data/$batch",
            content="\r\n".join(lines).encode(),
            headers={"Content-Type": "multipart/mixed; boundary=b"},
        )
        assert answer.status_code == 200, answer.text
        return _parts(answer.text)

    def order(self, number: str, *lines: Mapping[str, Any], company: str = "usmf", **header: Any) -> None:
        """Enter an order in-process; without lines, ten P100 at 5 percent (950.00 net, 1,045.00 with tax)."""
        body = {"dataAreaId": company, "SalesOrderNumber": number, "OrderingCustomerAccountNumber": "US-001", **header}
        self.finance.create("SalesOrderHeadersV4", body)
        for line in lines or ({"OrderedSalesQuantity": 10, "LineDiscountPercentage": 5},):
            self.finance.create(
                "SalesOrderLinesV3", {"dataAreaId": company, "SalesOrderNumber": number, "ItemNumber": "P100", **line}
            )

    def ok(self, operation: str, **request: Any) -> dict[str, Any]:
        """Post in-process and insist on success."""
        answer = self.finance.post(operation, {"DataAreaId": "usmf", **request})
        assert answer["Success"] is True, answer["ErrorMessage"]
        return answer

    def refused(self, operation: str, **request: Any) -> str:
        """Post in-process and insist on a refusal; its text."""
        answer = self.finance.post(operation, {"DataAreaId": "usmf", **request})
        assert answer["Success"] is False
        return str(answer["ErrorMessage"])

    def header(self, number: str, company: str = "usmf") -> dict[str, Any]:
        row = self.finance.get("SalesOrderHeadersV4", (company, number))
        assert row is not None
        return row


def _part(method: str, path: str, body: str, content_id: int | None = None) -> list[str]:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    return [*lines, "", f"{method} /data/{path} HTTP/1.1", "Content-Type: application/json", "", body]


def _parts(text: str) -> list[Part]:
    found = re.split(r"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", text)[1:]
    parts: list[Part] = []
    for status, rest in zip(found[::2], found[1::2], strict=True):
        body = rest.partition("\r\n\r\n")[2].split("\r\n--")[0].strip()
        parts.append(Part(int(status), decode(body) if body else None))
    return parts


def customer(finance: Finance, account: str, limit: str, company: str = "usmf", **more: Any) -> None:
    """Add a customer with a credit limit."""
    currency = finance.company(company).currency
    body = {
        "dataAreaId": company,
        "CustomerAccount": account,
        "OrganizationName": f"Customer {account}",
        "CustomerGroupId": "10",
        "SalesCurrencyCode": currency,
        "PaymentTerms": "Net 30",
        "CreditLimit": Decimal(limit),
    }
    finance.create("CustomersV3", body | more)


def sample_finance(clock: Clock | None = None) -> Finance:
    """Four companies, their items, and customers of every credit kind."""
    finance = Finance(ORIGIN, clock=clock, retry_delay=0.01)
    finance.register_application(APPLICATION)
    finance.add_company("usmf", "USD", "America/New_York", Decimal(10), number_sequence="manual")
    finance.add_company("demf", "EUR", "Europe/Berlin", Decimal(19))
    finance.add_company("jpmf", "JPY", "Asia/Tokyo", Decimal(10), number_sequence="manual")
    finance.add_company("kwmf", "KWD", "Asia/Kuwait", Decimal(0), number_sequence="manual")
    for company, price in (("usmf", "100.00"), ("demf", "100.00"), ("jpmf", "15000"), ("kwmf", "30.700")):
        finance.add_item(company, "P100", name="Headphones", price=Decimal(price), cost=Decimal(price) * 6 / 10)
    finance.add_item("usmf", "P099", name="Cartridge", price=Decimal("99.99"), cost=Decimal(60))
    customer(finance, "US-001", "100000.00")
    customer(finance, "US-002", "10000.00")
    customer(finance, "US-003", "0.00")
    customer(finance, "US-004", "0.00", CredManCustUnlimitedCredit="Yes")
    customer(finance, "US-005", "50000.00")
    customer(finance, "DE-001", "50000.00", "demf")
    customer(finance, "JP-001", "9000000", "jpmf")
    customer(finance, "KW-001", "50000.000", "kwmf")
    finance.set_credit_threshold("usmf", "US-002", Decimal(90))
    return finance


def bearer(audience: str = ORIGIN, app_id: str = APPLICATION, **options: Any) -> str:
    """An Authorization header of the product's application."""
    return "Bearer " + AUTHORITY.issue(audience, app_id=app_id, **options)


@asynccontextmanager
async def open_world(clock: Clock | None = None) -> AsyncIterator[World]:
    """A world whose client carries a good token."""
    finance = sample_finance(clock)
    transport = httpx.ASGITransport(build_app(finance, AUTHORITY))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Authorization": bearer()}) as client:
        yield World(finance, client)
    await finance.aclose()
