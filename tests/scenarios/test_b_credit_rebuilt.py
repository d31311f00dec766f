"""A credit ledger that lost a deal: found by a comparison, rebuilt by a person, from outside."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.service import RPCError

from domain.messages import LedgerNote
from runs import names
from tests.deadlines import PATIENCE
from tests.stack import Deal, Stack, assert_sound, line


async def rebuilt(stack: Stack, tmp_path: Path, who: str, deal: Deal, *more: str) -> tuple[int, str]:
    """Exit code and output of ``q2c credit rebuild`` for the deal's customer, with a token of a person."""
    token = tmp_path / f"{who}.token"
    token.write_text(stack.token_of(who, f"api://{stack.ready['web_client_id']}/.default openid"))
    arguments = ["--company", "usmf", "--customer", deal.customer, "--reason", "checked", "--token-file", str(token)]
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "credit", "rebuild", *arguments, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"Q2C_WEB_URL": stack.ready["web"], "Q2C_CA_FILE": stack.ready["ca_file"]},
    )
    said, _ = await asyncio.wait_for(done.communicate(), PATIENCE)
    return done.returncode or 0, said.decode()


async def test_a_ledger_that_lost_a_deal_is_found_and_rebuilt_by_an_operator_alone(
    automatic_stack: Stack, tmp_path: Path
) -> None:
    stack = automatic_stack
    deal = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="1000.00"))
    assert deal.accepted("credit")["credit_status"] == "held"
    client = await stack.temporal()
    ledger = client.get_workflow_handle(names.ledger_id("usmf", deal.customer))
    deal_id = names.deal_id("usmf", deal.quote)
    await ledger.signal(names.RELEASE, LedgerNote(deal_id=deal_id, at=datetime.now(UTC)))
    stack.desk.put(f"/customers/usmf/{deal.customer}", {"credit_limit": "2000.00"})

    code, said = await rebuilt(stack, tmp_path, "carl", deal)
    assert (code, "NO_AUTHORITY" in said) == (1, True), said
    code, said = await rebuilt(stack, tmp_path, "otto", deal, "--dry-run")
    assert code == 1 and f"CREDIT_NOT_RESERVED {deal.customer} {deal_id}" in said, said
    assert "1 ledgers looked at, 0 rebuilt" in said and deal.case()["credit_status"] == "held"

    code, said = await rebuilt(stack, tmp_path, "otto", deal)
    assert code == 0 and "1 rebuilt: 0 entries dropped, 1 added" in said, said
    assert deal.waits_for("shipment")["credit_status"] == "passed", "the ledger woke it"
    code, said = await rebuilt(stack, tmp_path, "otto", deal, "--dry-run")
    assert code == 0, said
    assert_sound(deal)


async def test_a_company_that_is_none_has_no_review(stack: Stack) -> None:
    """Nobody's roles reach it, so that no run begins that would go on for ever."""
    words = {"customer": "", "dry_run": True, "reason": "checked", "message_id": str(uuid4())}
    assert stack.person("otto").post("/credit/none/rebuild", words).status == 403
    client = await stack.temporal()
    with pytest.raises(RPCError):
        await client.get_workflow_handle(names.credit_review_id("none")).describe()
