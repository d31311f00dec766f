"""What a worker needs for shadow mode: the application that reads in bulk, with clients that let no write leave."""

from __future__ import annotations

from collections.abc import Mapping

from activities.shadow import ShadowWork
from domain.policy import Policy
from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.transport import Endpoint
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.client import Dataverse, DataverseSettings
from ledger.opening import Ledger
from runs.ledgers import Ledgers
from workers.settings import Settings, SettingsError
from workers.worker import Work


def add_shadow_work(
    work: Work,
    settings: Settings,
    policy: Policy,
    ledger: Ledger,
    ledgers: Ledgers,
    endpoints: Mapping[System, Endpoint],
    who: Credentials,
    budgets: Mapping[System, Budget],
) -> None:
    """Add the looks of shadow mode to what a worker does, also where no company is in it any more: some may go on.

    Args:
        work: what the worker does; the clients are closed with its other connections.
        settings: whether the application that reads has a secret.
        policy: the rules that are asked.
        ledger: where it is kept what was decided.
        ledgers: of credit; none is asked.
        endpoints: where both systems are.
        who: the application that may only read.
        budgets: of that application.

    Raises:
        SettingsError: a company is in shadow mode, and nobody may read for it.
    """
    if settings.mode == "production" and "client_secret" not in settings.reader.model_fields_set:
        if policy.entity_map.shadow:
            raise SettingsError(
                "Q2C_READER_CLIENT_SECRET: is missing; shadow mode (entity_map.yaml) reads as that application alone."
            )
        return
    sales = Dataverse(DataverseSettings(endpoints[System.DATAVERSE], who), budget=budgets[System.DATAVERSE])
    finance = Finance(FinanceSettings(endpoints[System.FINANCE], who), budget=budgets[System.FINANCE])
    looks = ShadowWork(sales, finance, policy, ledgers, ledger)
    work.shadow_activities.extend((looks.look_in_shadow, looks.find_order_in_shadow))
    for close in (sales.aclose, finance.aclose):
        work.connections.push_async_callback(close)
