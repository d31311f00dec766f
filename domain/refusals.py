"""Every code with which something is refused or reported as wrong: each once, with what a person needs to know.

The codes are for programs and stay as they are; the sentences are for people and may be improved at any time.
Source of the codes of decisions and commands: lifecycle, events and messages.
"""

from __future__ import annotations

from enum import StrEnum

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

    REQUESTER_CANNOT_APPROVE = (
        "REQUESTER_CANNOT_APPROVE",
        403,
        FixedBy.APPROVER,
        "You asked for this approval, so someone else has to decide it.",
    )
    NOT_ASSIGNED = (
        "NOT_ASSIGNED",
        403,
        FixedBy.APPROVER,
        "This step is not assigned to you. The request shows who is asked.",
    )
    NO_AUTHORITY = (
        "NO_AUTHORITY",
        403,
        FixedBy.ADMINISTRATOR,
        "Your roles do not allow this for this company. Ask an administrator for the role if it is your job.",
    )
    NOT_OWN_DEAL = (
        "NOT_OWN_DEAL",
        403,
        FixedBy.ADMINISTRATOR,
        "Your role allows this for your own deals only, and this deal is not known to be yours.",
    )
    NOT_NAMED = (
        "NOT_NAMED",
        403,
        FixedBy.ADMINISTRATOR,
        "The policy names who may do this for this company, and you are not among them. "
        "Ask an administrator to add you to approvers.yaml if it is your job.",
    )
    ABOVE_LIMIT = (
        "ABOVE_LIMIT",
        403,
        FixedBy.ADMINISTRATOR,
        "The amount is above what your role decides. Ask someone with a higher limit of authority.",
    )
    SIGN_IN_TOO_OLD = (
        "SIGN_IN_TOO_OLD",
        401,
        FixedBy.CALLER,
        "This needs a fresh sign-in, so nothing was recorded. Sign in again and repeat it.",
    )
    UNAUTHENTICATED = (
        "UNAUTHENTICATED",
        401,
        FixedBy.CALLER,
        "It could not be proved that this comes from you. Sign in again and repeat it.",
    )
    ALREADY_DECIDED = ("ALREADY_DECIDED", 409, FixedBy.NOBODY, "This was already decided; nothing changed.")
    EXPIRED = (
        "EXPIRED",
        409,
        FixedBy.REP,
        "This has expired; nothing changed. The rep has to revise the quote and submit it again.",
    )
    WITHDRAWN = ("WITHDRAWN", 409, FixedBy.NOBODY, "The request was withdrawn; nothing changed.")
    SUPERSEDED = (
        "SUPERSEDED",
        409,
        FixedBy.NOBODY,
        "The quote changed after this request was made, so the request no longer counts; nothing changed. "
        "The deal shows what comes next.",
    )
    REQUEST_ENDED = (
        "REQUEST_ENDED",
        409,
        FixedBy.NOBODY,
        "The request was ended in Temporal before anybody decided it; nothing changed. The deal shows what comes next.",
    )
    SEEN_HASH_MISMATCH = (
        "SEEN_HASH_MISMATCH",
        409,
        FixedBy.APPROVER,
        "The quote changed after this page was shown to you. Read it again before you decide.",
    )
    COMMENT_REQUIRED = ("COMMENT_REQUIRED", 400, FixedBy.APPROVER, "This step needs a comment: say why.")
    REASON_REQUIRED = ("REASON_REQUIRED", 400, FixedBy.APPROVER, "A rejection needs a reason: the rep reads it.")
    BAD_DECISION = (
        "BAD_DECISION",
        400,
        FixedBy.CALLER,
        "The decision has to be approve or reject, and the step one of this request.",
    )

    # What people say to a request besides, and delegations

    TO_IS_REQUESTER = ("TO_IS_REQUESTER", 409, FixedBy.APPROVER, "They made or submitted this quote. Name others.")
    LOOP = ("LOOP", 409, FixedBy.APPROVER, "This would lead back to who is away. Name others, or other days.")
    NO_DELEGATION = ("NO_DELEGATION", 409, FixedBy.NOBODY, "There is no such delegation any more; nothing changed.")
    QUESTION_OPEN = ("QUESTION_OPEN", 409, FixedBy.APPROVER, "A question is open. Wait for its answer, or decide.")
    NO_QUESTION = ("NO_QUESTION", 409, FixedBy.NOBODY, "No question is open here any more; nothing changed.")
    TOO_MANY_QUESTIONS = ("TOO_MANY_QUESTIONS", 409, FixedBy.APPROVER, "This step takes no more questions. Decide it.")

    # Commands and events

    REQUESTER_CANNOT_RELEASE = (
        "REQUESTER_CANNOT_RELEASE",
        403,
        FixedBy.CREDIT_MANAGER,
        "This deal is your own, so someone else has to release its credit hold.",
    )
    UNKNOWN_COMMAND = ("UNKNOWN_COMMAND", 400, FixedBy.CALLER, "There is no such command.")
    CANNOT_SKIP = ("CANNOT_SKIP", 409, FixedBy.OPERATOR, "This step cannot be skipped. Retry it, or abort the deal.")
    NOT_HELD = ("NOT_HELD", 409, FixedBy.NOBODY, "The deal is no longer on credit hold; nothing changed.")
    NOT_PARKED = ("NOT_PARKED", 409, FixedBy.NOBODY, "No step of this deal is parked any more; nothing changed.")
    ILLEGAL_TRANSITION = (
        "ILLEGAL_TRANSITION",
        409,
        FixedBy.NOBODY,
        "The deal is not at a point where this can be done; nothing changed.",
    )
    TERMINAL = ("TERMINAL", 409, FixedBy.NOBODY, "The deal has ended; nothing changed.")
    STALE = ("STALE", 409, FixedBy.NOBODY, "The deal already knows something newer; nothing changed.")
    DUPLICATE = ("DUPLICATE", 409, FixedBy.NOBODY, "This was received before and counts once.")
    MESSAGE_ID_REUSED = (
        "MESSAGE_ID_REUSED",
        409,
        FixedBy.CALLER,
        "This message id was used before, by someone else or for something else, so nothing was recorded. "
        "Send it with an id of its own.",
    )
    HASH_MISMATCH = (
        "HASH_MISMATCH",
        409,
        FixedBy.REP,
        "The accepted quote is not what was approved. Restore the approved content, or revise and submit the quote.",
    )

    # What is wrong with a quote

    NO_LINES = ("NO_LINES", 422, FixedBy.REP, "The quote has no lines. Add at least one product.")
    MORE_PROBLEMS = (
        "MORE_PROBLEMS",
        422,
        FixedBy.REP,
        "There are more problems. Correct those listed and submit again to see the rest.",
    )
    TOO_MANY_LINES = ("TOO_MANY_LINES", 422, FixedBy.REP, "The quote has too many lines. Split it into several quotes.")
    DUPLICATE_LINE = (
        "DUPLICATE_LINE",
        422,
        FixedBy.REP,
        "Two lines have the same number. Give every line its own number.",
    )
    BAD_QTY = ("BAD_QTY", 422, FixedBy.REP, "A quantity is not possible. Enter one above 0 that the unit allows.")
    NO_PRICE = ("NO_PRICE", 422, FixedBy.REP, "A line has no usable price. Choose a price list or enter a price.")
    BAD_DISCOUNT = (
        "BAD_DISCOUNT",
        422,
        FixedBy.REP,
        "A discount is not possible. Enter one between 0 and the amount of the line.",
    )
    BAD_AMOUNT = (
        "BAD_AMOUNT",
        422,
        FixedBy.REP,
        "An amount has more decimals than its currency. Recalculate the quote.",
    )
    TOTALS_DIFFER = (
        "TOTALS_DIFFER",
        422,
        FixedBy.REP,
        "The totals do not match the lines. Recalculate the quote and submit it again.",
    )
    BAD_CHARACTERS = (
        "BAD_CHARACTERS",
        422,
        FixedBy.REP,
        "A text holds characters that no document can hold. Type it again.",
    )
    TEXT_TOO_LONG = ("TEXT_TOO_LONG", 422, FixedBy.REP, "A text is too long for Finance. Shorten it.")
    CURRENCY_MISMATCH = (
        "CURRENCY_MISMATCH",
        422,
        FixedBy.REP,
        "Quote, price list and customer do not have the same currency. Create the quote in the customer's currency.",
    )
    CUSTOMER_UNMAPPED = (
        "CUSTOMER_UNMAPPED",
        422,
        FixedBy.REP,
        "Finance does not know the customer. Create the customer there, or correct the account number in Sales.",
    )
    CUSTOMER_BLOCKED = (
        "CUSTOMER_BLOCKED",
        422,
        FixedBy.CREDIT_MANAGER,
        "The customer is on hold in Finance. Ask the credit manager to lift the hold.",
    )
    DUPLICATE_CUSTOMER = (
        "DUPLICATE_CUSTOMER",
        422,
        FixedBy.REP,
        "Two accounts in Sales carry the same account number. Merge them, or correct the wrong number.",
    )
    NO_EXCHANGE_RATE = (
        "NO_EXCHANGE_RATE",
        422,
        FixedBy.OPERATOR,
        "Finance has no exchange rate for the quote's currency. Have one entered there, then submit again.",
    )
    PRICES_INCLUDE_TAX = (
        "PRICES_INCLUDE_TAX",
        422,
        FixedBy.OPERATOR,
        "The customer's prices in Finance include a sales tax that cannot be taken out of them. Have 'Prices include "
        "sales tax' turned off for the customer there, then submit again.",
    )
    ITEM_NOT_RELEASED = (
        "ITEM_NOT_RELEASED",
        422,
        FixedBy.REP,
        "A product is not released for sale in this company. Have it released, or choose another product.",
    )
    UNIT_MISMATCH = (
        "UNIT_MISMATCH",
        422,
        FixedBy.REP,
        "A line's unit is not the one Finance sells the product in. Choose that unit.",
    )
    UNMAPPED_PAYMENT_TERM = (
        "UNMAPPED_PAYMENT_TERM",
        422,
        FixedBy.OPERATOR,
        "The payment terms have no counterpart in Finance. Choose other terms, or have them added to the entity map.",
    )
    UNKNOWN_OWNER = (
        "UNKNOWN_OWNER",
        422,
        FixedBy.REP,
        "The quote is owned by a team, or by a user without an account in Entra ID. Assign it to a person.",
    )
    UNMAPPED_COUNTRY = (
        "UNMAPPED_COUNTRY",
        422,
        FixedBy.REP,
        "The ship-to country has no counterpart in Finance. Correct it, or have it added to the entity map.",
    )

    # Why credit is refused

    NO_CREDIT = ("NO_CREDIT", 409, FixedBy.CREDIT_MANAGER, "The customer has no credit limit in Finance.")
    OVER_LIMIT = ("OVER_LIMIT", 409, FixedBy.CREDIT_MANAGER, "The order would exceed the customer's credit limit.")
    LIMIT_EXPIRED = ("LIMIT_EXPIRED", 409, FixedBy.CREDIT_MANAGER, "The customer's credit limit has expired.")
    OVERDUE = ("OVERDUE", 409, FixedBy.CREDIT_MANAGER, "An invoice of the customer has been overdue for too long.")
    OVERDUE_AMOUNT = ("OVERDUE_AMOUNT", 409, FixedBy.CREDIT_MANAGER, "Too much of what the customer owes is overdue.")
    ORDER_TOO_LARGE = (
        "ORDER_TOO_LARGE",
        409,
        FixedBy.CREDIT_MANAGER,
        "The order is larger than the policy allows without a release.",
    )

    # Exceptions: facts that cannot be undone, for a person to settle

    NOT_SUBMITTED = (
        "NOT_SUBMITTED",
        409,
        FixedBy.REP,
        "The quote went on in Sales without having been submitted for approval; nothing is ordered. "
        "Revise the quote and submit it.",
    )
    ACTIVATED_WITHOUT_APPROVAL = (
        "ACTIVATED_WITHOUT_APPROVAL",
        409,
        FixedBy.REP,
        "The quote was activated before it was approved. It is ordered only after the approval.",
    )
    ACCEPTED_WITHOUT_APPROVAL = (
        "ACCEPTED_WITHOUT_APPROVAL",
        409,
        FixedBy.REP,
        "The quote was won before it was approved. It is ordered only after the approval.",
    )
    ACCEPTED_AFTER_EXPIRY = (
        "ACCEPTED_AFTER_EXPIRY",
        409,
        FixedBy.REP,
        "The quote was accepted after it had expired; nothing is ordered. Revise the quote and submit it.",
    )
    WON_IN_SALES = (
        "WON_IN_SALES",
        409,
        FixedBy.REP,
        "The deal ended here, but the quote is won in Sales. Cancel its order there.",
    )
    SECOND_SALES_ORDER = (
        "SECOND_SALES_ORDER",
        409,
        FixedBy.REP,
        "The quote was made into more than one order in Sales. The deal follows the first; cancel the others there.",
    )
    SALES_ORDER_CANCELLED = (
        "SALES_ORDER_CANCELLED",
        409,
        FixedBy.REP,
        "The order was cancelled in Sales, but it is in Finance. Have it cancelled in Finance as well.",
    )
    OPPORTUNITY_REOPENED = (
        "OPPORTUNITY_REOPENED",
        409,
        FixedBy.REP,
        "The opportunity was reopened in Sales while its deal goes on. Win it again, or have the deal called off.",
    )
    CREDIT_REFUSED = (
        "CREDIT_REFUSED",
        409,
        FixedBy.OPERATOR,
        "Credit was refused after goods had been shipped. Cancel what is left of the order in Finance.",
    )
    ORDER_IN_FINANCE = (
        "ORDER_IN_FINANCE",
        409,
        FixedBy.OPERATOR,
        "The deal ended, but its order may be in Finance. Look for it there, and cancel it.",
    )
    SALES_NOT_TOLD = (
        "SALES_NOT_TOLD",
        409,
        FixedBy.OPERATOR,
        "Sales does not show how the deal ended. Correct the quote there.",
    )
    NOTHING_TO_CANCEL = ("NOTHING_TO_CANCEL", 409, FixedBy.REP, "Nothing is left to ship. Goods come back by a return.")
    LARGER_ORDER = ("LARGER_ORDER", 409, FixedBy.REP, "An order cannot be made larger. Sell the rest with a new quote.")
    CHANGE_OPEN = ("CHANGE_OPEN", 409, FixedBy.NOBODY, "The order is being changed already. Wait until it is done.")
    CHANGE_FAILING = ("CHANGE_FAILING", 409, FixedBy.OPERATOR, "Finance does not take it yet. It is tried again.")
    CHANGE_REFUSED = ("CHANGE_REFUSED", 409, FixedBy.REP, "A part of the change could not be made. Look at the order.")
    BELOW_SHIPPED = (
        "BELOW_SHIPPED",
        409,
        FixedBy.REP,
        "A line cannot be reduced below what was shipped. Goods come back by a return order.",
    )
    OVER_DELIVERY = (
        "OVER_DELIVERY",
        409,
        FixedBy.OPERATOR,
        "Finance shipped more than was ordered. Agree with the customer, then correct the order or take goods back.",
    )
    OVER_INVOICED = (
        "OVER_INVOICED",
        409,
        FixedBy.OPERATOR,
        "Finance invoiced more than was shipped. Post the missing packing slip, or a credit note.",
    )
    OVER_RETURN = (
        "OVER_RETURN",
        409,
        FixedBy.OPERATOR,
        "Finance took back more than was shipped. Correct the return in Finance.",
    )
    OVER_CREDITED = (
        "OVER_CREDITED",
        409,
        FixedBy.OPERATOR,
        "Finance credited more than was invoiced. Correct the credit note in Finance.",
    )
    UNKNOWN_LINE = (
        "UNKNOWN_LINE",
        409,
        FixedBy.OPERATOR,
        "A document of the order has a line that is not in the quote; Sales does not show it. "
        "Agree on it with the customer, and correct the order or its documents in Finance.",
    )
    LINE_CHANGED = (
        "LINE_CHANGED",
        409,
        FixedBy.OPERATOR,
        "A line of the order has another item in Finance, or the order's prices include sales tax there. The deal goes "
        "on with what Finance holds. Agree on it with the customer, or correct the order in Finance.",
    )

    # Requests to pages, API and intake

    BAD_ARGUMENT = ("BAD_ARGUMENT", 400, FixedBy.CALLER, "Something in the request is not valid.")
    MALFORMED = ("MALFORMED", 400, FixedBy.OPERATOR, "The report cannot be understood.")
    SIGN_IN_LOST = (
        "SIGN_IN_LOST",
        400,
        FixedBy.CALLER,
        "This sign-in cannot be completed. Go back to the start page and sign in again.",
    )
    SIGNED_OUT = (
        "SIGNED_OUT",
        401,
        FixedBy.CALLER,
        "You are no longer signed in, so nothing was recorded. Sign in and repeat it.",
    )
    SIGN_IN_REFUSED = ("SIGN_IN_REFUSED", 403, FixedBy.ADMINISTRATOR, "Entra ID refused the sign-in.")
    FORGED_FORM = (
        "FORGED_FORM",
        403,
        FixedBy.CALLER,
        "This form is not from your session, so nothing was recorded. Load the page again.",
    )
    NOT_FOUND = ("NOT_FOUND", 404, FixedBy.CALLER, "There is nothing at this address.")
    METHOD_NOT_ALLOWED = ("METHOD_NOT_ALLOWED", 405, FixedBy.CALLER, "This address does not take this method.")
    TOO_LARGE = ("TOO_LARGE", 413, FixedBy.CALLER, "The request is larger than this address takes.")
    TOO_SLOW = (
        "TOO_SLOW",
        408,
        FixedBy.CALLER,
        "The request took too long to arrive, so nothing was recorded. Send it again.",
    )
    TOO_MANY_REQUESTS = (
        "TOO_MANY_REQUESTS",
        429,
        FixedBy.CALLER,
        "Too many messages in a short time, so this one was not recorded. Wait a moment and send it again.",
    )
    INTERNAL = ("INTERNAL", 500, FixedBy.OPERATOR, "Something went wrong here. It is in the log.")
    QUERY_FAILED = (
        "QUERY_FAILED",
        502,
        FixedBy.OPERATOR,
        "What runs under this number cannot be read. An operator finds it in Temporal Web.",
    )
    TEMPORAL_UNAVAILABLE = (
        "TEMPORAL_UNAVAILABLE",
        503,
        FixedBy.OPERATOR,
        "Temporal does not respond. Try again in a moment.",
    )
    LEDGER_UNAVAILABLE = (
        "LEDGER_UNAVAILABLE",
        503,
        FixedBy.OPERATOR,
        "The ledger's database does not respond, so it is not known who is signed in. Try again in a moment.",
    )
    SIGNING_UNAVAILABLE = (
        "SIGNING_UNAVAILABLE",
        503,
        FixedBy.OPERATOR,
        "The vault that signs decisions does not respond, so nothing was decided. Try again in a moment.",
    )
    KEY_MISSING = (
        "KEY_MISSING",
        503,
        FixedBy.OPERATOR,
        "This process was not given the key that something is sealed under. Add the key and restart it.",
    )
    ENTRA_UNAVAILABLE = (
        "ENTRA_UNAVAILABLE",
        503,
        FixedBy.OPERATOR,
        "Entra ID does not respond, so nobody can sign in. Try again in a moment.",
    )


def sentence_of(code: str) -> str:
    """The sentence of a code; of one this version does not know, that nothing changed."""
    known = Refusal.of(code)
    return known.sentence if known else "This was refused; nothing changed."


def table() -> str:
    """All refusals as a table in Markdown, for the documentation."""
    rows = [f"| `{code}` | {code.status} | {code.fixed_by} | {code.sentence} |" for code in Refusal]
    return "\n".join(["| Code | HTTP | Whose to fix | Means |", "|---|---|---|---|", *rows])
