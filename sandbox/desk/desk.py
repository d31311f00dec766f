"""The desk's state and verbs that concern the sandbox as a whole: autopilot, reset, clock, endpoints, totals."""

from __future__ import annotations

import urllib.parse
from collections import Counter
from dataclasses import asdict, fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sandbox.data.ids import row_id
from sandbox.data.install import READER_ROLE, install, install_customer
from sandbox.data.model import Customer, Dataset, OpenInvoice
from sandbox.dataverse import Dataverse, DataverseError, dualwrite
from sandbox.dataverse.security import GLOBAL, grant
from sandbox.desk.autopilot import Autopilot
from sandbox.desk.back_office import BackOffice
from sandbox.desk.clerks import Clerks
from sandbox.desk.deciders import Deciders
from sandbox.desk.finance_desk import FinanceDesk
from sandbox.desk.movement import Movement
from sandbox.desk.people import SignIn
from sandbox.desk.plans import AutopilotConfig
from sandbox.desk.product import Product
from sandbox.desk.rep import Rep
from sandbox.desk.requests import DeskError, DualWriteRequest, EndpointsRequest, LimitsRequest, NewCustomerRequest
from sandbox.entra.directory import WEB_CLIENT_ID, Directory
from sandbox.faults import FaultPlan, RequestLog
from sandbox.finance import Finance, FinanceError
from sandbox.store import Clock

_DUE_IN_DAYS = 10


