"""The composition root: where settings and policies become clients, activities and workflows.

Every other module takes what it needs as arguments; only here is it decided which implementation stands behind which
name.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from joserfc.jwk import KeySet
from temporalio.client import Client

from activities.after_end import AfterEndWork
from activities.audit import AuditDesk
from activities.bulk import BulkWork
from activities.collecting import CollectedShown, Collecting, CollectionWork
from activities.credit import CreditDesk
from activities.credit_recheck import CreditRechecks
from activities.credit_review import CreditReviewWork
from activities.customers import CustomerDesk
from activities.decisions import SignedDecisionActivities
from activities.delegations import DelegationReading
from activities.finance import DynamicsFinanceActivities
from activities.finance_feed import FinanceFeedWork
from activities.late_reports import LateReports
from activities.order_changes import FinanceOrderChanges
from activities.order_growth import LargerOrders
from activities.parallel import ParallelWork
from activities.postings import Postings
from activities.reaching import Reaching
from activities.refunds import FinanceRefundActivities
from activities.sales import DataverseSalesActivities
from activities.sales_feed import SalesFeedWork
from activities.snapshots import SalesQuotes
from activities.unclaimed import UnclaimedWork
from domain.policy import Policy
from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.transport import Endpoint
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.finance.refunds import Refunds
from dynamics.sales.changes import SalesChanges
from dynamics.sales.client import Dataverse, DataverseSettings
from ledger.lag_counts import LagCounts
from ledger.opening import Ledger
from policies import dunning
from runs.after_end import AfterEndDesk
from runs.approvals import Approvals
from runs.collections import CollectionsDesk
from runs.comparisons import Comparisons
from runs.credit_review import CreditReviews
from runs.deals import Deals
from runs.delegations import DelegationDesk
from runs.ledgers import Ledgers
from runs.lookup import Lookup
from runs.syncs import Syncs
from workers.bulk import add_bulk_work, reading_budgets, reads_in_bulk
from workers.history import add_history_work
from workers.keys import KeyFileUnusable, keys_of
from workers.lags import DealLags
from workers.notices import notice_work
from workers.pages import deal_pages
from workers.rules import load_policy, note_all
from workers.settings import Settings, SettingsError
from workers.shadow import add_shadow_work
from workers.syncing import add_sync_work
from workers.worker import Work
from workflows.after_end import AfterEnd
from workflows.approval import Approval
from workflows.audit import AuditDelivery
from workflows.bulk import BulkRun
from workflows.collections import Collections
from workflows.comparison import CompareRecords
from workflows.credit_ledger import CreditLedger
from workflows.credit_review import CreditReview
from workflows.delegations import CompanyDelegations
from workflows.feeds import FinanceFeed, SalesFeed
from workflows.gauges import Gauges
from workflows.history import History
from workflows.initial import AskWriters, PlanInitialSync
from workflows.initial_run import RunInitialSync
from workflows.map_change import ChangeMap
from workflows.notices import PeopleNotices
from workflows.parallel import ParallelRun
from workflows.quote_to_cash import QuoteToCash
from workflows.replay import Replay
from workflows.review import OrderReview, PreviewOfQuote, QuoteReview
from workflows.shadow import ShadowOfQuote
from workflows.sync import Sync

WORKFLOWS = (
    QuoteToCash,
    Approval,
    CompanyDelegations,
    AfterEnd,
    CreditLedger,
    SalesFeed,
    FinanceFeed,
    QuoteReview,
    OrderReview,
    PreviewOfQuote,
    AuditDelivery,
    PeopleNotices,
    Collections,
    Gauges,
    CompareRecords,
    PlanInitialSync,
    AskWriters,
    RunInitialSync,
    BulkRun,
    CreditReview,
    ParallelRun,
    ShadowOfQuote,
    Sync,
    Replay,
    History,
    ChangeMap,
)


def compose(settings: Settings, client: Client) -> Work:
    """All that a worker can do, with the connections it does it with.

    Raises:
        PolicyError: the rules cannot be used.
        SettingsError: the public keys of decisions or the certificate authority cannot be read, or a target of messages
            cannot be used.
    """
    policy = load_policy(settings)
    sales_system, finance_system = dataverse(settings), finance(settings)
    quotes, postings = SalesQuotes(sales_system, policy), Postings(finance_system)
    rules, ledgers = dunning(settings.policies), Ledgers(client)
    collecting = Collecting(CollectionsDesk(client), policy, rules)
    sales = DataverseSalesActivities(sales_system, quotes, postings, deal_pages(settings.web.url), collecting)
    collections = CollectionWork(finance_system, ledgers, policy, rules)
    collected = CollectedShown(sales_system, deal_pages(settings.web.url))
    credit = CreditDesk(ledgers, policy)
    telling, customers = notice_work(settings, client, policy), CustomerDesk(sales_system, finance_system, policy)
    orders = DynamicsFinanceActivities(quotes, finance_system, policy, credit, postings, customers, told=telling.told)
    deals, lookup = Deals(client, shadow=policy.entity_map.shadow), Lookup(client)
    changes = SalesChanges(sales_system.odata)
    desk, reaching = AfterEndDesk(client), Reaching(sales_system, finance_system)
    sales_feed = SalesFeedWork(deals, lookup, changes, sales_system.business_units, policy, desk)
    finance_feed = FinanceFeedWork(deals, lookup, finance_system, policy, LateReports(deals, desk))
    after_end = AfterEndWork(deals, postings, sales_system, quotes, changes, deal_pages(settings.web.url), collecting)
    unclaimed = UnclaimedWork(desk, finance_feed, sales_feed, set(policy.entity_map.business_units.values()))
    ledger = Ledger(settings.ledger.url.get_secret_value())
    companies, lags = _timezones(policy), LagCounts(ledger)
    work = Work(
        workflows=WORKFLOWS,
        deal_activities=[
            *_all_of(credit, *_of_people(settings, client, policy), *_beside(deals, client, ledger, policy, settings)),
            collections.hold_orders,
            *telling.deal_activities,
        ],
        dataverse_activities=[
            *_all_of(sales, sales_feed, collected),
            customers.map_customer,
            unclaimed.hand_to_desk,
            reaching.wait_for_sales,
        ],
        finance_activities=[
            *_all_of(orders, finance_feed, unclaimed, *_of_credit(client, finance_system, policy, credit)),
            FinanceRefundActivities(Refunds(finance_system), policy).prepare_refund,
            FinanceOrderChanges(finance_system, postings).change_order,
            LargerOrders(quotes, finance_system, policy, credit, postings).look_at_larger,
            customers.create_customer,
            after_end.look_after_end,
            collections.read_open_items,
            reaching.wait_for_finance,
        ],
        notice_activities=telling.notice_activities,
        companies=companies,
        begin=lambda: _begin(lags, ledger, settings, policy, companies),
        interceptors=(DealLags(lags),),
    )
    _add_reading(work, settings, policy, ledger, ledgers, Syncs(client), lags)
    for close in (sales_system.aclose, finance_system.aclose, ledger.close, lags.close):
        work.connections.push_async_callback(close)
    return work


async def _begin(
    lags: LagCounts, ledger: Ledger, settings: Settings, policy: Policy, companies: Mapping[str, str]
) -> None:
    """What is done beside everything else: how long changes took is kept, and the rules in force are noted."""
    lags.start()
    await note_all(ledger, settings, policy, companies)


def _add_reading(
    work: Work,
    settings: Settings,
    policy: Policy,
    ledger: Ledger,
    ledgers: Ledgers,
    syncs: Syncs,
    lags: LagCounts,
) -> None:
    """What is done as the application that only reads: comparisons, syncs, histories, and the looks of shadow mode."""
    where, who, budgets = endpoints(settings), reader(settings), reading_budgets(settings)
    if reads_in_bulk(settings):
        add_bulk_work(work, settings, policy, ledger, where, who, budgets)
        add_sync_work(work, settings, policy, where, who, credentials(settings), syncs, lags)
        add_history_work(work, settings, policy, where, who, credentials(settings), budgets)
    add_shadow_work(work, settings, policy, ledger, ledgers, where, who, budgets)


def _beside(deals: Deals, client: Client, ledger: Ledger, policy: Policy, settings: Settings) -> tuple[object, ...]:
    """What is done beside deals, and touches neither system itself."""
    days = ParallelWork(Comparisons(client), ledger, policy, settings.policies)
    return AuditDesk(ledger), BulkWork(deals), days


def _timezones(policy: Policy) -> dict[str, str]:
    """The time zone of each company, in their order."""
    return {each: policy.calendar(each).timezone for each in sorted(set(policy.entity_map.business_units.values()))}


def _of_people(settings: Settings, client: Client, policy: Policy) -> tuple[object, ...]:
    """What checks who decided, and who stands in for whom."""
    desk = DelegationDesk(client)
    standing_in = DelegationReading(desk, Approvals(client), policy)
    return SignedDecisionActivities(decision_keys(settings), policy, desk), standing_in


def _of_credit(client: Client, finance_system: Finance, policy: Policy, desk: CreditDesk) -> tuple[object, ...]:
    """What looks at credit of confirmed orders, and at the ledgers themselves."""
    reviews = CreditReviewWork(finance_system, policy, CreditReviews(client), AfterEndDesk(client))
    return CreditRechecks(finance_system, policy, desk), reviews


def _all_of(*workers: object) -> list[Callable[..., Any]]:
    """What each worker does of the activities whose signatures it implements."""
    return [
        getattr(worker, name)
        for worker in workers
        for signatures in type(worker).__bases__
        for name in vars(signatures)
        if not name.startswith("_") and name in vars(type(worker))
    ]


def decision_keys(settings: Settings) -> KeySet:
    """The public keys whose signature makes a message a person's.

    Raises:
        SettingsError: the file is missing or holds no keys.
    """
    path = settings.decision.public_keys_file
    try:
        return keys_of(path)
    except KeyFileUnusable as error:
        raise SettingsError(f"Q2C_DECISION_PUBLIC_KEYS_FILE: {error}; make a pair with `q2c keys`") from error


def dataverse(settings: Settings) -> Dataverse:
    """A client of Dynamics 365 Sales; close it with `aclose`. Raises SettingsError as `authority_file`."""
    target = DataverseSettings(_endpoint(settings.dataverse.url, settings), credentials(settings))
    return Dataverse(target, budget=_budget(settings.dataverse.requests_per_second, settings))


def finance(settings: Settings) -> Finance:
    """A client of Dynamics 365 Finance; close it with `aclose`. Raises SettingsError as `authority_file`."""
    numbering = load_policy(settings).entity_map.order_numbers
    manual = frozenset(company for company, numbers in numbering.items() if numbers == "manual")
    endpoint = _endpoint(settings.finance.url, settings)
    target = FinanceSettings(endpoint, credentials(settings), manual_numbers=manual)
    return Finance(target, budget=_budget(settings.finance.requests_per_second, settings))


def _budget(requests_per_second: float, settings: Settings) -> Budget:
    """This process's share of a system's budget: both clients of a system in one process must share one."""
    return Budget(requests_per_second / settings.worker.processes)


def endpoints(settings: Settings) -> dict[System, Endpoint]:
    """Where both systems are. Raises SettingsError as `authority_file`."""
    return {
        System.DATAVERSE: _endpoint(settings.dataverse.url, settings),
        System.FINANCE: _endpoint(settings.finance.url, settings),
    }


def _endpoint(url: str, settings: Settings) -> Endpoint:
    return Endpoint(url, ca_file=authority_file(settings))


def credentials(settings: Settings) -> Credentials:
    """The worker's app registration, as Entra ID knows it. Raises SettingsError as `authority_file`."""
    return Credentials(
        authority=settings.entra.authority,
        client_id=settings.entra.client_id,
        client_secret=settings.entra.client_secret.get_secret_value(),
        ca_file=authority_file(settings),
        instance_discovery=settings.entra.instance_discovery,
    )


def reader(settings: Settings) -> Credentials:
    """The app registration that reads in bulk. Raises SettingsError as `authority_file`."""
    own = settings.reader
    return replace(credentials(settings), client_id=own.client_id, client_secret=own.client_secret.get_secret_value())


def authority_file(settings: Settings) -> str | None:
    """The certificate authority of Entra, Dataverse and Finance; None: the system's authorities.

    Raises:
        SettingsError: the file is missing or holds no certificate: TLS libraries would not say which file it was.
    """
    if settings.ca_file is None:
        return None
    try:
        ssl.create_default_context(cafile=str(settings.ca_file))
    except OSError as error:  # ssl.SSLError is one
        what = "is not a PEM file with certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            f"Q2C_CA_FILE: {settings.ca_file}: {what}. The sandbox writes this file when it starts; for a tenant set "
            "the variable to nothing (the system's authorities) or to your own authority's file."
        ) from error
    return str(settings.ca_file)
