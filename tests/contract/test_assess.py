"""Taking stock of both systems: what is counted on the sandbox, as the application that may only read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cli import assess_work, inputs
from sandbox.desk.requests import DualWriteRequest, MapRequest
from sandbox.runtime import SandboxConfig, running
from tests.workflows.compare_world import Rows, settings_of


def rows() -> Rows:
    found = Rows()
    for number in range(30):
        found.pair(number, there={"PrimaryContactEmail": "a@b.example"} if number < 10 else None, emailaddress1="a@b.c")
    for number in range(3):
        found.account("", name=f"Prospect {number}", customertypecode="3")
    found.account("US-000007", name="Twin", customertypecode="3")
    found.customer(99, "demf")
    return found


async def test_records_keys_empty_fields_and_dual_write_are_counted_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(rows().write(tmp_path / "rows"))
    async with running(SandboxConfig(state_dir=tmp_path / "sandbox", data=data)) as sandbox:
        settings = settings_of(sandbox, tmp_path, None)
        monkeypatch.setattr(inputs, "settings", lambda: settings)
        sandbox.desk.set_dual_write(DualWriteRequest([MapRequest("account", "Customers V3", {}, running=True)]))
        version = sandbox.dataverse.db.version

        code = await asyncio.to_thread(assess_work.assess, ["usmf"], tmp_path / "report.html", as_json=True)

        asked = [each for each in sandbox.requests.entries if each.system != "entra"]
        outside = {each.method for each in asked if not each.path.endswith("/$batch")}
        assert outside | {part.partition(" ")[0] for each in asked for part in each.operations} == {"GET"}
        assert sandbox.dataverse.db.version == version

    found = json.loads(capsys.readouterr().out)
    assert (code, found["problems"], found["companies"]) == (0, [], ["usmf"])
    assert found["dual_write"] == ["Customers V3 (account)"]
    (customer,) = [each for each in found["entities"] if each["facts"]["entity"] == "customer"]
    finance, sales = customer["facts"]["finance"], customer["facts"]["sales"]
    assert (finance["records"], finance["empty"]["email"], finance["key_empty"]) == (30, 20, 0)
    assert "currency" in finance["empty"]
    assert (sales["records"], sales["whole"], sales["looked_at"]) == (34, False, 34)
    assert (sales["key_empty"], sales["key_doubled"], sales["empty"]["email"]) == (3, 2, 4)
    assert customer["advice"]["pattern"] == "dual_write"
    assert customer["cost"]["most_writes"] == 34
    (product,) = [each for each in found["entities"] if each["facts"]["entity"] == "product"]
    assert product["facts"]["finance"]["records"] > 0
    (contact,) = [each for each in found["entities"] if each["facts"]["entity"] == "contact"]
    assert (contact["facts"]["finance"]["records"], contact["facts"]["sales"]["records"]) == (0, 0)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Customers USMF: Finance and Sales 30 / 34" in page
    assert "http" not in page, "it loads nothing"
