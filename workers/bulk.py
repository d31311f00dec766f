"""What a worker needs to read in bulk: its libraries, an application of its own, and a folder for pages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

import structlog

from domain.policy import Policy
from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.transport import Endpoint
from ledger.opening import Ledger
from runs import names
from workers.settings import Settings, SettingsError
from workers.worker import Work

log = structlog.get_logger(__name__)

LIBRARIES: Final = ("duckdb", "pyarrow")
INSTALL: Final = "install the product with its extra: quote-to-cash[data]"


def lacking(settings: Settings) -> str:
    """Why nothing is read in bulk here, and what to do; empty: it is."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: {INSTALL}"
    if settings.mode == "production" and "client_secret" not in settings.reader.model_fields_set:
        return "Q2C_READER_CLIENT_SECRET is not set: register an application that may only read"
    return ""


def reads_in_bulk(settings: Settings) -> bool:
    """Whether this process does what is read in bulk, and what is written of it.

    Raises:
        SettingsError: it is to do nothing else, and cannot.
    """
    part, why = settings.worker.work, lacking(settings)
    if part == "bulk" and why:
        raise SettingsError(f"Q2C_WORKER_WORK: is bulk, and nothing can be read in bulk here: {why}")
    if part == "all" and why:
        log.info("nothing is read in bulk", reason=why)
    return part != "deals" and not why


def reading_budgets(settings: Settings) -> dict[System, Budget]:
    """This process's share of the requests of the application that reads: all its clients of a system share one."""
    rates = {
        System.DATAVERSE: settings.reader.dataverse_requests_per_second,
        System.FINANCE: settings.reader.finance_requests_per_second,
    }
    return {system: Budget(rate / settings.worker.processes) for system, rate in rates.items()}


def add_bulk_work(
    work: Work,
    settings: Settings,
    policy: Policy,
    ledger: Ledger,
    endpoints: Mapping[System, Endpoint],
    who: Credentials,
    budgets: Mapping[System, Budget],
) -> None:
    """Add the activities that read in bulk to what a worker does.

    Args:
        work: what the worker does; the readers are closed with its other connections.
        settings: whose budget and folder count.
        policy: which business unit is which company.
        ledger: where differences are kept.
        endpoints: where both systems are.
        who: the application that may only read.
        budgets: of that application.
    """
    from activities.comparing import FinanceInBulk, SalesInBulk  # its libraries are an extra
    from activities.planning import InitialInBulk
    from dynamics.bulk.reader import Reader

    readers = {system: Reader(system, endpoints[system], who, budget=budget) for system, budget in budgets.items()}
    for reader in readers.values():
        work.connections.push_async_callback(reader.aclose)
    data = settings.data.dir
    in_sales = SalesInBulk(readers[System.DATAVERSE], policy, settings.policies, ledger, data)
    in_finance = FinanceInBulk(readers[System.FINANCE], ledger, data)
    work.bulk_activities[names.DATAVERSE_BULK_QUEUE] = [
        in_sales.open_comparison,
        in_sales.read_sales_page,
        in_sales.confirm_in_sales,
        in_sales.read_running_maps,
    ]
    work.bulk_activities[names.FINANCE_BULK_QUEUE] = [
        in_finance.count_parts,
        in_finance.read_part,
        in_finance.confirm_in_finance,
        in_finance.find_candidates,
        in_finance.judge_comparison,
        InitialInBulk(ledger, settings.policies, data).make_plan,
    ]
