"""What a worker needs to take over past records: readers of both systems, and a client that writes to Sales."""

from __future__ import annotations

from collections.abc import Mapping

from domain.policy import Policy
from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from ledger.map_reading import MapReading
from runs import names
from workers.settings import Settings
from workers.worker import Work


def add_history_work(
    work: Work,
    settings: Settings,
    policy: Policy,
    endpoints: Mapping[System, Endpoint],
    reads_as: Credentials,
    writes_as: Credentials,
    budgets: Mapping[System, Budget],
) -> None:
    """Add the activities of histories to what a worker does that reads in bulk.

    Args:
        work: what the worker does; connections are closed with its others.
        settings: whose budget and ledger count.
        policy: which business unit is which company, and whose clock counts.
        endpoints: where both systems are.
        reads_as: the application that may only read.
        writes_as: the application of the deals.
        budgets: of the application that reads.
    """
    from activities.history import HistoryWork  # reads as what its libraries are an extra for
    from dynamics.bulk.reader import Reader
    from dynamics.copied import CopyWriter

    readers = {system: Reader(system, endpoints[system], reads_as, budget=budgets[system]) for system in budgets}
    writing = Budget(settings.sync.dataverse_requests_per_second / settings.worker.processes)
    dataverse = Dataverse(DataverseSettings(endpoints[System.DATAVERSE], writes_as), budget=writing)
    kept = MapReading(settings.ledger.url.get_secret_value())
    for close in (*(reader.aclose for reader in readers.values()), dataverse.aclose, kept.close):
        work.connections.push_async_callback(close)
    does = HistoryWork(
        readers[System.FINANCE],
        readers[System.DATAVERSE],
        CopyWriter(dataverse.odata),
        policy,
        settings.policies,
        kept,
    )
    more = [does.open_history, does.copy_page, does.count_history]
    queue = names.FINANCE_BULK_QUEUE
    work.bulk_activities[queue] = [*work.bulk_activities.get(queue, ()), *more]
