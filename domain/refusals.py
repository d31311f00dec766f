"""Every code with which something is refused or reported as wrong: each once; what it means is in ``refusal_rows``."""

from __future__ import annotations

from enum import StrEnum

from domain import exception_rows as exceptions
from domain import refusal_rows as rows
from domain.fixed_by import FixedBy


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

    def __new__(cls, code: str, status: int, fixed_by: FixedBy, sentence: str) -> Refusal:
        """Make a member: the code is its value, the rest its attributes."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status, member.fixed_by, member.sentence = status, fixed_by, sentence
        return member

    @classmethod
    def of(cls, code: str) -> Refusal | None:
        """The refusal of a code; None for one that this version does not know."""
        return cls.__members__.get(code)

    # Decisions of approvers

    REQUESTER_CANNOT_APPROVE = rows.REQUESTER_CANNOT_APPROVE
    NOT_ASSIGNED = rows.NOT_ASSIGNED
    NO_AUTHORITY = rows.NO_AUTHORITY
    NOT_OWN_DEAL = rows.NOT_OWN_DEAL
    NOT_NAMED = rows.NOT_NAMED
    ABOVE_LIMIT = rows.ABOVE_LIMIT
    SIGN_IN_TOO_OLD = rows.SIGN_IN_TOO_OLD
    UNAUTHENTICATED = rows.UNAUTHENTICATED
    ALREADY_DECIDED = rows.ALREADY_DECIDED
    EXPIRED = rows.EXPIRED
    WITHDRAWN = rows.WITHDRAWN
    SUPERSEDED = rows.SUPERSEDED
    REQUEST_ENDED = rows.REQUEST_ENDED
    SEEN_HASH_MISMATCH = rows.SEEN_HASH_MISMATCH
    COMMENT_REQUIRED = rows.COMMENT_REQUIRED
    REASON_REQUIRED = rows.REASON_REQUIRED
    BAD_DECISION = rows.BAD_DECISION

    # What people say to a request besides, and delegations

    TO_IS_REQUESTER = rows.TO_IS_REQUESTER
    LOOP = rows.LOOP
    NO_DELEGATION = rows.NO_DELEGATION
    QUESTION_OPEN = rows.QUESTION_OPEN
    NO_QUESTION = rows.NO_QUESTION
    TOO_MANY_QUESTIONS = rows.TOO_MANY_QUESTIONS

    # Commands and events

    REQUESTER_CANNOT_RELEASE = rows.REQUESTER_CANNOT_RELEASE
    UNKNOWN_COMMAND = rows.UNKNOWN_COMMAND
    CANNOT_SKIP = rows.CANNOT_SKIP
    NOT_HELD = rows.NOT_HELD
    NOT_PARKED = rows.NOT_PARKED
    NOT_OPEN_ANY_MORE = rows.NOT_OPEN_ANY_MORE
    ILLEGAL_TRANSITION = rows.ILLEGAL_TRANSITION
    TERMINAL = rows.TERMINAL
    STALE = rows.STALE
    DUPLICATE = rows.DUPLICATE
    MESSAGE_ID_REUSED = rows.MESSAGE_ID_REUSED
    HASH_MISMATCH = rows.HASH_MISMATCH

    # What is wrong with a quote

    NO_LINES = rows.NO_LINES
    MORE_PROBLEMS = rows.MORE_PROBLEMS
    TOO_MANY_LINES = rows.TOO_MANY_LINES
    DUPLICATE_LINE = rows.DUPLICATE_LINE
    BAD_QTY = rows.BAD_QTY
    NO_PRICE = rows.NO_PRICE
    BAD_DISCOUNT = rows.BAD_DISCOUNT
    BAD_AMOUNT = rows.BAD_AMOUNT
    TOTALS_DIFFER = rows.TOTALS_DIFFER
    BAD_CHARACTERS = rows.BAD_CHARACTERS
    TEXT_TOO_LONG = rows.TEXT_TOO_LONG
    CURRENCY_MISMATCH = rows.CURRENCY_MISMATCH
    CUSTOMER_UNMAPPED = rows.CUSTOMER_UNMAPPED
    CUSTOMER_BLOCKED = rows.CUSTOMER_BLOCKED
    DUPLICATE_CUSTOMER = rows.DUPLICATE_CUSTOMER
    NO_EXCHANGE_RATE = rows.NO_EXCHANGE_RATE
    PRICES_INCLUDE_TAX = rows.PRICES_INCLUDE_TAX
    ITEM_NOT_RELEASED = rows.ITEM_NOT_RELEASED
    UNIT_MISMATCH = rows.UNIT_MISMATCH
    UNMAPPED_PAYMENT_TERM = rows.UNMAPPED_PAYMENT_TERM
    UNKNOWN_OWNER = rows.UNKNOWN_OWNER
    UNMAPPED_COUNTRY = rows.UNMAPPED_COUNTRY

    # Why credit is refused

    NO_CREDIT = rows.NO_CREDIT
    OVER_LIMIT = rows.OVER_LIMIT
    LIMIT_EXPIRED = rows.LIMIT_EXPIRED
    OVERDUE = rows.OVERDUE
    OVERDUE_AMOUNT = rows.OVERDUE_AMOUNT
    ORDER_TOO_LARGE = rows.ORDER_TOO_LARGE

    # Exceptions: facts that cannot be undone, for a person to settle

    NOT_SUBMITTED = exceptions.NOT_SUBMITTED
    ACTIVATED_WITHOUT_APPROVAL = exceptions.ACTIVATED_WITHOUT_APPROVAL
    ACCEPTED_WITHOUT_APPROVAL = exceptions.ACCEPTED_WITHOUT_APPROVAL
    ACCEPTED_AFTER_EXPIRY = exceptions.ACCEPTED_AFTER_EXPIRY
    WON_IN_SALES = exceptions.WON_IN_SALES
    SECOND_SALES_ORDER = exceptions.SECOND_SALES_ORDER
    SALES_ORDER_CANCELLED = exceptions.SALES_ORDER_CANCELLED
    OPPORTUNITY_REOPENED = exceptions.OPPORTUNITY_REOPENED
    CREDIT_REFUSED = exceptions.CREDIT_REFUSED
    ORDER_IN_FINANCE = exceptions.ORDER_IN_FINANCE
    SALES_NOT_TOLD = exceptions.SALES_NOT_TOLD
    BELOW_SHIPPED = exceptions.BELOW_SHIPPED
    DEPOSIT_OVERDUE = exceptions.DEPOSIT_OVERDUE
    DEPOSIT_REVERSED = exceptions.DEPOSIT_REVERSED
    SHIPPED_WHILE_HELD = exceptions.SHIPPED_WHILE_HELD
    OVER_DELIVERY = exceptions.OVER_DELIVERY
    OVER_INVOICED = exceptions.OVER_INVOICED
    OVER_RETURN = exceptions.OVER_RETURN
    OVER_CREDITED = exceptions.OVER_CREDITED
    UNKNOWN_LINE = exceptions.UNKNOWN_LINE
    LINE_CHANGED = exceptions.LINE_CHANGED
    PRICE_FELL = "PRICE_FELL", 409, FixedBy.REP, "Finance lists a product lower by now. The quoted price is kept."

    # What is said of an order that is changed or cancelled

    NOTHING_TO_CANCEL = ("NOTHING_TO_CANCEL", 409, FixedBy.REP, "Nothing is left to ship. Goods come back by a return.")
    LARGER_ORDER = ("LARGER_ORDER", 409, FixedBy.REP, "It cannot be made larger now. Sell the rest with a new quote.")
    LARGER_NOT_APPROVED = ("LARGER_NOT_APPROVED", 409, FixedBy.REP, "More was not approved. The order is as it was.")
    LARGER_NO_CREDIT = ("LARGER_NO_CREDIT", 409, FixedBy.CREDIT_MANAGER, "No credit for more. Have the limit raised.")
    NOT_CONFIRMED = ("NOT_CONFIRMED", 409, FixedBy.OPERATOR, "The larger order is not confirmed: do it in Finance.")
    CHANGE_OPEN = ("CHANGE_OPEN", 409, FixedBy.NOBODY, "The order is being changed already. Wait until it is done.")
    CHANGE_FAILING = ("CHANGE_FAILING", 409, FixedBy.OPERATOR, "Finance does not take it yet. It is tried again.")
    CHANGE_REFUSED = ("CHANGE_REFUSED", 409, FixedBy.REP, "A part of the change could not be made. Look at the order.")

    # What is said of a customer that Finance does not know

    MAKER_CANNOT_SET_UP = ("MAKER_CANNOT_SET_UP", 403, FixedBy.APPROVER, "It is your own deal. Others decide this.")
    NO_CUSTOMER_ASKED = ("NO_CUSTOMER_ASKED", 409, FixedBy.NOBODY, "No customer is to be decided about here any more.")
    CUSTOMER_NOT_LISTED = ("CUSTOMER_NOT_LISTED", 409, FixedBy.APPROVER, "Choose a customer that the deal shows.")
    CUSTOMER_TAKEN = ("CUSTOMER_TAKEN", 409, FixedBy.REP, "Another account in Sales has its number. Use that one.")
    CUSTOMER_INCOMPLETE = ("CUSTOMER_INCOMPLETE", 409, FixedBy.APPROVER, "Enter what Finance needs of the customer.")

    # Money that settles nothing, and its refund

    UNAPPLIED_CREDIT = ("UNAPPLIED_CREDIT", 409, FixedBy.ACCOUNTS_RECEIVABLE, "Settle, refund or keep the credit.")
    NOTHING_TO_REFUND = ("NOTHING_TO_REFUND", 409, FixedBy.NOBODY, "There is no such credit, or no such refund.")
    REFUND_ABOVE_CREDIT = ("REFUND_ABOVE_CREDIT", 409, FixedBy.ACCOUNTS_RECEIVABLE, "The refund is above the credit.")
    NEEDS_SECOND_PERSON = ("NEEDS_SECOND_PERSON", 403, FixedBy.ACCOUNTS_RECEIVABLE, "Someone else has to approve this.")
    REP_CANNOT_REFUND = ("REP_CANNOT_REFUND", 403, FixedBy.ACCOUNTS_RECEIVABLE, "This deal is yours: ask someone else.")

    # What is said to a customer's account

    UNKNOWN_INVOICE = ("UNKNOWN_INVOICE", 404, FixedBy.CALLER, "This account has no such invoice. Check its number.")
    INVOICE_PAID = ("INVOICE_PAID", 409, FixedBy.CALLER, "Nothing is open on this invoice any more.")
    ALREADY_DISPUTED = ("ALREADY_DISPUTED", 409, FixedBy.CALLER, "It is disputed already. Settle that first.")
    NOT_PAUSED = ("NOT_PAUSED", 409, FixedBy.CALLER, "There is nothing here that could be ended.")

    # Requests to pages, API and intake

    BAD_ARGUMENT = rows.BAD_ARGUMENT
    MALFORMED = rows.MALFORMED
    SIGN_IN_LOST = rows.SIGN_IN_LOST
    SIGNED_OUT = rows.SIGNED_OUT
    SIGN_IN_REFUSED = rows.SIGN_IN_REFUSED
    FORGED_FORM = rows.FORGED_FORM
    NOT_FOUND = rows.NOT_FOUND
    METHOD_NOT_ALLOWED = rows.METHOD_NOT_ALLOWED
    TOO_LARGE = rows.TOO_LARGE
    TOO_SLOW = rows.TOO_SLOW
    TOO_MANY_REQUESTS = rows.TOO_MANY_REQUESTS
    INTERNAL = rows.INTERNAL
    QUERY_FAILED = rows.QUERY_FAILED
    TEMPORAL_UNAVAILABLE = rows.TEMPORAL_UNAVAILABLE
    LEDGER_UNAVAILABLE = rows.LEDGER_UNAVAILABLE
    SIGNING_UNAVAILABLE = rows.SIGNING_UNAVAILABLE
    KEY_MISSING = rows.KEY_MISSING
    ENTRA_UNAVAILABLE = rows.ENTRA_UNAVAILABLE

    # What stands open after a deal's end

    PAYMENT_REVERSED_AFTER_END = exceptions.PAYMENT_REVERSED_AFTER_END
    INVOICE_AFTER_END = exceptions.INVOICE_AFTER_END
    CREDIT_NOTE_AFTER_END = exceptions.CREDIT_NOTE_AFTER_END
    NOT_SHOWN_AFTER_END = exceptions.NOT_SHOWN_AFTER_END
    ORDER_CANCELLED_AFTER_END = exceptions.ORDER_CANCELLED_AFTER_END
    OPPORTUNITY_REOPENED_AFTER_END = exceptions.OPPORTUNITY_REOPENED_AFTER_END
    QUOTE_CHANGED_AFTER_END = exceptions.QUOTE_CHANGED_AFTER_END
    NOTHING_TO_COMPARE = exceptions.NOTHING_TO_COMPARE

    # What no deal takes

    NO_DEAL = exceptions.NO_DEAL
    ORDER_WITHOUT_DEAL = exceptions.ORDER_WITHOUT_DEAL


def sentence_of(code: str) -> str:
    """The sentence of a code; of one this version does not know, that nothing changed."""
    known = Refusal.of(code)
    return known.sentence if known else "This was refused; nothing changed."


def table() -> str:
    """All refusals as a table in Markdown, for the documentation."""
    lines = [f"| `{code}` | {code.status} | {code.fixed_by} | {code.sentence} |" for code in Refusal]
    return "\n".join(["| Code | HTTP | Whose to fix | Means |", "|---|---|---|---|", *lines])
