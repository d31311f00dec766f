"""The product's own JSON API, as the people played by the sandbox use it: each signed in as a real user.

What is not taken is noted and tried again by whoever wanted it, as a person reloads a page and goes on.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox.desk.people import SignIn
from sandbox.entra.directory import Person

_PAGE = 200
_PAGES_AT_MOST = 100
_PROBLEMS_KEPT = 200


class Product:
    """Says to the product what people say; counts what was done, and keeps what was refused."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self.done: Counter[str] = Counter()
        self.problems: deque[dict[str, str]] = deque(maxlen=_PROBLEMS_KEPT)

    async def command(
        self, http: httpx.AsyncClient, person: Person, path: str, name: str, args: dict[str, Any]
    ) -> bool:
        """Give a command to what stands under a path; whether it was taken."""
        body = {"message_id": str(uuid.uuid4()), "args": args}
        return await self.send(http, person, f"/api/v1{path}/commands/{name}", body, name)

    async def send(self, http: httpx.AsyncClient, person: Person, path: str, body: dict[str, Any], what: str) -> bool:
        """Send a body; whether it was taken. `what` is the name it is counted under."""
        answer = await http.post(path, json=body, headers=await self._headers(person))
        if answer.is_success:
            self.done[what] += 1
            return True
        if answer.status_code == 401:
            self._sign_in.forget(person.name)
        self.note(person, f"{what} {path}: {answer.status_code} {answer.text[:300]}")
        return False

    async def list(
        self, http: httpx.AsyncClient, person: Person, path: str, query: dict[str, str]
    ) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_PAGES_AT_MOST):
            params = query | {"limit": str(_PAGE)} | ({"cursor": cursor} if cursor else {})
            answer = await http.get(path, params=params, headers=await self._headers(person))
            if answer.status_code == 401:
                self._sign_in.forget(person.name)
            answer.raise_for_status()
            body = answer.json()
            items += body["items"]
            cursor = body["next_cursor"]
            if not cursor:
                break
        return items

    async def get(self, http: httpx.AsyncClient, person: Person, path: str) -> dict[str, Any] | None:
        """What stands under a path; None where there is nothing yet, or nobody answers for it."""
        answer = await http.get(f"/api/v1{path}", headers=await self._headers(person))
        if answer.status_code == 401:
            self._sign_in.forget(person.name)
        found: dict[str, Any] | None = answer.json() if answer.is_success else None
        return found

    def note(self, person: Person, problem: str) -> None:
        """Keep what somebody could not do."""
        self.problems.append({"at": datetime.now(UTC).isoformat(), "person": person.name, "problem": problem})

    async def _headers(self, person: Person) -> dict[str, str]:
        return {"Authorization": await self._sign_in.bearer(person.name)}
