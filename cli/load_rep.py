"""Plays a sales rep of the sandbox for `q2c load`: through Dataverse's Web API, as that user, and nothing else."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import httpx

from dynamics.core.errors import DynamicsError, Throttled, Transient
from dynamics.core.literals import key, literal, query
from dynamics.core.odata import Row
from dynamics.sales.client import Dataverse
from dynamics.sales.options import ApprovalChoice, QuoteState, QuoteStatus
from workers.settings import Settings

T = TypeVar("T")

TRIES = 8
VALID = timedelta(days=30)
SAMPLE_CUSTOMER, SAMPLE_ITEM, SAMPLE_QUANTITY = "US-004", "P250", 8
_HEADER = "_customerid_value,_pricelevelid_value,_transactioncurrencyid_value,_ownerid_value,discountpercentage"
_LINES = "_productid_value,_uomid_value,quantity,ispriceoverridden,priceperunit,manualdiscountamount,tax"


class NoSample(Exception):
    """There is nothing to copy; the text says what to name."""


class RepTokens:
    """Tokens of a user of the sandbox, whose password is the name."""

    def __init__(self, settings: Settings, name: str) -> None:
        """Ask the sandbox's Entra ID for ``name``."""
        self._settings, self._name = settings, name
        self._kept = ""

    async def token(self) -> str:
        """A token for Dataverse; asked for once, until it is dropped."""
        if not self._kept:
            of, web = self._settings.entra, self._settings.web
            form = {
                "grant_type": "password",
                "client_id": web.client_id,
                "client_secret": web.client_secret.get_secret_value(),
                "username": f"{self._name}@contoso.example",
                "password": self._name,
                "scope": f"{self._settings.dataverse.url}/.default",
            }
            tls = ssl.create_default_context(cafile=str(self._settings.ca_file) if self._settings.ca_file else None)
            async with httpx.AsyncClient(verify=tls, trust_env=False) as http:
                answer = await http.post(f"{of.authority}/oauth2/v2.0/token", data=form)
            if not answer.is_success:
                raise NoSample(f"--rep: the sandbox gives no token for {self._name}: {answer.status_code}")
            self._kept = str(answer.json()["access_token"])
        return self._kept

    def drop(self, token: str) -> None:
        """It was refused: ask for another."""
        self._kept = ""


@dataclass(frozen=True)
class Sample:
    """What each quote is made of."""

    header: Row
    lines: tuple[Row, ...]


