"""The whole product, started as a user starts it, and words to drive it from outside.

Nothing here reaches into a process: the stack is `q2c up`, Dynamics' people act at the sandbox's desk, approvers and
operators through the product's JSON API with tokens of their own. Amounts are read as text and must never be floats:
every JSON body is parsed by a reader that refuses a number with a fraction.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from tests.deadlines import PATIENCE
from tests.sealing import KEYS_FILE, SEALING

LOOK_EVERY = 0.1
TOKEN_LIFE = 600.0
"""Seconds a token is used: a release asks for a sign-in at most 15 minutes before."""

Json = dict[str, Any]


class FloatInJson(AssertionError):
    """An amount crossed an interface as a JSON number with a fraction."""


def exact(answer: httpx.Response) -> Any:
    """The body of an answer; raises FloatInJson where a number has a fraction (amounts are text)."""

    def refuse(text: str) -> Any:
        raise FloatInJson(f"{answer.request.method} {answer.request.url}: {text} is not text")

    return json.loads(answer.text, parse_float=refuse)


def money(text: object) -> Decimal:
    """An amount as both interfaces write it: text."""
    assert isinstance(text, str), f"{text!r} is not an amount as text"
    return Decimal(text)


class Refused(AssertionError):
    """An interface refused what a test expected it to take."""


@dataclass
class Desk:
    """The sandbox's desk: rep, warehouse and accounts receivable, and what both systems hold."""

    http: httpx.Client

    def get(self, path: str, **query: str) -> Any:
        return self._taken(self.http.get(path, params=query))

    def post(self, path: str, body: object = None) -> Any:
        return self._taken(self.http.post(path, json=body if body is not None else {}))

    def put(self, path: str, body: object) -> Any:
        return self._taken(self.http.put(path, json=body), amounts=False)

    def delete(self, path: str) -> Any:
        return self._taken(self.http.delete(path), amounts=False)

    def requests(self, since: str = "") -> list[Json]:
        """Requests the three systems saw; with times in milliseconds, which are no amounts."""
        seen: list[Json] = self.http.get("/requests", params={"since": since} if since else {}).json()
        return seen

    def _taken(self, answer: httpx.Response, *, amounts: bool = True) -> Any:
        if not answer.is_success:
            raise Refused(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
        return exact(answer) if amounts else answer.json()


@dataclass(frozen=True)
class Answer:
    """What the API answered to a decision or command: its status, and the code of a refusal."""

    status: int
    body: Json

    @property
    def code(self) -> str:
        """The refusal's code; empty where it was accepted."""
        return str(self.body.get("code", ""))

    @property
    def accepted(self) -> bool:
        """Whether the deal took it."""
        return self.status == 200 and self.body.get("accepted") is True


@dataclass
class Person:
    """Somebody with a token, at the product's JSON API."""

    name: str
    http: httpx.Client

    def get(self, path: str, **query: str | int) -> Any:
        answer = self.http.get(f"/api/v1{path}", params=query)
        if not answer.is_success:
            raise Refused(f"GET {path} as {self.name}: {answer.status_code} {answer.text}")
        return exact(answer)

    def post(self, path: str, body: Json) -> Answer:
        answer = self.http.post(f"/api/v1{path}", json=body)
        return Answer(answer.status_code, exact(answer))

    def inbox(self, quote: str = "") -> list[Json]:
        """What waits for this person's decision, of one quote or of all."""
        items: list[Json] = self.get("/approvals", limit=200)["items"]
        return [item for item in items if not quote or item["quote"] == quote]

    def decide(self, asked: Json, decision: str, *, comment: str = "", message_id: str = "", **other: Any) -> Answer:
        """Decide what an inbox item asks; `other` replaces parts of the body (a stale hash, another step)."""
        body = {
            "decision": decision,
            "comment": comment,
            "step": asked["step"],
            "seen_hash": asked["seen_hash"],
            "message_id": message_id or str(uuid.uuid4()),
        }
        return self.post(f"/approvals/{asked['company']}/{asked['quote']}/{asked['n']}/decision", body | other)

    def command(self, deal: Deal, name: str, **args: str) -> Answer:
        """Give a deal a command."""
        body = {"message_id": str(uuid.uuid4()), "args": args}
        return self.post(f"/cases/{deal.company}/{deal.quote}/commands/{name}", body)


@dataclass
class Stack:
    """A running `q2c up`."""

    process: subprocess.Popen[str]
    ready: Json
    desk: Desk
    _people: dict[str, tuple[float, Person]] = field(default_factory=dict)

    @classmethod
    def start(cls, state_dir: Path, **environment: str) -> Stack:
        """Start it with a clean environment, on free ports; returns when it is ready.

        The sweeps rest for an hour: what the product learns, it learns from webhooks and business events.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
        settings = {
            "Q2C_STATE_DIR": str(state_dir),
            "Q2C_WORKER_SWEEP_SECONDS": "3600",
            "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--ports", "auto"],
            stdout=subprocess.PIPE,
            text=True,
            env=inherited | settings | environment,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"`q2c up` ended with code {process.wait()}: {ended_because(state_dir)}")
        ready = json.loads(line)
        desk = Desk(httpx.Client(base_url=ready["desk"], timeout=PATIENCE, trust_env=False))
        return cls(process, ready, desk)

    def stop(self) -> None:
        """End it, and wait until every process has ended."""
        self.desk.http.close()
        for _, person in self._people.values():
            person.http.close()
        self.process.terminate()
        self.process.communicate(timeout=60)

    # --- who acts --------------------------------------------------------------------------------------------------

    def person(self, name: str) -> Person:
        """A sandbox user with an access token for the product's API (password: the name)."""
        kept = self._people.get(name)
        if kept and time.monotonic() - kept[0] < TOKEN_LIFE:
            return kept[1]
        token = self.token_of(name, f"api://{self.ready['web_client_id']}/.default openid")
        headers = {"authorization": f"Bearer {token}"}
        http = httpx.Client(base_url=self.ready["web"], headers=headers, timeout=PATIENCE, trust_env=False)
        self._people[name] = time.monotonic(), Person(name, http)
        return self._people[name][1]

    def token_of(self, name: str, scope: str) -> str:
        """An access token of a sandbox user (password: the name)."""
        answer = httpx.post(
            f"{self.ready['entra']}/{self.ready['tenant']}/oauth2/v2.0/token",
            data={
                "grant_type": "password",
                "client_id": self.ready["web_client_id"],
                "client_secret": self.ready["web_client_secret"],
                "username": f"{name}@contoso.example",
                "password": name,
                "scope": scope,
            },
            verify=ssl.create_default_context(cafile=self.ready["ca_file"]),
            trust_env=False,
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    @property
    def worker_pid(self) -> int:
        """Process id of the worker that runs now; a restarted one has a new id."""
        pids: dict[str, int] = json.loads((Path(self.ready["state_dir"]) / "pids.json").read_text())
        return pids["worker"]

    async def temporal(self) -> Client:
        """A client of the stack's Temporal, to read histories; it tells nothing to a deal."""
        return await Client.connect(self.ready["temporal"], plugins=[SEALING])

    # --- what there is to act on -----------------------------------------------------------------------------------

    def customer(self, **figures: str | bool) -> str:
        """A customer of USMF nobody else uses, with a limit of 1,000,000.00 unless said otherwise; its account."""
        account = f"T-{uuid.uuid4().hex[:10].upper()}"
        body = {"company": "usmf", "account": account, "name": f"Customer {account}", "credit_limit": "1000000.00"}
        self.desk.post("/customers", body | figures)
        return account

    def deal(self, *lines: Mapping[str, Any], customer: str = "", rep: str = "rita", **header: Any) -> Deal:
        """A draft quote of USMF in Sales, of a fresh customer unless one is named."""
        account = customer or self.customer()
        body = {"company": "usmf", "customer": account, "rep": rep, "lines": list(lines), "name": "Scenario", **header}
        made = self.desk.post("/quotes", body)
        return Deal(self, "usmf", made["quotenumber"], account)


def ended_because(state_dir: Path) -> str:
    """The end of every part's log: why a stack did not start."""
    return "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in sorted(state_dir.glob("*/*.log")))


def line(item: str, quantity: int | str, discount_pct: str | None = "0", **other: Any) -> Json:
    """A quote line: item, quantity and discount in per cent of the line."""
    return {"item": item, "quantity": str(quantity), "discount_pct": discount_pct, **other}


@dataclass
class Deal:
    """One quote and everything that becomes of it."""

    stack: Stack
    company: str
    quote: str
    customer: str

    # --- people in Dynamics ----------------------------------------------------------------------------------------

    def rep(self, action: str, **changes: Any) -> Json:
        """submit, activate, accept, revise, edit, lose or cancel, at the desk."""
        done: Json = self.stack.desk.post(f"/quotes/{self.quote}/{action}", changes)
        return done

    def ship(self, **quantity_by_line: str) -> str:
        """Post a packing slip of these quantities (`_1="6"`), or of all that remains; its number."""
        return str(self._post("ship", quantity_by_line)["PackingSlipId"])

    def invoice(self) -> Json:
        """Invoice what is delivered and not invoiced."""
        return self._post("invoice", {})

    def _post(self, action: str, quantity_by_line: Mapping[str, str]) -> Json:
        lines = [{"line": int(key[1:]), "quantity": quantity} for key, quantity in quantity_by_line.items()]
        body = {"lines": lines} if lines else {}
        done: Json = self.stack.desk.post(f"/orders/{self.company}/{self.case()['order_number']}/{action}", body)
        return done

    def pay(self, amount: str, *invoices: str) -> str:
        """The customer pays; the amount settles the invoices in order, each as far as it is open. The payment's id."""
        left, settlements = Decimal(amount), []
        open_amounts = {row["InvoiceNumber"]: money(row["open"]) for row in self.order()["invoices"]}
        for invoice in invoices or tuple(open_amounts):
            share = min(left, open_amounts[invoice])
            if share > 0:
                settlements.append({"invoice": invoice, "amount": str(share)})
                left -= share
        body = {"company": self.company, "customer": self.customer, "amount": amount, "settlements": settlements}
        return str(self.stack.desk.post("/payments", body)["PaymentId"])

    # --- where the deal stands -------------------------------------------------------------------------------------

    def case(self) -> Json:
        """The deal as the API shows it, with its timeline."""
        shown: Json = self.stack.person("otto").get(f"/cases/{self.company}/{self.quote}")
        return shown

    def sales(self) -> Json:
        """The quote as Sales has it, with its order and invoices there."""
        shown: Json = self.stack.desk.get(f"/quotes/{self.quote}")
        return shown

    def in_sales(self, approval: str) -> Json:
        """The quote as Sales has it, as soon as it shows an approval status: it is written after the deal knows it."""
        self.until(lambda _: self.sales()["approval"] == approval, f"{approval} in Sales")
        return self.sales()

    def order(self) -> Json:
        """The order as Finance has it."""
        shown: Json = self.stack.desk.get(f"/orders/{self.company}/{self.case()['order_number']}")
        return shown

    def orders(self) -> list[Json]:
        """All orders Finance holds for this quote: by the number the product put on them."""
        orders: list[Json] = self.stack.desk.get("/orders", company=self.company)
        return [
            row for row in orders if self.quote in (row["CustomersOrderReference"], row["CustomerRequisitionNumber"])
        ]

    def until(self, ready: Callable[[Json], object], what: str = "as expected", patience: float = PATIENCE) -> Json:
        """The deal as soon as it is so.

        Raises:
            AssertionError: it is not after `patience` seconds; the text shows how it stands.
        """
        deadline, shown = time.monotonic() + patience, {}
        while time.monotonic() < deadline:
            try:
                shown = self.case()
            except Refused as error:
                if "404" not in str(error) and "503" not in str(error):
                    raise
            else:
                if ready(shown):
                    return shown
            time.sleep(LOOK_EVERY)
        told = [f"{e['at']} v{e['version']} {e['code'] or 'ok'} {e['text']}" for e in shown.get("timeline", ())]
        brief = {k: v for k, v in shown.items() if k != "timeline"}
        raise AssertionError(f"{self.quote} is not {what}: {json.dumps(brief)[:1500]}\n" + "\n".join(told))

    def waits_for(self, what: str, patience: float = PATIENCE) -> Json:
        """The deal as soon as it waits for this, or has ended (`none`)."""
        return self.until(lambda case: case["explanation"]["waiting_for"] == what, f"waiting for {what}", patience)

    def ends(self, how: str, patience: float = PATIENCE) -> Json:
        """The deal as soon as it has ended, which must be so."""
        shown = self.until(lambda case: case["ending"], f"ended {how}", patience)
        assert shown["ending"] == how
        return shown

    def asks(self, name: str) -> Json:
        """The item in this person's inbox as soon as it is there."""
        found: list[Json] = []

        def look() -> bool:
            found.extend(self.stack.person(name).inbox(self.quote))
            return bool(found)

        eventually(look, f"{name} is asked")
        assert len(found) == 1, found
        return found[0]

    # --- stories several tests begin with --------------------------------------------------------------------------

    def submitted(self, waits_for: str = "rep") -> Json:
        """Submit, and wait until the product has read the quote."""
        self.rep("submit")
        return self.waits_for(waits_for)

    def accepted(self, waits_for: str = "shipment") -> Json:
        """Submit, activate, accept: no approval is needed."""
        self.submitted()
        self.rep("activate")
        self.waits_for("customer")
        self.rep("accept")
        return self.waits_for(waits_for)


def eventually(look: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until a look finds what it looks for.

    Raises:
        AssertionError: it does not within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not look():
        assert time.monotonic() < deadline, f"not so after {patience:.0f} s: {what}"
        time.sleep(LOOK_EVERY)


def refusals(case: Json) -> list[tuple[str, str]]:
    """Who was refused with which code, oldest first."""
    return [(entry["actor"]["name"], entry["code"]) for entry in case["timeline"] if not entry["accepted"]]


def texts(case: Json) -> list[str]:
    """What happened to a deal, in words, oldest first."""
    return [entry["text"] for entry in case["timeline"]]


def assert_sound(
    deal: Deal, *, orders: int = 1, parked: bool = False, exceptions: Sequence[str] = (), larger: bool = False
) -> Json:
    """What must hold of every deal, whatever happened to it; returns the deal.

    Exactly so many orders in Finance; every accepted transition raised the version, every refusal left it and carries
    a code, somebody and a moment; nothing parked and no exception open unless said; Sales, Finance and the deal agree,
    but for the net of an order that was made ``larger``: the quote and its deal keep what was quoted.
    """
    # The web reads a deal and then its timeline: what happened in between stands in the timeline only.
    case = deal.until(lambda case: case["version"] == versions_of(case)[-1], "of the version its timeline ends with")
    versions = versions_of(case)
    assert versions == sorted(set(versions)), f"versions must strictly increase: {versions}"
    for entry in case["timeline"]:
        assert entry["actor"]["name"] and entry["at"] and entry["text"], entry
        assert bool(entry["code"]) is not entry["accepted"], entry
    assert bool(case["parked"]) is parked, case["parked"]
    assert [text.partition(":")[0] for text in case["exceptions"]] == list(exceptions), case["exceptions"]
    assert len(deal.orders()) == orders
    if orders:
        assert_systems_agree(deal, case, larger=larger)
    else:
        assert case["order_number"] == ""
    return case


def versions_of(case: Json) -> list[int]:
    """The versions that accepted transitions made, oldest first."""
    return [entry["version"] for entry in case["timeline"] if entry["accepted"]]


def assert_systems_agree(deal: Deal, case: Json, *, larger: bool = False) -> None:
    """Sales, Finance and the deal hold the same quantities, amounts and documents."""
    sales, order = deal.sales(), deal.order()
    (shown,) = [row for row in sales["orders"] if row["finance_order"]]
    assert shown["finance_order"] == case["order_number"] == order["header"]["SalesOrderNumber"]
    assert money(case["net"]) == money(sales["net"])
    sold = [row for row in order["lines"] if money(row["OrderedSalesQuantity"]) > 0]  # the others take goods back
    assert (money(case["net"]) == total(sold, "LineAmount")) is not larger
    assert money(case["total"]) == money(sales["total"])
    ordered = {row["LineCreationSequenceNumber"]: money(row["OrderedSalesQuantity"]) for row in sold}
    assert {row["line_no"]: money(row["ordered"]) for row in case["lines"]} == ordered
    for row in case["lines"]:
        slips = [slip for slip in order["slips"] if slip["line"] == row["line_no"]]
        assert money(row["shipped"]) == total(slips, "quantity")
    in_sales = {i["finance_invoice"]: (money(i["total"]), money(i["open"])) for i in shown["invoices"]}
    in_finance = {i["InvoiceNumber"]: (money(i["TotalInvoiceAmount"]), money(i["open"])) for i in order["invoices"]}
    in_deal = {
        d["number"]: (money(d["amount"]), money(d["open_amount"]))
        for d in case["documents"]
        if d["kind"] in ("invoice", "credit note")
    }
    assert in_sales == in_finance == in_deal


def total(rows: Iterable[Json], column: str) -> Decimal:
    """The sum of a column of amounts or quantities."""
    return sum((money(row[column]) for row in rows), Decimal(0))


def decimals(*numbers: int | str) -> tuple[Decimal, ...]:
    """Numbers to compare amounts and quantities with."""
    return tuple(Decimal(number) for number in numbers)


def ledger(case: Json) -> list[tuple[Decimal, ...]]:
    """Each order line's ordered, cancelled, shipped, returned, invoiced and credited quantity."""
    columns = ("ordered", "cancelled", "shipped", "returned", "invoiced", "credited")
    return [tuple(money(row[column]) for column in columns) for row in case["lines"]]