class Desk:
    """Everything one can do to the sandbox from outside its three systems."""

    def __init__(
        self,
        *,
        dataverse: Dataverse,
        finance: Finance,
        directory: Directory,
        dataset: Dataset,
        clock: Clock,
        faults: FaultPlan,
        requests: RequestLog,
        sign_in: SignIn,
    ) -> None:
        self.dataset = dataset
        self.directory = directory
        self.faults = faults
        self.requests = requests
        self.rep = Rep(dataverse, dataset)
        self.finance_desk = FinanceDesk(finance)
        self.office = BackOffice(finance, self.finance_desk, dataset)
        self.autopilot = Autopilot(self.rep, self.office, self.finance_desk, dataset)
        movement = Movement(self.rep, self.office, self.autopilot)
        self.product = Product(sign_in)
        clerks = Clerks(self.autopilot, self.rep, self.finance_desk, directory, self.product)
        self.deciders = Deciders(self.autopilot, movement, directory, self.product, clerks)
        self._dataverse = dataverse
        self._finance = finance
        self._clock = clock
        self._webhook: tuple[str, str] | None = None
        self._quote_link = ""
        self.runs_link = ""
        dataverse.db.on_commit(self.autopilot.sales_changed)
        finance.db.on_commit(self.autopilot.finance_changed)

    async def play(self, config: AutopilotConfig) -> None:
        """Let the autopilot play by this configuration, or stop it."""
        self.autopilot.configure(config)
        if config.enabled and config.approvals_api:
            await self.deciders.start(config.approvals_api.rstrip("/"))
        else:
            await self.deciders.stop()

    async def stop(self) -> None:
        """Nobody plays any more."""
        await self.deciders.stop()
        await self.autopilot.stop()

    async def reset(self) -> None:
        """Everything as at the start: data, faults, request log, clock; the autopilot is off. Endpoints stay."""
        await self.stop()
        self.autopilot.forget()
        self.deciders.forget()
        self.faults.clear()
        self.requests.clear()
        self._clock.offset = timedelta(0)
        endpoint = self._finance.events.endpoint
        self._dataverse.set_webhook(None)
        self._finance.set_endpoint(None)
        self._dataverse.clear()
        self._finance.clear()
        self.load()
        self._finance.set_endpoint(endpoint)
        if self._webhook:
            self._dataverse.set_webhook(*self._webhook)

    def load(self) -> None:
        """Fill the empty systems with the data set, and let the reps enter its quotes."""
        install(self.dataset, self._dataverse, self._finance, self.directory)
        for planned in self.dataset.quotes:
            self.rep.enter_planned(planned)
        self.office.remember_start()

    def add_customer(self, wanted: NewCustomerRequest) -> dict[str, Any]:
        """Make a customer in both systems, or in one; returns its credit figures, as far as Finance has it.

        Raises:
            DeskError: 404, no such company; 409, there is such a customer already, or a system refuses a value.
        """
        company = wanted.company.lower()
        try:
            self.dataset.company(company)
        except KeyError:
            raise DeskError(f"no company {wanted.company}", field="company", status=404) from None
        if self._finance.get("CustomersV3", (company, wanted.account)) is not None:
            raise DeskError(f"customer {wanted.account} exists already", field="account", status=409)
        customer = Customer(
            company,
            wanted.account,
            wanted.name,
            wanted.credit_limit,
            unlimited=wanted.unlimited,
            threshold_pct=wanted.threshold_pct,
            payment_terms=wanted.payment_terms,
            prices_include_tax=wanted.prices_include_tax,
            open_invoices=(OpenInvoice(wanted.open_ar, _DUE_IN_DAYS),) if wanted.open_ar else (),
            street=wanted.street,
            city=wanted.city,
            state=wanted.state,
            postal_code=wanted.postal_code,
            country=wanted.country,
            email=wanted.email,
            phone=wanted.phone,
            tax_number=wanted.tax_number,
            in_finance=wanted.only_in != "sales",
            in_sales=wanted.only_in != "finance",
        )
        try:
            install_customer(self.dataset, self._dataverse, self._finance, customer)
        except FinanceError as error:
            raise DeskError(str(error), status=409, system="finance") from error
        except DataverseError as error:
            raise DeskError(error.message, status=409, system="dataverse") from error
        if customer.in_finance:
            return self.office.customer(company, wanted.account)
        return {"company": company, "account": wanted.account, "name": wanted.name}

    def unsynced(self) -> list[dict[str, Any]]:
        """Accounts of the data set that Sales has without a number, because Finance never got them."""
        return [
            {"company": customer.company, "account": customer.account, "name": f"{customer.name}, not in Finance"}
            for customer in self.dataset.customers
            if not customer.in_finance
        ]

    def set_clock(self, offset_seconds: float) -> dict[str, Any]:
        """Put the sandbox's clock ahead of (or behind) the real one."""
        self._clock.offset = timedelta(seconds=offset_seconds)
        return {"offset_seconds": offset_seconds, "now": self._clock.now().isoformat()}

    def expire_delta_links(self) -> dict[str, Any]:
        """End the life of every delta link Dataverse has given out until now."""
        self._dataverse.changes.expire()
        return {"ok": True}

    def set_dual_write(self, wanted: DualWriteRequest) -> dict[str, Any]:
        """Let dual-write have these maps; the application that reads in bulk may read which.

        Raises:
            DeskError: 404, no such table.
        """
        maps = [
            dualwrite.Map(
                each.table,
                each.entity,
                [(ours.upper(), theirs, each.direction) for ours, theirs in each.fields.items()],
                each.version,
                each.running,
            )
            for each in wanted.maps
        ]
        try:
            dualwrite.set_maps(self._dataverse, maps)
        except KeyError as error:
            raise DeskError(f"no table {error}", field="maps", status=404) from error
        if role := self._dataverse.rows("role", name=READER_ROLE):
            grant(self._dataverse.db, role[0]["roleid"], dualwrite.PRIVILEGES, GLOBAL)
        return {"maps": len(maps)}

    def set_endpoints(self, endpoints: EndpointsRequest) -> dict[str, Any]:
        """Say where the product listens."""
        if endpoints.dataverse_webhook:
            self._webhook = endpoints.dataverse_webhook.url, endpoints.dataverse_webhook.key
            self._dataverse.set_webhook(*self._webhook)
        if endpoints.finance_events:
            self._finance.set_endpoint(endpoints.finance_events.url)
        if endpoints.web_redirect_uris is not None:
            web = self.directory.applications[WEB_CLIENT_ID]
            self.directory.applications[WEB_CLIENT_ID] = replace(web, redirect_uris=tuple(endpoints.web_redirect_uris))
        if endpoints.quote_link is not None:
            self._quote_link = endpoints.quote_link
        if endpoints.runs_link is not None:
            self.runs_link = endpoints.runs_link
        return {"ok": True}

    def endpoints(self) -> dict[str, Any]:
        """Where the product listens, with the secrets it is told by: the desk hides nothing of the sandbox."""
        url, key = self._webhook or (None, None)
        return {"dataverse_webhook": {"url": url, "key": key}, "finance_events": {"url": self._finance.events.endpoint}}

    @property
    def site(self) -> str:
        """Origin of the product's site, that of the link on a quote's form; empty: not known."""
        link = urllib.parse.urlsplit(self._quote_link)
        return f"{link.scheme}://{link.netloc}" if link.netloc else ""

    def quote_link(self, company: str, number: str) -> str:
        """Where the link on a quote's form leads; empty: there is none."""
        company, quote = (urllib.parse.quote(part, safe="") for part in (company.lower(), number))
        return self._quote_link.replace("{company}", company).replace("{quote}", quote)

    def set_limits(self, wanted: LimitsRequest) -> dict[str, Any]:
        """Change how much the systems bear before they throttle; says what holds now."""
        limits = self._dataverse.protection.limits
        for name in ("requests", "execution_seconds", "concurrent", "window_seconds"):
            value = getattr(wanted, name)
            if value is not None:
                setattr(limits, name, value)
        if wanted.finance_retry_after is not None:
            self._finance.high_utilization = wanted.finance_retry_after or None
        return {
            "requests": limits.requests,
            "execution_seconds": limits.execution_seconds,
            "concurrent": limits.concurrent,
            "window_seconds": limits.window_seconds,
            "finance_retry_after": self._finance.high_utilization or 0,
        }

    def kept(self) -> Any:
        """Endpoints, limits and whatever else was set here: what lasts beside both systems."""
        finance = self._finance
        return (
            (self._webhook, self._quote_link, self.runs_link, self._clock.offset),
            (self.directory.people, self.directory.applications),
            (self._dataverse.protection.limits, finance.high_utilization),
            (finance.behaviour, finance.odata.default_company),
            self.faults.faults,
        )

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        endpoints, people, (limits, high_utilization), (behaviour, company), faults = kept
        self._webhook, self._quote_link, self.runs_link, self._clock.offset = endpoints
        self.directory.people, self.directory.applications = people
        self._dataverse.protection.limits = limits
        self._finance.high_utilization = high_utilization
        for setting in fields(behaviour):
            setattr(self._finance.behaviour, setting.name, getattr(behaviour, setting.name))
        self._finance.odata.default_company = company
        self.faults.replace(faults)

    def deliveries(self) -> dict[str, Any]:
        """Webhooks sent and lost, business events raised and stuck in the error log."""
        webhooks, events = self._dataverse.webhooks, self._finance.events
        return {
            "webhooks": {"sent": webhooks.sent, "failed": [asdict(failure) for failure in webhooks.failures]},
            "events": {
                "raised": len(events.history),
                "failed": [{"event": entry.event, "reason": entry.reason} for entry in events.error_log],
            },
        }

    def resend(self) -> int:
        """Send the business events of the error log again; how many."""
        return self._finance.events.resend_failed()

    def people(self) -> list[dict[str, Any]]:
        """The users of the tenant: for policies that name approvers."""
        return [
            {
                "name": person.name,
                "oid": person.oid,
                "upn": person.upn,
                "display_name": person.display_name,
                "title": person.title,
                "company": person.company,
                "business_unit": row_id("businessunit", person.company),
                "roles": list(person.roles),
            }
            for person in self.directory.people.values()
        ]

    def autopilot_status(self) -> dict[str, Any]:
        """What is configured, what has been done so far, and what was refused."""
        return {
            "config": self.autopilot.config,
            "submitting": self.autopilot.submitting,
            "done": dict(self.autopilot.played.done + self.product.done),
            "problems": [*self.autopilot.problems, *self.product.problems],
        }

    def state(self) -> dict[str, Any]:
        """Counts and sums of what both systems hold, without what was there at the start.

        `duplicates` counts orders in Finance beyond one for each quote; amounts are by currency.
        """
        quotes = self.rep.quotes()
        orders = self.office.new_orders()
        by_quote = Counter(order["quote"] for order in orders if order["quote"])
        money: dict[str, dict[str, Decimal]] = {}
        for order in orders:
            entry = money.setdefault(order["currency"], dict.fromkeys(("net", "tax", "invoiced", "paid"), Decimal(0)))
            for name in entry:
                entry[name] += order[name]
        return {
            "quotes": {
                "total": len(quotes),
                "by_state": Counter(quote["state"] for quote in quotes),
                "by_approval": Counter(quote["approval"] for quote in quotes),
                "by_credit": Counter(quote["credit"] for quote in quotes),
            },
            "orders": {
                "total": len(orders),
                "duplicates": sum(count - 1 for count in by_quote.values()),
                "without_quote": sum(1 for order in orders if not order["quote"]),
                "by_status": Counter(order["processing_status"] for order in orders),
            },
            "money": money,
        }
