"""Names and ids: each defined once, for workflows, web and command line alike.

An id is built and parsed here and nowhere else. A quote number may hold any sign (Dataverse allows 100 characters of
any kind), but Temporal's list filters cannot find a text with a quotation mark, a backslash or a control character in
it. So ids and search attributes hold a text's safe form, which is the text itself wherever it has none of these.
"""

from __future__ import annotations

import re
from typing import Final

# Workflow types
QUOTE_TO_CASH: Final = "QuoteToCash"
APPROVAL: Final = "Approval"
CREDIT_LEDGER: Final = "CreditLedger"
DELEGATIONS: Final = "Delegations"
AFTER_END: Final = "AfterEnd"
SALES_FEED: Final = "SalesFeed"
FINANCE_FEED: Final = "FinanceFeed"
QUOTE_REVIEW: Final = "QuoteReview"
ORDER_REVIEW: Final = "OrderReview"
QUOTE_PREVIEW: Final = "QuotePreview"
AUDIT_DELIVERY: Final = "AuditDelivery"
NOTICES: Final = "Notices"
COLLECTIONS: Final = "Collections"
GAUGES: Final = "Gauges"
COMPARISON: Final = "CompareRecords"
INITIAL: Final = "PlanInitialSync"
WRITERS: Final = "AskWriters"
INITIAL_RUN: Final = "RunInitialSync"
BULK: Final = "BulkRun"
CREDIT_REVIEW: Final = "CreditReview"
PARALLEL: Final = "ParallelRun"
SYNC: Final = "SyncRecords"
REPLAY: Final = "ReplayLetters"
HISTORY: Final = "TakeOverHistory"
MAP_CHANGE: Final = "ChangeMap"
SHADOW: Final = "ShadowOfQuote"

# Task queues: one per system, so that each has its own budget of requests
DEAL_QUEUE: Final = "q2c"
DATAVERSE_QUEUE: Final = "q2c-dataverse"
FINANCE_QUEUE: Final = "q2c-finance"
NOTICE_QUEUE: Final = "q2c-notices"
GAUGES_ID: Final = "gauges"
GAUGE_QUEUE: Final = "q2c-gauges"
"""Polled only by workers that export metrics: who counts must be heard."""
# What is read in bulk has an application, a budget and queues of its own: it cannot spend what deals need
DATAVERSE_BULK_QUEUE: Final = "q2c-dataverse-bulk"
FINANCE_BULK_QUEUE: Final = "q2c-finance-bulk"

# Signals
SALES_EVENT: Final = "sales_event"
FINANCE_EVENT: Final = "finance_event"
DECIDE: Final = "decide"
COMMAND: Final = "command"
CREDIT_RECHECK: Final = "credit_recheck"
SUPERSEDE: Final = "supersede"
HAND_OVER: Final = "hand_over"
DECISION_REFUSED: Final = "decision_refused"
REQUEST_NOTED: Final = "request_noted"
LOOK_AT: Final = "look_at"
TELL: Final = "tell"
REPORT_LATE: Final = "report_late"
REPORT_UNCLAIMED: Final = "report_unclaimed"
DROPPED: Final = "dropped"

ESCALATED: Final = "escalated"
"""The stage of a request for approval that somebody did not decide in time."""

KEPT_BY_GATE: Final = "q2c_kept_by_gate"
"""What a run asks, outside its sandbox: how many signals the gate keeps for its next tasks."""
SPAN: Final = "q2c_span"
"""What a run calls, outside its sandbox, to have a span written that is over; none where nothing is traced."""
LAG: Final = "q2c_lag"
"""What a run calls, outside its sandbox, to have it counted how long Sales was behind; none where nobody counts."""
ASK_AGAIN: Final = "News for this run are on their way, and it cannot answer before they are there. Ask again."
"""Why a query failed that would have changed what it asks (``workers.early``)."""

# Updates and signals of the credit ledger
RESERVE: Final = "reserve"
ORDER_VISIBLE: Final = "order_visible"
RELEASE: Final = "release"
CUSTOMER_CHANGED: Final = "customer_changed"
ORDERS_HELD: Final = "orders_held"
IN_GROUP: Final = "in_group"
REBUILD: Final = "rebuild"