class Rep:
    """A rep in Sales, who is throttled as anybody else."""

    def __init__(self, sales: Dataverse) -> None:
        """Act through a client with the rep's token."""
        self._odata = sales.odata
        self.requests: Counter[str] = Counter()

    async def sample(self, like: str) -> Sample:
        """What a quote is made of; ``like`` empty: the sandbox's sample.

        Raises:
            NoSample: there is none.
        """
        return await (self._copied(like) if like else self._usual())

    async def _copied(self, number: str) -> Sample:
        found = await self._odata.page(
            query(
                "quotes",
                select=f"quoteid,{_HEADER}",
                filter=f"quotenumber eq {literal(number)}",
                orderby="revisionnumber desc",
                top=1,
            )
        )
        if not found.rows:
            raise NoSample(f"--like: Sales has no quote {number}")
        row = found.rows[0]
        lines = await self._odata.all_rows(
            query("quotedetails", select=_LINES, filter=f"_quoteid_value eq {row['quoteid']}", orderby="lineitemnumber")
        )
        header = _bound(row["_customerid_value"], row["_pricelevelid_value"], row["_transactioncurrencyid_value"])
        header["discountpercentage"] = row.get("discountpercentage")
        return Sample(header, tuple(_line(each, number) for number, each in enumerate(lines, 1)))

    async def _usual(self) -> Sample:
        wanted = f"accountnumber eq {literal(SAMPLE_CUSTOMER)}"
        accounts = (await self._odata.page(query("accounts", select="accountid", filter=wanted))).rows
        products = (
            await self._odata.page(
                query(
                    "products",
                    select="productid,_defaultuomid_value",
                    filter=f"productnumber eq {literal(SAMPLE_ITEM)}",
                )
            )
        ).rows
        if not (accounts and products):
            raise NoSample(f"--like: the sandbox has no {SAMPLE_CUSTOMER} or no {SAMPLE_ITEM}; name a quote to copy")
        product = products[0]
        prices = await self._odata.page(
            query(
                "productpricelevels",
                select="_pricelevelid_value,_transactioncurrencyid_value",
                filter=f"_productid_value eq {product['productid']}",
                expand="pricelevelid($select=name)",
            )
        )
        listed = next((row for row in prices.rows if "USMF" in str(row["pricelevelid"]["name"]).upper()), None)
        if listed is None:
            raise NoSample(f"--like: no price list of USMF has {SAMPLE_ITEM}; name a quote to copy")
        line = {"_productid_value": product["productid"], "_uomid_value": product["_defaultuomid_value"]}
        header = _bound(accounts[0]["accountid"], listed["_pricelevelid_value"], listed["_transactioncurrencyid_value"])
        return Sample(header, (_line(line | {"quantity": SAMPLE_QUANTITY}, 1),))

    async def make(self, sample: Sample, name: str) -> tuple[UUID, str]:
        """A draft quote; its id and number."""
        quote_id = uuid.uuid4()
        body: Row = {
            **sample.header,
            "quoteid": str(quote_id),
            "name": name,
            "expireson": (datetime.now(UTC) + VALID).date().isoformat(),
            "q2c_approvalstatus": int(ApprovalChoice.NONE),
            "quote_details": list(sample.lines),
        }
        await self._sent("make", lambda: self._odata.post("quotes", body))
        row = await self._sent("read", lambda: self._odata.get(query(key("quotes", quote_id), select="quotenumber")))
        return quote_id, str(row["quotenumber"])

    async def submit(self, quote_id: UUID) -> None:
        """Ask for approval."""
        body = {"q2c_approvalstatus": int(ApprovalChoice.REQUESTED)}
        await self._sent("submit", lambda: self._odata.patch(key("quotes", quote_id), body))

    async def win(self, quote_id: UUID) -> None:
        """Send it to the customer, who accepts."""
        active = {"statecode": int(QuoteState.ACTIVE), "statuscode": 2}
        await self._sent("activate", lambda: self._odata.patch(key("quotes", quote_id), active))
        close = {
            "@odata.type": "Microsoft.Dynamics.CRM.quoteclose",
            "subject": "Accepted by the load",
            "quoteid@odata.bind": f"/quotes({quote_id})",
        }
        body = {"Status": int(QuoteStatus.WON), "QuoteClose": close}
        await self._sent("win", lambda: self._odata.action("WinQuote", body))

    async def delete(self, quote_id: UUID) -> None:
        """Remove a draft."""
        await self._sent("delete", lambda: self._odata.delete(key("quotes", quote_id)))

    async def _sent(self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """The answer to a request; where the system asks for patience, it gets it."""
        for attempt in range(TRIES):
            self.requests["sent"] += 1
            try:
                return await send()
            except (Throttled, Transient) as error:
                self.requests["throttled" if isinstance(error, Throttled) else "not answered"] += 1
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(error.retry_after or 1.0)
            except DynamicsError:
                self.requests["refused"] += 1
                raise
        raise AssertionError(what)


def _bound(customer: str, price_list: str, currency: str) -> Row:
    return {
        "customerid_account@odata.bind": f"/accounts({customer})",
        "pricelevelid@odata.bind": f"/pricelevels({price_list})",
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency})",
    }


def _line(row: Mapping[str, Any], number: int) -> Row:
    body: Row = {
        "productid@odata.bind": f"/products({row['_productid_value']})",
        "uomid@odata.bind": f"/uoms({row['_uomid_value']})",
        "quantity": Decimal(row["quantity"]),
        "manualdiscountamount": Decimal(row.get("manualdiscountamount") or 0),
        "tax": Decimal(row.get("tax") or 0),
        "lineitemnumber": number,
        "sequencenumber": number,
    }
    if row.get("ispriceoverridden"):
        body |= {"ispriceoverridden": True, "priceperunit": Decimal(row["priceperunit"])}
    return body
