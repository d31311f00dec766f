"""Ids, message names and search attributes: each defined once, for workflows, web and command line alike."""

from __future__ import annotations

from typing import Final

# Workflow types
QUOTE_TO_CASH: Final = "QuoteToCash"
APPROVAL: Final = "Approval"
CREDIT_LEDGER: Final = "CreditLedger"
SALES_FEED: Final = "SalesFeed"
FINANCE_FEED: Final = "FinanceFeed"
QUOTE_REVIEW: Final = "QuoteReview"

# Task queues: one a system, so that each has its own budget of requests
DEAL_QUEUE: Final = "q2c"
DATAVERSE_QUEUE: Final = "q2c-dataverse"
FINANCE_QUEUE: Final = "q2c-finance"

# Signals
SALES_EVENT: Final = "sales_event"
FINANCE_EVENT: Final = "finance_event"
DECIDE: Final = "decide"
COMMAND: Final = "command"
CREDIT_RECHECK: Final = "credit_recheck"
SUPERSEDE: Final = "supersede"
LOOK_AT: Final = "look_at"
DECISION_REFUSED: Final = "decision_refused"

# Updates and signals of the credit ledger
RESERVE: Final = "reserve"
ORDER_VISIBLE: Final = "order_visible"
RELEASE: Final = "release"
CUSTOMER_CHANGED: Final = "customer_changed"

# Queries
STATE: Final = "state"
TIMELINE: Final = "timeline"
EXPLAIN: Final = "explain"
OUTCOME: Final = "outcome"
UNROUTED: Final = "unrouted"
TALLY: Final = "tally"

# Search attributes. They are stored unencrypted: account numbers and amounts, never names or free text.
ATTRIBUTES: Final[dict[str, str]] = {
    "Q2CStage": "Keyword",
    "Q2CWaitingFor": "Keyword",
    "Q2CCompany": "Keyword",
    "Q2CCustomer": "Keyword",
    "Q2CQuote": "Keyword",
    "Q2CQuoteId": "Keyword",
    "Q2COrder": "Keyword",
    "Q2CError": "Keyword",
    "Q2CApprovers": "KeywordList",
    "Q2CDeadline": "Datetime",
    "Q2CAmount": "Double",
}


def deal_id(company: str, quote_number: str) -> str:
    """Workflow id of the deal of one quote family (all revisions) in one company."""
    return f"q2c/{company}/{quote_number}"


def approval_id(company: str, quote_number: str, n: int) -> str:
    """Workflow id of the n-th request for approval of a deal, counted from 1."""
    return f"approval/{company}/{quote_number}/{n}"


def ledger_id(company: str, customer_account: str) -> str:
    """Workflow id of the one writer of a customer's credit reservations."""
    return f"credit/{company}/{customer_account}"


def feed_id(system: str, of: str) -> str:
    """Workflow id of a feed: "finance" and its company, or "sales" and its table (all companies share a table)."""
    return f"feed/{system}/{of}"


def review_id(company: str, quote_number: str, revision: int, nonce: str) -> str:
    """Workflow id of one reading of a quote's lines for a person who decides."""
    return f"review/{company}/{quote_number}/{revision}/{nonce}"


def parse_deal_id(workflow_id: str) -> tuple[str, str]:
    """The company and quote number of a deal's workflow id.

    Raises:
        ValueError: it is not the id of a deal.
    """
    parts = workflow_id.split("/", 2)
    if len(parts) != 3 or parts[0] != "q2c":
        raise ValueError(f"{workflow_id!r} is not the id of a deal (q2c/company/quote)")
    return parts[1], parts[2]