# Signals of what is collected from an account
INVOICES_SHOWN: Final = "invoices_shown"

# Queries
STATE: Final = "state"
TIMELINE: Final = "timeline"
EXPLAIN: Final = "explain"
OUTCOME: Final = "outcome"
UNROUTED: Final = "unrouted"
CLAIM: Final = "claim"
LEDGER: Final = "ledger"
TALLY: Final = "tally"
ITEMS: Final = "items"
UNSIGNED: Final = "unsigned"

MARK: Final = "~"
_CONTROLS = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[|]^_"
_AFTER_MARK: Final = {
    MARK: MARK,
    "\\": "b",
    "'": "q",
    '"': "d",
    "\x7f": "?",
    **{chr(code): sign for code, sign in enumerate(_CONTROLS)},
}
_BEFORE: Final = {sign: text for text, sign in _AFTER_MARK.items()} | {"s": "/"}
_SAFE: Final = str.maketrans({text: MARK + sign for text, sign in _AFTER_MARK.items()})
_MARKED: Final = re.compile(f"{MARK}(.?)", re.DOTALL)
_OF_SCHEDULE: Final = re.compile(r"^(compare/[^/]+/[^/]+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def safe(text: str) -> str:
    """A text's safe form: each sign that a list filter cannot find becomes ``~`` and one other sign.

    The safe form of a beginning is the beginning of the safe form. At most twice as long as the text.
    """
    return text.translate(_SAFE)


def plain(text: str) -> str:
    """The text of a safe form.

    Raises:
        ValueError: it is the safe form of no text.
    """

    def sign(found: re.Match[str]) -> str:
        try:
            return _BEFORE[found[1]]
        except KeyError:
            raise ValueError(f"{text!r} is the safe form of no text: {found[0]!r} stands for nothing") from None

    return _MARKED.sub(sign, text)


def _part(text: str) -> str:
    """The safe form without a slash, for all but the last part of an id."""
    return safe(text).replace("/", f"{MARK}s")


def deal_id(company: str, quote_number: str) -> str:
    """Workflow id of the deal of one quote family (all revisions) in one company."""
    return f"q2c/{_part(company)}/{safe(quote_number)}"


def approval_id(company: str, quote_number: str, n: int) -> str:
    """Workflow id of the n-th request for approval of a deal, counted from 1."""
    return f"approval/{_part(company)}/{safe(quote_number)}/{n}"


def ledger_id(company: str, customer_account: str) -> str:
    """Workflow id of the one writer of a customer's credit reservations."""
    return f"credit/{_part(company)}/{safe(customer_account)}"


def credit_review_id(company: str) -> str:
    """Workflow id of the comparison of a company's credit ledgers with its deals and Finance."""
    return f"credit-review/{_part(company)}"


def credit_review_record_id(company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of that comparison; the record's own id as well."""
    return f"audit/{_part(company)}/credit-review/{run_id}/{n}"


def delegations_id(company: str) -> str:
    """Workflow id of the delegations of a company's approvers."""
    return f"delegations/{_part(company)}"


def after_end_id(company: str) -> str:
    """Workflow id of the receiver of what is reported of a company's deals after their end."""
    return f"late/{_part(company)}"


def late_record_id(company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of that receiver; the record's own id as well."""
    return f"audit/{_part(company)}/late/{run_id}/{n}"


def feed_id(system: str, of: str) -> str:
    """Workflow id of a feed: "finance" and its company, or "sales" and its table (all companies share a table)."""
    return f"feed/{_part(system)}/{safe(of)}"


def review_id(company: str, quote_number: str, revision: int, nonce: str) -> str:
    """Workflow id of one reading of a quote's lines for a person who decides."""
    return f"review/{_part(company)}/{safe(quote_number)}/{revision}/{_part(nonce)}"


def order_review_id(company: str, order_number: str, nonce: str) -> str:
    """Workflow id of one reading of an order's lines for a person."""
    return f"review/{_part(company)}/order/{safe(order_number)}/{_part(nonce)}"


def preview_id(company: str, quote_number: str, nonce: str) -> str:
    """Workflow id of one look at what the rules would ask of a quote."""
    return f"review/{_part(company)}/preview/{safe(quote_number)}/{_part(nonce)}"


def shadow_id(company: str, quote_number: str, event_id: str) -> str:
    """Workflow id of what the product would have done because of something that people did with a quote."""
    return f"shadow/{_part(company)}/{_part(quote_number)}/{safe(event_id)}"


def notices_id(recipient: str) -> str:
    """Workflow id of the messages to one recipient: an Entra object id, or a role of a company."""
    return f"notices/{safe(recipient)}"


def notice_record_id(run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of a message to people; the record's own id as well."""
    return f"audit/notices/{run_id}/{n}"


def audit_delivery_id(deal_id: str, run_id: str, first: int) -> str:
    """Workflow id of the delivery of audit records from number ``first`` on, which a run of a deal handed over."""
    company, quote_number = parse_deal_id(deal_id)
    return f"audit/{company}/{quote_number}/{run_id}/{first}"


def delegation_record_id(company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of a company's delegations; the record's own id as well."""
    return f"audit/{_part(company)}/delegations/{run_id}/{n}"


def collections_id(company: str, account: str) -> str:
    """Workflow id of what is collected from the account that is billed."""
    return f"collections/{_part(company)}/{safe(account)}"


def collections_record_id(company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of an account; the record's own id as well."""
    return f"audit/{_part(company)}/collections/{run_id}/{n}"


def comparison_id(entity: str, company: str, day: str) -> str:
    """Workflow id of a comparison of both systems' records; ``day`` is the company's, ISO 8601."""
    return f"compare/{_part(entity)}/{_part(company)}/{safe(day)}"


def nightly_id(entity: str, company: str) -> str:
    """Id of the schedule of comparisons every night, and the beginning of their ids: Temporal adds the time."""
    return f"compare/{_part(entity)}/{safe(company)}"


def parallel_id(company: str) -> str:
    """Workflow id of the days on which a company's records are compared in both systems."""
    return f"parallel/{_part(company)}"


def parallel_record_id(company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of such days; the record's own id as well."""
    return f"audit/{_part(company)}/parallel/{run_id}/{n}"


def sync_id(entity: str, company: str) -> str:
    """Workflow id of what keeps the records of an entity in step, in one company: the only writer of them."""
    return f"sync/{_part(entity)}/{safe(company)}"


def sync_record_id(entity: str, company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of a sync; the record's own id as well."""
    return f"audit/{_part(company)}/sync/{_part(entity)}/{run_id}/{n}"


def history_id(kind: str, company: str) -> str:
    """Workflow id of what takes over past records of a kind into Sales, in one company."""
    return f"history/{_part(kind)}s/{safe(company)}"


def history_record_id(kind: str, company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of a history; the record's own id as well."""
    return f"audit/{_part(company)}/history/{_part(kind)}/{run_id}/{n}"


def replay_id(entity: str, company: str, message_id: str) -> str:
    """Workflow id of letters that a person has tried again together."""
    return f"replay/{_part(entity)}/{_part(company)}/{safe(message_id)}"


def map_change_id(entity: str, number: int) -> str:
    """Workflow id of what puts a proposed map in force: one at a time for each proposal."""
    return f"map/{_part(entity)}/{number}"


def map_audience(company: str) -> str:
    """For whom a person's word on a map is signed: each company hears it."""
    return f"maps/{company}"


def initial_id(entity: str, company: str, map_hash: str) -> str:
    """Workflow id of the dry run of an initial sync under a map."""
    return f"initial/{_part(entity)}/{_part(company)}/{_part(map_hash)}/dry"


def initial_run_id(entity: str, company: str) -> str:
    """Workflow id of what carries out the plan of an initial sync: one at a time, whatever the map."""
    return f"initial/{_part(entity)}/{_part(company)}/real"


def initial_undo_id(entity: str, company: str) -> str:
    """Workflow id of what undoes an initial sync: one at a time."""
    return f"initial/{_part(entity)}/{_part(company)}/undo"


def initial_record_id(entity: str, company: str, run_id: str, n: int) -> str:
    """Workflow id of the delivery of one audit record of an initial sync; the record's own id as well."""
    return f"audit/{_part(company)}/initial/{_part(entity)}/{run_id}/{n}"


def writers_id(nonce: str) -> str:
    """Workflow id of one question which maps Dual-Write runs."""
    return f"initial-writers/{_part(nonce)}"


def parse_initial_id(workflow_id: str) -> tuple[str, str]:
    """The entity and company of the workflow id of a dry run, of what carries out its plan, or undoes that.

    Raises:
        ValueError: it is the id of none of them.
    """
    parts = workflow_id.split("/")
    if parts[0] != "initial" or parts[-1] not in {5: ("dry",), 4: ("real", "undo")}.get(len(parts), ()):
        raise ValueError(f"{workflow_id!r} is not the id of an initial sync (initial/entity/company/…)")
    return plain(parts[1]), plain(parts[2])


def sealed_for(workflow_id: str) -> str:
    """The id that what a run begins with was sealed for: of a run that a schedule began, without the time in its id.

    No run ever has that id itself. A comparison only reads, so that one more of them is no harm.
    """
    return _OF_SCHEDULE.sub(r"\1", workflow_id)


def bulk_id(company: str, run: str) -> str:
    """Workflow id of one command for many deals of a company; ``run`` tells it from others."""
    return f"bulk/{_part(company)}/{safe(run)}"


def bulk_record_id(bulk_id: str, message_id: str) -> str:
    """Workflow id of the delivery of the audit record of a message to such a run; the record's own id as well."""
    return f"audit/{bulk_id}/{safe(message_id)}"


def parse_bulk_id(workflow_id: str) -> tuple[str, str]:
    """The company of a bulk run's workflow id, and what tells it from others.

    Raises:
        ValueError: it is not the id of a bulk run.
    """
    prefix, _, rest = workflow_id.partition("/")
    company, slash, run = rest.partition("/")
    if prefix != "bulk" or not (slash and run):
        raise ValueError(f"{workflow_id!r} is not the id of a bulk run (bulk/company/run)")
    return plain(company), plain(run)


def parse_collections_id(workflow_id: str) -> tuple[str, str]:
    """The company and account of the workflow id of what is collected.

    Raises:
        ValueError: it is not the id of an account.
    """
    prefix, _, rest = workflow_id.partition("/")
    company, slash, account = rest.partition("/")
    if prefix != "collections" or not (slash and account):
        raise ValueError(f"{workflow_id!r} is not the id of an account (collections/company/account)")
    return plain(company), plain(account)


def parse_ledger_id(workflow_id: str) -> tuple[str, str]:
    """The company and account of a credit ledger's workflow id.

    Raises:
        ValueError: it is not the id of a ledger.
    """
    prefix, _, rest = workflow_id.partition("/")
    company, slash, account = rest.partition("/")
    if prefix != "credit" or not (slash and account):
        raise ValueError(f"{workflow_id!r} is not the id of a credit ledger (credit/company/account)")
    return plain(company), plain(account)


def parse_deal_id(workflow_id: str) -> tuple[str, str]:
    """The company and quote number of a deal's workflow id.

    Raises:
        ValueError: it is not the id of a deal.
    """
    prefix, _, rest = workflow_id.partition("/")
    company, slash, quote = rest.partition("/")
    if prefix != "q2c" or not slash:
        raise ValueError(f"{workflow_id!r} is not the id of a deal (q2c/company/quote)")
    return plain(company), plain(quote)


def parse_approval_id(workflow_id: str) -> tuple[str, str, int]:
    """The company, quote number and number of the request of an approval's workflow id.

    Raises:
        ValueError: it is not the id of a request for approval.
    """
    prefix, _, rest = workflow_id.partition("/")
    company, slash, rest = rest.partition("/")
    quote, last, n = rest.rpartition("/")
    if prefix != "approval" or not (slash and last and n.isascii() and n.isdecimal() and len(n) < 10):
        raise ValueError(f"{workflow_id!r} is not the id of a request for approval (approval/company/quote/n)")
    return plain(company), plain(quote), int(n)
