"""Nothing private stands in clear in Temporal: every run of a whole deal is read as somebody without keys reads it.

Names, amounts, texts and accounts of the deal are looked for in every byte the server hands out: histories with their
headers, memos, summaries and failures, descriptions, and what lists show. Only search attributes may hold the account
number and the amount.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client

from tests.stack import Deal, Stack, eventually, line

NAME, CUSTOMER, COMMENT = "Packaging line Zwiebelturm", "Xanadu Holding", "Quastenflosser agreed"


@pytest.fixture(scope="module")
def deal(stack: Stack) -> Deal:
    """A deal with everything in it: an approval with comments, a refused decision, a park, a skip, order to cash."""
    account = stack.customer(name=CUSTOMER)
    deal = stack.deal(line("P250", 100, "15"), customer=account, name=NAME)
    deal.submitted("approval")
    asked = deal.asks("mona")
    assert not stack.person("dirk").decide(asked, "approve", comment=COMMENT).accepted
    assert stack.person("mona").decide(asked, "approve", comment=COMMENT).accepted
    deal.waits_for("rep")
    deal.rep("activate")
    deal.waits_for("customer")
    refuse = {"system": "finance", "method": "POST", "path": r"/data/\$batch", "effect": {"status": 400}}
    stack.desk.put("/faults", refuse)
    deal.rep("accept")
    deal.waits_for("operator")
    stack.desk.delete("/faults")
    assert stack.person("otto").command(deal, "retry", reason=COMMENT).accepted
    deal.waits_for("shipment")
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    total = deal.case()["open_amount"]
    deal.pay(total)
    deal.ends("closed")
    return deal


async def everything(stack: Stack) -> dict[str, bytes]:
    """All that the server hands out of every run, by what it is; search attributes are taken out of it."""
    service = (await Client.connect(stack.ready["temporal"])).workflow_service
    seen: dict[str, bytes] = {}
    listed = await service.list_workflow_executions(ListWorkflowExecutionsRequest(namespace="default", page_size=500))
    for run in listed.executions:
        run.ClearField("search_attributes")
        seen[f"list {run.execution.workflow_id}"] = run.SerializeToString()
        for event in await history(service, run.execution):
            for attributes in (
                event.workflow_execution_started_event_attributes,
                event.upsert_workflow_search_attributes_event_attributes,
                event.workflow_execution_continued_as_new_event_attributes,
                event.start_child_workflow_execution_initiated_event_attributes,
            ):
                attributes.ClearField("search_attributes") if attributes.ByteSize() else None
            key = f"{run.execution.workflow_id} event {event.event_id} {event.WhichOneof('attributes')}"
            seen[key] = event.SerializeToString()
        described = await service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(namespace="default", execution=run.execution)
        )
        described.workflow_execution_info.ClearField("search_attributes")
        seen[f"description {run.execution.workflow_id}"] = described.SerializeToString()
    return seen


async def history(service: Any, execution: Any) -> list[Any]:
    events, token = [], b""
    while True:
        page = await service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(namespace="default", execution=execution, next_page_token=token)
        )
        events += page.history.events
        token = page.next_page_token
        if not token:
            return events


def spellings(text: str) -> Iterator[bytes]:
    """A text as it could stand somewhere: as it is, in JSON, and in base64 at each of three offsets."""
    yield text.encode()
    yield json.dumps(text).strip('"').encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text.encode())
        yield encoded[4 if offset else 0 : len(encoded) - 4]


async def test_a_whole_deal_leaves_nothing_private_in_clear(stack: Stack, deal: Deal) -> None:
    case = deal.case()
    private = [
        NAME,
        CUSTOMER,
        COMMENT,
        deal.customer,
        *(case[field] for field in ("net", "tax", "total", "invoiced")),
        *itertools.chain.from_iterable(
            (person, f"{person}@contoso.example") for person in ("Mona Meyer", "Rita Reyes", "Dirk Dorn", "Otto Olsen")
        ),
        "mona@contoso.example",
        case["snapshot_hash"],
    ]
    seen = await everything(stack)
    assert any("start_child_workflow" in key for key in seen) and any("signaled" in key for key in seen)
    # Ids of runs hold account numbers (docs/encryption.md).
    of_account = [f"{kind}/{deal.company}/{deal.customer}".encode() for kind in ("credit", "collections")]
    found = {
        (text, key)
        for key, content in seen.items()
        for text in private
        for spelled in spellings(text)
        if spelled in content.replace(of_account[0], b"").replace(of_account[1], b"")
    }
    assert found == set(), sorted(found)[:20]


async def test_only_sealed_payloads_and_plain_markers_are_in_the_histories(stack: Stack, deal: Deal) -> None:
    """Every payload is sealed, but for what the SDK writes of its own: search attributes, headers, marker data."""
    seen = await everything(stack)
    assert not any(b"json/plain" in content and b"signaled" in key.encode() for key, content in seen.items())
    sealed = sum(content.count(b"binary/encrypted") for content in seen.values())
    assert sealed > 50


def test_the_logs_of_all_processes_hold_no_name_of_a_customer_and_no_amount(stack: Stack, deal: Deal) -> None:
    """Logs name account and document numbers and codes; what happened in words may name who acted, never a customer."""
    folder = Path(stack.ready["state_dir"])
    eventually(lambda: (folder / "worker.log").exists(), "the worker logs")
    logs = "".join((folder / f"{name}.log").read_text() for name in ("worker", "web", "codec"))
    for text in (NAME, CUSTOMER, COMMENT):
        assert text not in logs, text
