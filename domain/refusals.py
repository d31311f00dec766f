"""Every code with which something is refused or reported as wrong, each once.

The codes are for programs and stay as they are; what they say to people stands in ``sentences.yaml``.
Source of the codes of decisions and commands: lifecycle, events and messages.
"""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from typing import Final

import yaml

from domain.fixed_by import FixedBy

_SENTENCES: Final[dict[str, str]] = yaml.safe_load(files("domain").joinpath("sentences.yaml").read_text("utf-8"))


class Refusal(StrEnum):
    """A code, with its HTTP status, whose it is to fix, and its sentence.

    Attributes:
        status: HTTP status of an answer that carries the code.
        fixed_by: whose it is to do something about it.
        sentence: what happened and what to do, for the person who is refused.
    """

    status: int
    fixed_by: FixedBy
    sentence: str

    def __new__(cls, code: str, status: int, fixed_by: FixedBy) -> Refusal:
        """Make a member: the code is its value, the rest its attributes."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status, member.fixed_by, member.sentence = status, fixed_by, _SENTENCES[code]
        return member

    @classmethod
    def of(cls, code: str) -> Refusal | None:
        """The refusal of a code; None for one that this version does not know."""
        return cls.__members__.get(code)

    # Decisions of approvers

    REQUESTER_CANNOT_APPROVE = "REQUESTER_CANNOT_APPROVE", 403, FixedBy.APPROVER
    NOT_ASSIGNED = "NOT_ASSIGNED", 403, FixedBy.APPROVER
    NO_AUTHORITY = "NO_AUTHORITY", 403, FixedBy.ADMINISTRATOR
    NOT_OWN_DEAL = "NOT_OWN_DEAL", 403, FixedBy.ADMINISTRATOR
    NOT_NAMED = "NOT_NAMED", 403, FixedBy.ADMINISTRATOR
    ABOVE_LIMIT = "ABOVE_LIMIT", 403, FixedBy.ADMINISTRATOR
    SIGN_IN_TOO_OLD = "SIGN_IN_TOO_OLD", 401, FixedBy.CALLER
    UNAUTHENTICATED = "UNAUTHENTICATED", 401, FixedBy.CALLER
    ALREADY_DECIDED = "ALREADY_DECIDED", 409, FixedBy.NOBODY
    EXPIRED = "EXPIRED", 409, FixedBy.REP
    WITHDRAWN = "WITHDRAWN", 409, FixedBy.NOBODY
    SUPERSEDED = "SUPERSEDED", 409, FixedBy.NOBODY
    REQUEST_ENDED = "REQUEST_ENDED", 409, FixedBy.NOBODY
    SEEN_HASH_MISMATCH = "SEEN_HASH_MISMATCH", 409, FixedBy.APPROVER
    COMMENT_REQUIRED = "COMMENT_REQUIRED", 400, FixedBy.APPROVER
    REASON_REQUIRED = "REASON_REQUIRED", 400, FixedBy.APPROVER
    BAD_DECISION = "BAD_DECISION", 400, FixedBy.CALLER

    # What people say to a request besides, and delegations

    TO_IS_REQUESTER = "TO_IS_REQUESTER", 409, FixedBy.APPROVER
    LOOP = "LOOP", 409, FixedBy.APPROVER
    NO_DELEGATION = "NO_DELEGATION", 409, FixedBy.NOBODY
    QUESTION_OPEN = "QUESTION_OPEN", 409, FixedBy.APPROVER
    NO_QUESTION = "NO_QUESTION", 409, FixedBy.NOBODY
    TOO_MANY_QUESTIONS = "TOO_MANY_QUESTIONS", 409, FixedBy.APPROVER

    # Commands and events

    REQUESTER_CANNOT_RELEASE = "REQUESTER_CANNOT_RELEASE", 403, FixedBy.CREDIT_MANAGER
    UNKNOWN_COMMAND = "UNKNOWN_COMMAND", 400, FixedBy.CALLER
    CANNOT_SKIP = "CANNOT_SKIP", 409, FixedBy.OPERATOR
    MAKER_CANNOT_GIVE = "MAKER_CANNOT_GIVE", 403, FixedBy.OPERATOR
    NOT_HELD = "NOT_HELD", 409, FixedBy.NOBODY
    NOT_PARKED = "NOT_PARKED", 409, FixedBy.NOBODY
    NOT_OPEN_ANY_MORE = "NOT_OPEN_ANY_MORE", 409, FixedBy.NOBODY
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION", 409, FixedBy.NOBODY
    TERMINAL = "TERMINAL", 409, FixedBy.NOBODY
    STALE = "STALE", 409, FixedBy.NOBODY
    DUPLICATE = "DUPLICATE", 409, FixedBy.NOBODY
    MESSAGE_ID_REUSED = "MESSAGE_ID_REUSED", 409, FixedBy.CALLER
    HASH_MISMATCH = "HASH_MISMATCH", 409, FixedBy.REP

    # What is wrong with a quote

    NO_LINES = "NO_LINES", 422, FixedBy.REP
    MORE_PROBLEMS = "MORE_PROBLEMS", 422, FixedBy.REP
    TOO_MANY_LINES = "TOO_MANY_LINES", 422, FixedBy.REP
    DUPLICATE_LINE = "DUPLICATE_LINE", 422, FixedBy.REP
    BAD_QTY = "BAD_QTY", 422, FixedBy.REP
    NO_PRICE = "NO_PRICE", 422, FixedBy.REP
    BAD_DISCOUNT = "BAD_DISCOUNT", 422, FixedBy.REP
    BAD_AMOUNT = "BAD_AMOUNT", 422, FixedBy.REP
    TOTALS_DIFFER = "TOTALS_DIFFER", 422, FixedBy.REP
    BAD_CHARACTERS = "BAD_CHARACTERS", 422, FixedBy.REP
    TEXT_TOO_LONG = "TEXT_TOO_LONG", 422, FixedBy.REP
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH", 422, FixedBy.REP
    CUSTOMER_UNMAPPED = "CUSTOMER_UNMAPPED", 422, FixedBy.REP
    CUSTOMER_BLOCKED = "CUSTOMER_BLOCKED", 422, FixedBy.CREDIT_MANAGER
    DUPLICATE_CUSTOMER = "DUPLICATE_CUSTOMER", 422, FixedBy.REP
    NO_EXCHANGE_RATE = "NO_EXCHANGE_RATE", 422, FixedBy.OPERATOR
    PRICES_INCLUDE_TAX = "PRICES_INCLUDE_TAX", 422, FixedBy.OPERATOR
    ITEM_NOT_RELEASED = "ITEM_NOT_RELEASED", 422, FixedBy.REP
    UNIT_MISMATCH = "UNIT_MISMATCH", 422, FixedBy.REP
    UNMAPPED_PAYMENT_TERM = "UNMAPPED_PAYMENT_TERM", 422, FixedBy.OPERATOR
    UNKNOWN_OWNER = "UNKNOWN_OWNER", 422, FixedBy.REP
    UNMAPPED_COUNTRY = "UNMAPPED_COUNTRY", 422, FixedBy.REP

    # Why credit is refused

    NO_CREDIT = "NO_CREDIT", 409, FixedBy.CREDIT_MANAGER
    OVER_LIMIT = "OVER_LIMIT", 409, FixedBy.CREDIT_MANAGER
    GROUP_OVER_LIMIT = "GROUP_OVER_LIMIT", 409, FixedBy.CREDIT_MANAGER
    GROUP_LIMIT_EXPIRED = "GROUP_LIMIT_EXPIRED", 409, FixedBy.CREDIT_MANAGER
    TERMS_RAISED = "TERMS_RAISED", 409, FixedBy.CREDIT_MANAGER
    DISCOUNT_RAISED = "DISCOUNT_RAISED", 409, FixedBy.CREDIT_MANAGER
    LIMIT_EXPIRED = "LIMIT_EXPIRED", 409, FixedBy.CREDIT_MANAGER
    OVERDUE = "OVERDUE", 409, FixedBy.CREDIT_MANAGER
    OVERDUE_AMOUNT = "OVERDUE_AMOUNT", 409, FixedBy.CREDIT_MANAGER
    ORDER_TOO_LARGE = "ORDER_TOO_LARGE", 409, FixedBy.CREDIT_MANAGER

    # Exceptions: facts that cannot be undone, for a person to settle

    NOT_SUBMITTED = "NOT_SUBMITTED", 409, FixedBy.REP
    ACTIVATED_WITHOUT_APPROVAL = "ACTIVATED_WITHOUT_APPROVAL", 409, FixedBy.REP
    ACCEPTED_WITHOUT_APPROVAL = "ACCEPTED_WITHOUT_APPROVAL", 409, FixedBy.REP
    ACCEPTED_AFTER_EXPIRY = "ACCEPTED_AFTER_EXPIRY", 409, FixedBy.REP
    WON_IN_SALES = "WON_IN_SALES", 409, FixedBy.REP
    SECOND_SALES_ORDER = "SECOND_SALES_ORDER", 409, FixedBy.REP
    SALES_ORDER_CANCELLED = "SALES_ORDER_CANCELLED", 409, FixedBy.REP
    OPPORTUNITY_REOPENED = "OPPORTUNITY_REOPENED", 409, FixedBy.REP
    CREDIT_REFUSED = "CREDIT_REFUSED", 409, FixedBy.OPERATOR
    ORDER_IN_FINANCE = "ORDER_IN_FINANCE", 409, FixedBy.OPERATOR
    LEFT_OPEN = "LEFT_OPEN", 409, FixedBy.ACCOUNTS_RECEIVABLE
    SALES_NOT_TOLD = "SALES_NOT_TOLD", 409, FixedBy.OPERATOR
    BELOW_SHIPPED = "BELOW_SHIPPED", 409, FixedBy.REP
    DEPOSIT_OVERDUE = "DEPOSIT_OVERDUE", 409, FixedBy.ACCOUNTS_RECEIVABLE
    DEPOSIT_REVERSED = "DEPOSIT_REVERSED", 409, FixedBy.ACCOUNTS_RECEIVABLE
    SHIPPED_WHILE_HELD = "SHIPPED_WHILE_HELD", 409, FixedBy.ACCOUNTS_RECEIVABLE
    OVER_DELIVERY = "OVER_DELIVERY", 409, FixedBy.OPERATOR
    OVER_INVOICED = "OVER_INVOICED", 409, FixedBy.OPERATOR
    OVER_RETURN = "OVER_RETURN", 409, FixedBy.OPERATOR
    OVER_CREDITED = "OVER_CREDITED", 409, FixedBy.OPERATOR
    UNKNOWN_LINE = "UNKNOWN_LINE", 409, FixedBy.OPERATOR
    LINE_CHANGED = "LINE_CHANGED", 409, FixedBy.OPERATOR
    PRICE_FELL = "PRICE_FELL", 409, FixedBy.REP

    # What is said of an order that is changed or cancelled

    NOTHING_TO_CANCEL = "NOTHING_TO_CANCEL", 409, FixedBy.REP
    LARGER_ORDER = "LARGER_ORDER", 409, FixedBy.REP
    LARGER_NOT_APPROVED = "LARGER_NOT_APPROVED", 409, FixedBy.REP
    LARGER_NO_CREDIT = "LARGER_NO_CREDIT", 409, FixedBy.CREDIT_MANAGER
    NOT_CONFIRMED = "NOT_CONFIRMED", 409, FixedBy.OPERATOR
    CHANGE_OPEN = "CHANGE_OPEN", 409, FixedBy.NOBODY
    CHANGE_FAILING = "CHANGE_FAILING", 409, FixedBy.OPERATOR
    CHANGE_REFUSED = "CHANGE_REFUSED", 409, FixedBy.REP

    # What is said of a customer that Finance does not know

    MAKER_CANNOT_SET_UP = "MAKER_CANNOT_SET_UP", 403, FixedBy.APPROVER
    NO_CUSTOMER_ASKED = "NO_CUSTOMER_ASKED", 409, FixedBy.NOBODY
    CUSTOMER_NOT_LISTED = "CUSTOMER_NOT_LISTED", 409, FixedBy.APPROVER
    CUSTOMER_TAKEN = "CUSTOMER_TAKEN", 409, FixedBy.REP
    CUSTOMER_INCOMPLETE = "CUSTOMER_INCOMPLETE", 409, FixedBy.APPROVER

    # Money that settles nothing, and its refund

    UNAPPLIED_CREDIT = "UNAPPLIED_CREDIT", 409, FixedBy.ACCOUNTS_RECEIVABLE
    NOTHING_TO_REFUND = "NOTHING_TO_REFUND", 409, FixedBy.NOBODY
    REFUND_ABOVE_CREDIT = "REFUND_ABOVE_CREDIT", 409, FixedBy.ACCOUNTS_RECEIVABLE
    NEEDS_SECOND_PERSON = "NEEDS_SECOND_PERSON", 403, FixedBy.ACCOUNTS_RECEIVABLE
    REP_CANNOT_REFUND = "REP_CANNOT_REFUND", 403, FixedBy.ACCOUNTS_RECEIVABLE

    # What is said to a customer's account

    UNKNOWN_INVOICE = "UNKNOWN_INVOICE", 404, FixedBy.CALLER
    INVOICE_PAID = "INVOICE_PAID", 409, FixedBy.CALLER
    ALREADY_DISPUTED = "ALREADY_DISPUTED", 409, FixedBy.CALLER
    NOT_PAUSED = "NOT_PAUSED", 409, FixedBy.CALLER

    # What is said of data: differences, and customers that may be one

    CHANGED_MEANWHILE = "CHANGED_MEANWHILE", 409, FixedBy.CALLER

    # What is said of a proposed map

    MAP_PLAN_STALE = "MAP_PLAN_STALE", 409, FixedBy.OPERATOR
    MAP_CONFLICTS = "MAP_CONFLICTS", 409, FixedBy.CALLER
    MAP_OTHER_SIDE = "MAP_OTHER_SIDE", 403, FixedBy.APPROVER
    MAP_NOT_APPROVED = "MAP_NOT_APPROVED", 409, FixedBy.APPROVER
    NOT_PROPOSER = "NOT_PROPOSER", 403, FixedBy.APPROVER
    MAP_SAME = "MAP_SAME", 409, FixedBy.NOBODY
    TOO_MANY_PROPOSALS = "TOO_MANY_PROPOSALS", 409, FixedBy.CALLER
    NO_FORMER_MAP = "NO_FORMER_MAP", 409, FixedBy.NOBODY

    # Requests to pages, API and intake

    BAD_ARGUMENT = "BAD_ARGUMENT", 400, FixedBy.CALLER
    MALFORMED = "MALFORMED", 400, FixedBy.OPERATOR
    SIGN_IN_LOST = "SIGN_IN_LOST", 400, FixedBy.CALLER
    SIGNED_OUT = "SIGNED_OUT", 401, FixedBy.CALLER
    SIGN_IN_REFUSED = "SIGN_IN_REFUSED", 403, FixedBy.ADMINISTRATOR
    FORGED_FORM = "FORGED_FORM", 403, FixedBy.CALLER
    NOT_FOUND = "NOT_FOUND", 404, FixedBy.CALLER
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED", 405, FixedBy.CALLER
    TOO_LARGE = "TOO_LARGE", 413, FixedBy.CALLER
    TOO_SLOW = "TOO_SLOW", 408, FixedBy.CALLER
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS", 429, FixedBy.CALLER
    INTERNAL = "INTERNAL", 500, FixedBy.OPERATOR
    QUERY_FAILED = "QUERY_FAILED", 502, FixedBy.OPERATOR
    TEMPORAL_UNAVAILABLE = "TEMPORAL_UNAVAILABLE", 503, FixedBy.OPERATOR
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE", 503, FixedBy.OPERATOR
    SIGNING_UNAVAILABLE = "SIGNING_UNAVAILABLE", 503, FixedBy.OPERATOR
    KEY_MISSING = "KEY_MISSING", 503, FixedBy.OPERATOR
    ENTRA_UNAVAILABLE = "ENTRA_UNAVAILABLE", 503, FixedBy.OPERATOR
    FINANCE_UNAVAILABLE = "FINANCE_UNAVAILABLE", 503, FixedBy.OPERATOR
    FINANCE_REFUSED = "FINANCE_REFUSED", 502, FixedBy.OPERATOR
    VIRTUAL_KEY_REFUSED = "VIRTUAL_KEY_REFUSED", 401, FixedBy.ADMINISTRATOR

    # What stands open after a deal's end

    PAYMENT_REVERSED_AFTER_END = "PAYMENT_REVERSED_AFTER_END", 409, FixedBy.OPERATOR
    INVOICE_AFTER_END = "INVOICE_AFTER_END", 409, FixedBy.OPERATOR
    CREDIT_NOTE_AFTER_END = "CREDIT_NOTE_AFTER_END", 409, FixedBy.OPERATOR
    NOT_SHOWN_AFTER_END = "NOT_SHOWN_AFTER_END", 409, FixedBy.OPERATOR
    ORDER_CANCELLED_AFTER_END = "ORDER_CANCELLED_AFTER_END", 409, FixedBy.REP
    OPPORTUNITY_REOPENED_AFTER_END = "OPPORTUNITY_REOPENED_AFTER_END", 409, FixedBy.REP
    QUOTE_CHANGED_AFTER_END = "QUOTE_CHANGED_AFTER_END", 409, FixedBy.REP
    NOTHING_TO_COMPARE = "NOTHING_TO_COMPARE", 409, FixedBy.OPERATOR

    # What no deal takes

    NO_DEAL = "NO_DEAL", 409, FixedBy.OPERATOR
    ORDER_WITHOUT_DEAL = "ORDER_WITHOUT_DEAL", 409, FixedBy.OPERATOR

    # In what a credit ledger, the deals and Finance do not agree

    CREDIT_OF_NO_DEAL = "CREDIT_OF_NO_DEAL", 409, FixedBy.OPERATOR
    CREDIT_NOT_RESERVED = "CREDIT_NOT_RESERVED", 409, FixedBy.OPERATOR
    CREDIT_COUNTED_TWICE = "CREDIT_COUNTED_TWICE", 409, FixedBy.OPERATOR
    CREDIT_AMOUNT_DIFFERS = "CREDIT_AMOUNT_DIFFERS", 409, FixedBy.OPERATOR
    CREDIT_GROUP_DIFFERS = "CREDIT_GROUP_DIFFERS", 409, FixedBy.OPERATOR


def sentence_of(code: str) -> str:
    """The sentence of a code; of one this version does not know, that nothing changed."""
    known = Refusal.of(code)
    return known.sentence if known else "This was refused; nothing changed."


def table() -> str:
    """All refusals as a table in Markdown, for the documentation."""
    lines = [f"| `{code}` | {code.status} | {code.fixed_by} | {code.sentence} |" for code in Refusal]
    return "\n".join(["| Code | HTTP | Whose to fix | Means |", "|---|---|---|---|", *lines])
