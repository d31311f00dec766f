"""Bulk runs for the pages, put on stage as they stand."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from temporalio.client import Client

from domain.bulk import Bulk, BulkItem, BulkPhase, BulkQuery, BulkStart, ItemStatus, Part
from domain.messages import CommandName
from domain.people import Person
from runs import attributes, names

ITEMS = (
    BulkItem(quote="AXE-P1", status=ItemStatus.READY, detail="Create the order in Finance"),
    BulkItem(quote="Q" * 100, status=ItemStatus.LEFT_OUT, code="NOT_PARKED", detail="it is parked for Conflict now"),
    BulkItem(quote="AXE-P2", status=ItemStatus.PARKED_AGAIN, code="Refused", detail="Create order Q2C-USMF-1"),
    BulkItem(quote="AXE-P3", status=ItemStatus.WENT_ON, detail="The order waits to be shipped"),
    BulkItem(quote="AXE-P4", status=ItemStatus.REFUSED, code="CANNOT_SKIP"),
)


async def put(client: Client, phase: BulkPhase) -> str:
    """Begin a run that stands in a phase; the address of its page."""
    now, run = datetime.now(UTC), str(uuid.uuid4())
    told = phase is BulkPhase.PAUSED
    bulk = Bulk(
        company="usmf",
        command=CommandName.RETRY,
        reason="The payment terms are mapped",
        query=BulkQuery(error="Refused"),
        items=ITEMS,
        beyond=True,
        parts=(Part(items=(2, 3, 4), told=told), Part(items=(0,))),
        phase=phase,
        begun_at=now,
        moved_at=now,
        told_at=now if told else None,
        asked_by=Person(oid="oid-otto", name="Otto Olsen"),
    )
    await client.start_workflow(
        names.BULK,
        BulkStart(bulk=bulk),
        id=names.bulk_id("usmf", run),
        task_queue=names.DEAL_QUEUE,
        search_attributes=attributes.typed({attributes.COMPANY: "usmf"}),
    )
    return f"/bulk/usmf/{run}"
