"""Plays approvers, credit manager and operator through the product's own JSON API.

They are the only people who do not work in Sales or Finance, so the sandbox knows nothing the product does not tell
them: each signs in as a real user, reads the inbox, and sends a decision, as a person in a browser would. What they do
with a deal is in its plan.

The credit manager's rule: a hold is released only when nothing of that customer moves any more, oldest quote first, and
only when two looks in a row find it so: money still to come in has then had its chance to free credit by itself.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from sandbox.desk.autopilot import Autopilot
from sandbox.desk.clerks import Clerks
from sandbox.desk.movement import Movement
from sandbox.desk.product import Product
from sandbox.entra.directory import Directory, Person

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.75
_CREDIT_LOOK_EVERY_SECONDS = 1.5
_APPROVER_ROLES = frozenset({"sales_manager", "sales_director", "cfo", "legal"})
_AT_ONCE = 4
_RETRY_AFTER_SECONDS = 3.0
_RELEASE_DAYS = 30

Duty = Callable[[httpx.AsyncClient, Person], Awaitable[None]]


class Deciders:
    """People who decide in the product."""

    def __init__(
        self, autopilot: Autopilot, movement: Movement, directory: Directory, product: Product, clerks: Clerks
    ) -> None:
        self._autopilot = autopilot
        self._movement = movement
        self._directory = directory
        self._product = product
        self._clerks = clerks
        self._tasks: list[asyncio.Task[None]] = []
        self._decided: dict[tuple[Any, ...], float] = {}
        self._requests: dict[tuple[str, str], set[int]] = {}
        self._still: dict[str, tuple[str, ...]] = {}
        self._released: dict[tuple[str, str], float] = {}
        self._retried: dict[tuple[str, str], float] = {}

    async def start(self, api: str) -> None:
        """Begin to look, everybody for himself, at the product's origin `api`."""
        await self.stop()
        for person in self._directory.people.values():
            roles = {role.partition(".")[0] for role in person.roles}
            if roles & _APPROVER_ROLES:
                self._begin(api, person, self._decide_inbox, _LOOK_EVERY_SECONDS)
            if "credit_manager" in roles:
                self._begin(api, person, self._release_credit, _CREDIT_LOOK_EVERY_SECONDS)
            if "sales_rep" in roles:
                self._begin(api, person, self._clerks.look, _CREDIT_LOOK_EVERY_SECONDS)
            if "ops" in roles:
                self._begin(api, person, self._retry_parked, _CREDIT_LOOK_EVERY_SECONDS)

    async def stop(self) -> None:
        """Everybody goes home."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def forget(self) -> None:
        """Forget what was decided: the deals are gone."""
        for memory in (self._decided, self._requests, self._still, self._released, self._retried):
            memory.clear()
        self._clerks.forget()

    def kept(self) -> Any:
        """Which requests of a deal were seen: what lasts. When one last looked does not."""
        return self._requests

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self._requests = kept

    # --- approvers -------------------------------------------------------------------------------------------------

    async def _decide_inbox(self, http: httpx.AsyncClient, person: Person) -> None:
        items = await self._product.list(http, person, "/api/v1/approvals", {})
        now = asyncio.get_running_loop().time()
        todo = []
        for item in items:
            if person.oid not in item["assignees"]:
                continue
            key = (item["company"], item["quote"], item["n"], item["step"], person.oid)
            if self._decided.get(key, 0) > now:
                continue
            number = self._request_number(item)
            decision = self._autopilot.plan(item["quote"]).decision(number)
            if decision == "leave":
                continue
            self._decided[key] = now + 3600
            todo.append((key, item, decision))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(key: tuple[Any, ...], item: dict[str, Any], decision: str) -> None:
            decided = False
            try:
                async with gate:
                    decided = await self._decide(http, person, item, decision)
            finally:  # no answer is no decision: it is asked again
                if not decided:
                    self._decided[key] = asyncio.get_running_loop().time() + _RETRY_AFTER_SECONDS

        if todo:
            await asyncio.sleep(self._autopilot.config.delays.decide)
            await asyncio.gather(*(one(*entry) for entry in todo))

    def _request_number(self, item: dict[str, Any]) -> int:
        """Which request of the deal this is, counted from 1 (a new revision may start a new count in the product)."""
        known = self._requests.setdefault((item["company"], item["quote"]), set())
        known.add(item["n"])
        return sorted(known).index(item["n"]) + 1

    async def _decide(self, http: httpx.AsyncClient, person: Person, item: dict[str, Any], decision: str) -> bool:
        plan = self._autopilot.plan(item["quote"])
        body = {
            "decision": decision,
            "comment": plan.comment,
            "step": item["step"],
            "seen_hash": item["seen_hash"],
            "message_id": str(uuid.uuid4()),
        }
        path = f"/api/v1/approvals/{item['company']}/{item['quote']}/{item['n']}/decision"
        return await self._product.send(http, person, path, body, decision)

    # --- credit manager and operator -------------------------------------------------------------------------------

    async def _release_credit(self, http: httpx.AsyncClient, person: Person) -> None:
        held = await self._product.list(http, person, "/api/v1/cases", {"waiting_for": "credit", "status": "running"})
        by_customer: dict[str, list[dict[str, Any]]] = {}
        for case in held:
            if self._autopilot.plan(case["quote"]).credit_release and not case.get("error"):
                by_customer.setdefault(f"{case['company']}/{case['customer']}", []).append(case)
        still = {}
        now = asyncio.get_running_loop().time()
        for customer, cases in by_customer.items():
            numbers = tuple(sorted(case["quote"] for case in cases))
            if self._movement.of(cases[0]["company"], cases[0]["customer"], frozenset(numbers)):
                continue
            still[customer] = numbers
            if self._still.get(customer) != numbers:
                continue
            oldest = min(cases, key=lambda case: (case["started_at"], case["quote"]))
            key = (oldest["company"], oldest["quote"])
            if self._released.get(key, 0) <= now:
                self._released[key] = now + _RETRY_AFTER_SECONDS
                await self._release(http, person, oldest)
        self._still = still

    async def _release(self, http: httpx.AsyncClient, person: Person, case: dict[str, Any]) -> bool:
        valid_until = datetime.now(UTC).date() + timedelta(days=_RELEASE_DAYS)
        args = {
            "reason": "Nothing else of this customer is under way. Played by the sandbox.",
            "valid_until": valid_until.isoformat(),
            "ceiling": str(case["amount"]),
            "deviation_pct": "0",
        }
        return await self._product.command(http, person, _path(case), "credit_release", args)

    async def _retry_parked(self, http: httpx.AsyncClient, person: Person) -> None:
        if not self._anything_to_retry():
            return
        now = asyncio.get_running_loop().time()
        parked = {"waiting_for": "operator", "status": "running"}
        for case in await self._product.list(http, person, "/api/v1/cases", parked):
            key = (case["company"], case["quote"])
            if self._autopilot.plan(case["quote"]).retry_parked and self._retried.get(key, 0) <= now:
                self._retried[key] = now + _RETRY_AFTER_SECONDS
                await self._product.command(http, person, _path(case), "retry", {"reason": "Played by the sandbox."})

    def _anything_to_retry(self) -> bool:
        config = self._autopilot.config
        plans = [*config.plans.values(), *([config.default_plan] if config.default_plan else [])]
        return any(plan.retry_parked for plan in plans)

    def _begin(self, api: str, person: Person, duty: Duty, pause: float) -> None:
        self._tasks.append(asyncio.create_task(self._serve(api, person, duty, pause), name=f"{person.name} decides"))

    async def _serve(self, api: str, person: Person, duty: Duty, pause: float) -> None:
        async with httpx.AsyncClient(base_url=api, trust_env=False, timeout=30.0) as http:
            while True:
                try:
                    await duty(http, person)
                except httpx.HTTPError as error:
                    # The product may be down or restarting: people reload the page and go on.
                    self._product.note(person, f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause)


def _path(case: dict[str, Any]) -> str:
    return f"/cases/{case['company']}/{case['quote']}"
