"""What is refused before it reaches a deal: each attempt in the audit, and none in a history."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from domain.audit import AuditKind, AuditReceipt, AuditRecord
from domain.people import Person
from domain.refusals import Refusal
from ledger.database import open_database
from ledger.opening import Ledger, LedgerAway
from ledger.reads import AuditReader, AuditRow
from tests.webworld import scenes
from tests.webworld.world import Stage, Tenant
from web.app import create_app
from web.attempts import MOST, Attempts
from web.config import WebConfig

NEMO = Person(oid="nemo", name="Nemo")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
async def audited(config: WebConfig, temporal: Client, url: str) -> AsyncIterator[Starlette]:
    """The application with an audit store."""
    app = create_app(config.model_copy(update={"ledger_url": SecretStr(url)}), temporal)
    yield app
    await app.state.ledger.close()


async def rows(url: str) -> list[AuditRow]:
    database = await open_database(url)
    try:
        return list(await AuditReader(database).page("usmf", after_seq=0, limit=100))
    finally:
        await database.close()


async def test_a_refused_command_is_in_the_audit_and_in_no_history(
    audited: Starlette, url: str, tenant: Tenant, stage: Stage
) -> None:
    handle = await stage.deal(scenes.held("TRIED-1"))
    path, same = "/api/v1/cases/usmf/TRIED-1/commands/credit_reject", str(uuid.uuid4())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=audited), base_url="http://localhost:8000") as http:
        for message_id in (same, same, str(uuid.uuid4())):
            body = {"message_id": message_id, "args": {"reason": "no"}}
            answer = await http.post(path, json=body, headers=tenant.bearer("rita"))
            assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTHORITY")
    await audited.state.attempts.close()
    found = await rows(url)
    assert [(row.kind, row.event, row.code, row.deal_id) for row in found] == [
        (AuditKind.REFUSAL, "credit_reject", "NO_AUTHORITY", "q2c/usmf/TRIED-1")
    ] * 3
    assert {row.actor.name for row in found} == {"Rita Reyes"}
    assert [row.facts["message"] == same for row in found] == [True, True, False]
    assert await handle.query("received") == []


class Moody(Ledger):
    """A ledger that is away for a while."""

    def __init__(self) -> None:
        self.away = True
        self.stored: list[AuditRecord] = []

    async def append(self, records: object) -> AuditReceipt:
        if self.away:
            raise LedgerAway("no answer")
        self.stored += list(records)  # type: ignore[call-overload]
        return AuditReceipt(through=0)


async def test_attempts_wait_for_a_store_that_is_away_and_are_counted_beyond_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("web.attempts._FIRST_PAUSE", 0.01)
    ledger = Moody()
    attempts = Attempts(ledger)
    for number in range(MOST + 7):
        attempts.note(
            NEMO,
            Refusal.NO_AUTHORITY,
            company="usmf",
            deal_id="q2c/usmf/Q-1",
            event="abort",
            message_id=str(number),
            policy="1",
        )
    await asyncio.sleep(0.05)
    assert ledger.stored == []
    ledger.away = False
    await attempts.close()
    refused = [record for record in ledger.stored if record.kind is AuditKind.REFUSAL]
    (more,) = [record for record in ledger.stored if record.kind is AuditKind.ATTEMPT]
    assert (len(refused), more.facts) == (MOST, {"count": "7"})
    assert len({record.record_id for record in ledger.stored}) == MOST + 1
