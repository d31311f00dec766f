"""Comparisons in one process: the real workflow and activities, and the sandbox over HTTP with customers of a test.

What is on the two sides is written down as the sandbox loads it, so that a test says exactly what is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import Worker

from activities.heartbeat import KeptAlive
from cli import bulk_runs, inputs
from domain.entities.comparison_run import CompareStart
from domain.entities.comparison_view import ComparisonView
from ledger import differences
from ledger.comparison_runs import KeptDifference
from ledger.database import open_database
from ledger.opening import Ledger
from policies import map_files
from runs import names
from runs.comparisons import Comparisons
from sandbox.data.bulk import FORMAT
from sandbox.data.ids import row_id
from sandbox.faults import SeenRequest
from sandbox.generate import _ACCOUNT_COLUMNS, _CONTACT_COLUMNS, _FINANCE_COLUMNS
from sandbox.runtime import Sandbox, SandboxConfig, running
from workers import composition
from workers.bulk import add_bulk_work, reading_budgets
from workers.reading_settings import DataSettings, ReaderSettings
from workers.rules import load_policy
from workers.settings import (
    DataverseSettings,
    EntraSettings,
    FinanceSettings,
    LedgerSettings,
    Settings,
)
from workers.worker import Work, workflow_runner
from workflows.comparison import CompareRecords
from workflows.initial import AskWriters, PlanInitialSync

DAY = date(2026, 11, 27)


@dataclass
class Rows:
    """What both systems hold."""

    finance: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    sales: dict[str, dict[str, Any]] = field(default_factory=dict)

    def customer(self, number: int, company: str = "usmf", **values: Any) -> str:
        """A customer of Finance; its account."""
        account = f"{company[:2].upper()}-{number:06d}"
        usual = {
            "OrganizationName": f"Customer {account}",
            "CustomerGroupId": "10",
            "SalesCurrencyCode": "USD",
            "PaymentTerms": "Net 30",
            "CreditLimit": "1000.00",
            "AddressCountryRegionId": "USA",
            "SysModifiedDateTime": "2026-01-01T00:00:00Z",
        }
        self.finance[company, account] = usual | {"dataAreaId": company, "CustomerAccount": account} | values
        return account

    def account(self, number: str, company: str = "usmf", **values: Any) -> str:
        """An account of Sales; its id."""
        n = len(self.sales) + 1
        made = f"{n:08x}-0000-4000-8000-{n:012x}"
        currency = row_id("transactioncurrency", values.pop("currency", "USD"))
        usual = {
            "name": f"Customer {number}",
            "accountnumber": number,
            "creditlimit": "1000.00",
            "address1_country": "United States",
            "customertypecode": "3",
            "paymenttermscode": "1",
            "_transactioncurrencyid_value": currency,
            "_owningbusinessunit_value": row_id("businessunit", company),
            "createdon": "2026-01-01T00:00:00Z",
            "modifiedon": "2026-01-01T00:00:00Z",
        }
        self.sales[made] = usual | {"accountid": made} | values
        return made

    def pair(self, number: int, company: str = "usmf", *, there: dict[str, Any] | None = None, **sales: Any) -> str:
        """The same customer on both sides, with values of Finance (``there``) and of Sales; its account."""
        account = self.customer(number, company, **(there or {}))
        self.account(account, company, **sales)
        return account

    def write(self, folder: Path) -> Path:
        """Write them as the sandbox loads them."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bulk.json").write_text(json.dumps({"format": FORMAT}))
        (folder / "contacts.csv").write_text(_CONTACT_COLUMNS + "\n")
        finance = [self.finance[key] for key in sorted(self.finance)]
        for name, header, rows in (
            ("CustomersV3.csv", _FINANCE_COLUMNS, finance),
            ("accounts.csv", _ACCOUNT_COLUMNS, [self.sales[key] for key in sorted(self.sales)]),
        ):
            columns = header.split(",")
            lines = [header, *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder


def map_with(folder: Path, **fields: dict[str, Any]) -> Path:
    """A folder of policies whose map of customers has further fields."""
    shipped = yaml.safe_load((map_files.PACKAGED / "customers.yaml").read_text(encoding="utf-8"))
    shipped["fields"] |= fields
    (folder / "maps").mkdir(parents=True)
    (folder / "maps" / "customers.yaml").write_text(yaml.safe_dump(shipped), encoding="utf-8")
    return folder


LIMIT = {"finance": "CreditLimit", "sales": "creditlimit", "owner": "FINANCE", "tolerance": "0", "decimals": "currency"}
STATE = {"finance": "AddressState", "sales": "address1_stateorprovince", "owner": "SALES"}


@dataclass
class CompareWorld:
    """A sandbox, a ledger, and a worker that compares."""

    client: Client
    settings: Settings
    running: Sandbox | None = None
    """Absent where it runs in another process."""

    @property
    def sandbox(self) -> Sandbox:
        """Both systems."""
        assert self.running is not None
        return self.running

    async def compare(self, company: str = "usmf", *, sample: int = 0, day: date = DAY) -> ComparisonView:
        """Compare customers, to the end."""
        desk = Comparisons(self.client)
        workflow_id = await desk.begin(CompareStart(entity="customer", company=company, sample=sample), day)
        return await desk.result(workflow_id)

    async def open(self, company: str = "usmf") -> list[KeptDifference]:
        """The differences that stand."""
        database = await open_database(self.settings.ledger.url.get_secret_value())
        try:
            found = differences.open_differences(database, "customer", company)
            return [each async for some in found for each in some]
        finally:
            await database.close()

    def asked(self) -> list[SeenRequest]:
        """What both systems were asked, sign-in left out."""
        return [request for request in self.sandbox.requests.entries if request.system != "entra"]

    def verbs(self) -> set[str]:
        """The verbs of all that was asked, those of parts of batches among them."""
        outside = {request.method for request in self.asked() if not request.path.endswith("/$batch")}
        return outside | {part.partition(" ")[0] for request in self.asked() for part in request.operations}

    @asynccontextmanager
    async def working(
        self, workflows: tuple[type, ...] = (), activities: tuple[Callable[..., Any], ...] = ()
    ) -> AsyncIterator[None]:
        """A worker of a comparison's queues, and of what has comparisons made."""
        policy = load_policy(self.settings.model_copy(update={"policies": None}))
        ledger = Ledger(self.settings.ledger.url.get_secret_value())
        async with AsyncExitStack() as running_now:
            running_now.push_async_callback(ledger.close)
            work = Work((), (), (), (), {}, begin=lambda: asyncio.sleep(0), connections=running_now)
            add_bulk_work(
                work,
                self.settings,
                policy,
                ledger,
                composition.endpoints(self.settings),
                composition.reader(self.settings),
                reading_budgets(self.settings),
            )
            workers = [
                Worker(
                    self.client,
                    task_queue=names.DEAL_QUEUE,
                    workflows=[CompareRecords, PlanInitialSync, AskWriters, *workflows],
                    activities=activities,
                    interceptors=[KeptAlive()],
                    workflow_runner=workflow_runner(),
                ),
                *(
                    Worker(self.client, task_queue=queue, activities=some, interceptors=[KeptAlive()])
                    for queue, some in work.bulk_activities.items()
                ),
            ]
            for worker in workers:
                await running_now.enter_async_context(worker)
            yield


def settings_of(sandbox: Sandbox, folder: Path, policies: Path | None) -> Settings:
    """The settings of a worker that compares what a sandbox holds."""
    info = sandbox.info
    fast: dict[str, Any] = {"dataverse_requests_per_second": 500.0, "finance_requests_per_second": 500.0}
    return Settings(
        state_dir=folder,
        ca_file=Path(info.ca_file),
        policies=policies,
        entra=EntraSettings(
            url=info.entra, tenant=info.tenant, client_id=info.client_id, client_secret=SecretStr(info.client_secret)
        ),
        dataverse=DataverseSettings(url=info.dataverse),
        finance=FinanceSettings(url=info.finance),
        ledger=LedgerSettings(url=SecretStr(f"sqlite:///{folder}/ledger.db")),
        reader=ReaderSettings(
            client_id=info.reader_client_id, client_secret=SecretStr(info.reader_client_secret), **fast
        ),
        data=DataSettings(dir=folder / "data"),
    )


@asynccontextmanager
async def compare_world(
    client: Client, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch, *, policies: Path | None = None
) -> AsyncIterator[CompareWorld]:
    """A sandbox with a folder's rows, and what is needed to compare them."""
    for queue in ("DATAVERSE_BULK_QUEUE", "FINANCE_BULK_QUEUE"):
        monkeypatch.setattr(names, queue, f"{getattr(names, queue)}-{folder.name}")
    async with running(SandboxConfig(state_dir=folder / "sandbox", data=str(data))) as sandbox:
        yield CompareWorld(client, settings_of(sandbox, folder, policies), sandbox)


def command(client: Client, world: CompareWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands be of this world."""

    async def connected(*_: object) -> Client:
        config = client.service_client.config
        return await Client.connect(config.target_host, plugins=client.config()["plugins"])

    monkeypatch.setattr(bulk_runs, "connect", connected)
    monkeypatch.setattr(inputs, "settings", lambda: world.settings.model_copy(update={"policies": None}))
