"""What a worker needs to keep records of both systems in step: readers, a writer, and one budget for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain.policy import Policy
from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.transport import Endpoint
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.client import Dataverse, DataverseSettings
from ledger.initial_ledger import InitialLedger
from ledger.lag_counts import LagCounts
from ledger.map_reading import MapReading
from ledger.map_runs import MapRunLedger
from policies.activation_files import limits_of_file
from runs import names
from runs.syncs import Syncs
from workers.settings import Settings
from workers.worker import Activity, Work

if TYPE_CHECKING:
    from activities.initial_undoing import InitialUndoing
    from activities.initial_writing import InitialWriting
    from activities.map_changing import MapChanging
    from activities.syncing import FinanceSync, SalesSync


def add_sync_work(
    work: Work,
    settings: Settings,
    policy: Policy,
    endpoints: Mapping[System, Endpoint],
    reads_as: Credentials,
    writes_as: Credentials,
    syncs: Syncs,
    lags: LagCounts,
) -> None:
    """Add the activities of syncs to what a worker does that reads in bulk.

    Args:
        work: what the worker does; connections are closed with its others.
        settings: whose budget and ledger count.
        policy: which business unit is which company.
        endpoints: where both systems are.
        reads_as: the application that may only read.
        writes_as: the application of the deals.
        syncs: asked whether one goes on before anything else writes its records.
        lags: counts how long changes took.
    """
    from activities.initial_following import Followed
    from activities.initial_undoing import InitialUndoing
    from activities.initial_writing import InitialWriting
    from activities.map_changing import MapChanging
    from activities.map_looks import MapLooks
    from activities.syncing import FinanceSync, Plans, SalesSync  # reads as what its libraries are an extra for
    from dynamics.bulk.reader import Reader
    from dynamics.synced import SyncWriter

    rates = {
        System.DATAVERSE: settings.sync.dataverse_requests_per_second,
        System.FINANCE: settings.sync.finance_requests_per_second,
    }
    budgets = {system: Budget(rate / settings.worker.processes) for system, rate in rates.items()}
    readers = {system: Reader(system, endpoints[system], reads_as, budget=budgets[system]) for system in rates}
    dataverse = Dataverse(DataverseSettings(endpoints[System.DATAVERSE], writes_as), budget=budgets[System.DATAVERSE])
    finance = Finance(FinanceSettings(endpoints[System.FINANCE], writes_as), budget=budgets[System.FINANCE])
    url = settings.ledger.url.get_secret_value()
    ledger, kept, of_maps = InitialLedger(url), MapReading(url), MapRunLedger(url)
    closing = (*(reader.aclose for reader in readers.values()), dataverse.aclose, finance.aclose)
    for close in (*closing, ledger.close, kept.close, of_maps.close):
        work.connections.push_async_callback(close)
    plans = Plans(readers[System.DATAVERSE], dataverse, policy, settings.policies, kept)
    writer = SyncWriter(dataverse.odata, finance.odata)
    in_sales = SalesSync(plans, readers[System.DATAVERSE], ledger)
    both, limits = (readers[System.FINANCE], readers[System.DATAVERSE]), limits_of_file(settings.policies)
    looks = MapLooks(plans, *both, writer, of_maps, limits.before_image_days)
    in_finance = FinanceSync(plans, *both, writer, ledger, looks, lags)
    followed = Followed(plans, ledger, syncs)
    initial = InitialWriting(plans, *both, writer, ledger, followed, limits, settings.data.dir)
    undoing = InitialUndoing(plans, *both, writer, ledger, followed, settings.data.dir)
    changing = MapChanging(of_maps, looks, policy.rights.map_changes, settings.data.dir, limits.canary)
    _add(work, in_sales, in_finance, initial, undoing, changing)


def _add(
    work: Work,
    in_sales: SalesSync,
    in_finance: FinanceSync,
    initial: InitialWriting,
    undoing: InitialUndoing,
    changing: MapChanging,
) -> None:
    """Add activities to the queues of what is read in bulk."""
    more: dict[str, list[Activity]] = {
        names.DATAVERSE_BULK_QUEUE: [in_sales.open_sync, in_sales.read_sales_changes],
        names.FINANCE_BULK_QUEUE: [
            in_finance.read_finance_changes,
            in_finance.sweep_finance_records,
            in_finance.apply_changes,
            in_finance.settle_letter,
            in_finance.try_letters,
            in_finance.queue_letters,
            in_finance.look_at_replay,
            changing.begin_map_change,
            changing.rehearse_map_change,
            changing.read_map_records,
            changing.see_map_tried,
            changing.queue_map_records,
            changing.activate_map,
            changing.end_map_change,
            initial.open_initial_run,
            initial.write_initial_page,
            initial.seed_agreed,
            initial.leave_writing,
            undoing.open_initial_undo,
            undoing.look_at_undo,
            undoing.undo_initial_page,
        ],
    }
    for queue, activities in more.items():
        work.bulk_activities[queue] = [*work.bulk_activities.get(queue, ()), *activities]
