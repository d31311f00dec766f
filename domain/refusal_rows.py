"""What stands behind each code of ``domain.refusals``: the code, its HTTP status, whose it is to fix, its sentence.

The codes are for programs and stay as they are; the sentences are for people and may be improved at any time.
Source of the codes of decisions and commands: lifecycle, events and messages.
"""

from __future__ import annotations

from typing import Final

from domain.fixed_by import FixedBy

# Decisions of approvers

REQUESTER_CANNOT_APPROVE: Final = (
    "REQUESTER_CANNOT_APPROVE",
    403,
    FixedBy.APPROVER,
    "You asked for this approval, so someone else has to decide it.",
)
NOT_ASSIGNED: Final = (
    "NOT_ASSIGNED",
    403,
    FixedBy.APPROVER,
    "This step is not assigned to you. The request shows who is asked.",
)
NO_AUTHORITY: Final = (
    "NO_AUTHORITY",
    403,
    FixedBy.ADMINISTRATOR,
    "Your roles do not allow this for this company. Ask an administrator for the role if it is your job.",
)
NOT_OWN_DEAL: Final = (
    "NOT_OWN_DEAL",
    403,
    FixedBy.ADMINISTRATOR,
    "Your role allows this for your own deals only, and this deal is not known to be yours.",
)
NOT_NAMED: Final = (
    "NOT_NAMED",
    403,
    FixedBy.ADMINISTRATOR,
    "The policy names who may do this for this company, and you are not among them. "
    "Ask an administrator to add you to approvers.yaml if it is your job.",
)
ABOVE_LIMIT: Final = (
    "ABOVE_LIMIT",
    403,
    FixedBy.ADMINISTRATOR,
    "The amount is above what your role decides. Ask someone with a higher limit of authority.",
)
SIGN_IN_TOO_OLD: Final = (
    "SIGN_IN_TOO_OLD",
    401,
    FixedBy.CALLER,
    "This needs a fresh sign-in, so nothing was recorded. Sign in again and repeat it.",
)
UNAUTHENTICATED: Final = (
    "UNAUTHENTICATED",
    401,
    FixedBy.CALLER,
    "It could not be proved that this comes from you. Sign in again and repeat it.",
)
ALREADY_DECIDED: Final = ("ALREADY_DECIDED", 409, FixedBy.NOBODY, "This was already decided; nothing changed.")
EXPIRED: Final = (
    "EXPIRED",
    409,
    FixedBy.REP,
    "This has expired; nothing changed. The rep has to revise the quote and submit it again.",
)
WITHDRAWN: Final = ("WITHDRAWN", 409, FixedBy.NOBODY, "The request was withdrawn; nothing changed.")
SUPERSEDED: Final = (
    "SUPERSEDED",
    409,
    FixedBy.NOBODY,
    "The quote changed after this request was made, so the request no longer counts; nothing changed. "
    "The deal shows what comes next.",
)
REQUEST_ENDED: Final = (
    "REQUEST_ENDED",
    409,
    FixedBy.NOBODY,
    "The request was ended in Temporal before anybody decided it; nothing changed. The deal shows what comes next.",
)
SEEN_HASH_MISMATCH: Final = (
    "SEEN_HASH_MISMATCH",
    409,
    FixedBy.APPROVER,
    "The quote changed after this page was shown to you. Read it again before you decide.",
)
COMMENT_REQUIRED: Final = ("COMMENT_REQUIRED", 400, FixedBy.APPROVER, "This step needs a comment: say why.")
REASON_REQUIRED: Final = ("REASON_REQUIRED", 400, FixedBy.APPROVER, "A rejection needs a reason: the rep reads it.")
BAD_DECISION: Final = (
    "BAD_DECISION",
    400,
    FixedBy.CALLER,
    "The decision has to be approve or reject, and the step one of this request.",
)

# What people say to a request besides, and delegations

TO_IS_REQUESTER: Final = ("TO_IS_REQUESTER", 409, FixedBy.APPROVER, "They made or submitted this quote. Name others.")
LOOP: Final = ("LOOP", 409, FixedBy.APPROVER, "This would lead back to who is away. Name others, or other days.")
NO_DELEGATION: Final = ("NO_DELEGATION", 409, FixedBy.NOBODY, "There is no such delegation any more; nothing changed.")
QUESTION_OPEN: Final = ("QUESTION_OPEN", 409, FixedBy.APPROVER, "A question is open. Wait for its answer, or decide.")
NO_QUESTION: Final = ("NO_QUESTION", 409, FixedBy.NOBODY, "No question is open here any more; nothing changed.")
TOO_MANY_QUESTIONS: Final = (
    "TOO_MANY_QUESTIONS",
    409,
    FixedBy.APPROVER,
    "This step takes no more questions. Decide it.",
)

# Commands and events

REQUESTER_CANNOT_RELEASE: Final = (
    "REQUESTER_CANNOT_RELEASE",
    403,
    FixedBy.CREDIT_MANAGER,
    "This deal is your own, so someone else has to release its credit hold.",
)
UNKNOWN_COMMAND: Final = ("UNKNOWN_COMMAND", 400, FixedBy.CALLER, "There is no such command.")
CANNOT_SKIP: Final = ("CANNOT_SKIP", 409, FixedBy.OPERATOR, "This step cannot be skipped. Retry it, or abort the deal.")
NOT_HELD: Final = ("NOT_HELD", 409, FixedBy.NOBODY, "The deal is no longer on credit hold; nothing changed.")
NOT_PARKED: Final = ("NOT_PARKED", 409, FixedBy.NOBODY, "No step of this deal is parked any more; nothing changed.")
NOT_OPEN_ANY_MORE: Final = (
    "NOT_OPEN_ANY_MORE",
    409,
    FixedBy.NOBODY,
    "This is no longer open; nothing changed.",
)
ILLEGAL_TRANSITION: Final = (
    "ILLEGAL_TRANSITION",
    409,
    FixedBy.NOBODY,
    "The deal is not at a point where this can be done; nothing changed.",
)
TERMINAL: Final = ("TERMINAL", 409, FixedBy.NOBODY, "The deal has ended; nothing changed.")
STALE: Final = ("STALE", 409, FixedBy.NOBODY, "The deal already knows something newer; nothing changed.")
DUPLICATE: Final = ("DUPLICATE", 409, FixedBy.NOBODY, "This was received before and counts once.")
MESSAGE_ID_REUSED: Final = (
    "MESSAGE_ID_REUSED",
    409,
    FixedBy.CALLER,
    "This message id was used before, by someone else or for something else, so nothing was recorded. "
    "Send it with an id of its own.",
)
HASH_MISMATCH: Final = (
    "HASH_MISMATCH",
    409,
    FixedBy.REP,
    "The accepted quote is not what was approved. Restore the approved content, or revise and submit the quote.",
)

# What is wrong with a quote

NO_LINES: Final = ("NO_LINES", 422, FixedBy.REP, "The quote has no lines. Add at least one product.")
MORE_PROBLEMS: Final = (
    "MORE_PROBLEMS",
    422,
    FixedBy.REP,
    "There are more problems. Correct those listed and submit again to see the rest.",
)
TOO_MANY_LINES: Final = (
    "TOO_MANY_LINES",
    422,
    FixedBy.REP,
    "The quote has too many lines. Split it into several quotes.",
)
DUPLICATE_LINE: Final = (
    "DUPLICATE_LINE",
    422,
    FixedBy.REP,
    "Two lines have the same number. Give every line its own number.",
)
BAD_QTY: Final = ("BAD_QTY", 422, FixedBy.REP, "A quantity is not possible. Enter one above 0 that the unit allows.")
NO_PRICE: Final = ("NO_PRICE", 422, FixedBy.REP, "A line has no usable price. Choose a price list or enter a price.")
BAD_DISCOUNT: Final = (
    "BAD_DISCOUNT",
    422,
    FixedBy.REP,
    "A discount is not possible. Enter one between 0 and the amount of the line.",
)
BAD_AMOUNT: Final = (
    "BAD_AMOUNT",
    422,
    FixedBy.REP,
    "An amount has more decimals than its currency. Recalculate the quote.",
)
TOTALS_DIFFER: Final = (
    "TOTALS_DIFFER",
    422,
    FixedBy.REP,
    "The totals do not match the lines. Recalculate the quote and submit it again.",
)
BAD_CHARACTERS: Final = (
    "BAD_CHARACTERS",
    422,
    FixedBy.REP,
    "A text holds characters that no document can hold. Type it again.",
)
TEXT_TOO_LONG: Final = ("TEXT_TOO_LONG", 422, FixedBy.REP, "A text is too long for Finance. Shorten it.")
CURRENCY_MISMATCH: Final = (
    "CURRENCY_MISMATCH",
    422,
    FixedBy.REP,
    "Quote, price list and customer do not have the same currency. Create the quote in the customer's currency.",
)
CUSTOMER_UNMAPPED: Final = (
    "CUSTOMER_UNMAPPED",
    422,
    FixedBy.REP,
    "Finance does not know the customer. Create the customer there, or correct the account number in Sales.",
)
CUSTOMER_BLOCKED: Final = (
    "CUSTOMER_BLOCKED",
    422,
    FixedBy.CREDIT_MANAGER,
    "The customer is on hold in Finance. Ask the credit manager to lift the hold.",
)
DUPLICATE_CUSTOMER: Final = (
    "DUPLICATE_CUSTOMER",
    422,
    FixedBy.REP,
    "Sales or Finance may have this customer twice. The deal says which ones, and what to do.",
)
NO_EXCHANGE_RATE: Final = (
    "NO_EXCHANGE_RATE",
    422,
    FixedBy.OPERATOR,
    "Finance has no exchange rate for the quote's currency. Have one entered there, then submit again.",
)
PRICES_INCLUDE_TAX: Final = (
    "PRICES_INCLUDE_TAX",
    422,
    FixedBy.OPERATOR,
    "The customer's prices in Finance include a sales tax that cannot be taken out of them. Have 'Prices include "
    "sales tax' turned off for the customer there, then submit again.",
)
ITEM_NOT_RELEASED: Final = (
    "ITEM_NOT_RELEASED",
    422,
    FixedBy.REP,
    "A product is not released for sale in this company. Have it released, or choose another product.",
)
UNIT_MISMATCH: Final = (
    "UNIT_MISMATCH",
    422,
    FixedBy.REP,
    "A line's unit is not the one Finance sells the product in. Choose that unit.",
)
UNMAPPED_PAYMENT_TERM: Final = (
    "UNMAPPED_PAYMENT_TERM",
    422,
    FixedBy.OPERATOR,
    "The payment terms have no counterpart in Finance. Choose other terms, or have them added to the entity map.",
)
UNKNOWN_OWNER: Final = (
    "UNKNOWN_OWNER",
    422,
    FixedBy.REP,
    "The quote is owned by a team, or by a user without an account in Entra ID. Assign it to a person.",
)
UNMAPPED_COUNTRY: Final = (
    "UNMAPPED_COUNTRY",
    422,
    FixedBy.REP,
    "The ship-to country has no counterpart in Finance. Correct it, or have it added to the entity map.",
)

# Why credit is refused

NO_CREDIT: Final = ("NO_CREDIT", 409, FixedBy.CREDIT_MANAGER, "The customer has no credit limit in Finance.")
OVER_LIMIT: Final = ("OVER_LIMIT", 409, FixedBy.CREDIT_MANAGER, "The order would exceed the customer's credit limit.")
GROUP_OVER_LIMIT: Final = (
    "GROUP_OVER_LIMIT",
    409,
    FixedBy.CREDIT_MANAGER,
    "The order would exceed the credit limit that the customer shares with others.",
)
GROUP_LIMIT_EXPIRED: Final = (
    "GROUP_LIMIT_EXPIRED",
    409,
    FixedBy.CREDIT_MANAGER,
    "The credit limit that the customer shares with others has expired.",
)
TERMS_RAISED: Final = (
    "TERMS_RAISED",
    409,
    FixedBy.CREDIT_MANAGER,
    "The quote has longer payment terms than the customer's own in Finance.",
)
DISCOUNT_RAISED: Final = (
    "DISCOUNT_RAISED",
    409,
    FixedBy.CREDIT_MANAGER,
    "The quote has another cash discount than the customer's own in Finance.",
)
LIMIT_EXPIRED: Final = ("LIMIT_EXPIRED", 409, FixedBy.CREDIT_MANAGER, "The customer's credit limit has expired.")
OVERDUE: Final = ("OVERDUE", 409, FixedBy.CREDIT_MANAGER, "An invoice of the customer has been overdue for too long.")
OVERDUE_AMOUNT: Final = (
    "OVERDUE_AMOUNT",
    409,
    FixedBy.CREDIT_MANAGER,
    "Too much of what the customer owes is overdue.",
)
ORDER_TOO_LARGE: Final = (
    "ORDER_TOO_LARGE",
    409,
    FixedBy.CREDIT_MANAGER,
    "The order is larger than the policy allows without a release.",
)

# Requests to pages, API and intake

BAD_ARGUMENT: Final = ("BAD_ARGUMENT", 400, FixedBy.CALLER, "Something in the request is not valid.")
MALFORMED: Final = ("MALFORMED", 400, FixedBy.OPERATOR, "The report cannot be understood.")
SIGN_IN_LOST: Final = (
    "SIGN_IN_LOST",
    400,
    FixedBy.CALLER,
    "This sign-in cannot be completed. Go back to the start page and sign in again.",
)
SIGNED_OUT: Final = (
    "SIGNED_OUT",
    401,
    FixedBy.CALLER,
    "You are no longer signed in, so nothing was recorded. Sign in and repeat it.",
)
SIGN_IN_REFUSED: Final = ("SIGN_IN_REFUSED", 403, FixedBy.ADMINISTRATOR, "Entra ID refused the sign-in.")
FORGED_FORM: Final = (
    "FORGED_FORM",
    403,
    FixedBy.CALLER,
    "This form is not from your session, so nothing was recorded. Load the page again.",
)
NOT_FOUND: Final = ("NOT_FOUND", 404, FixedBy.CALLER, "There is nothing at this address.")
METHOD_NOT_ALLOWED: Final = ("METHOD_NOT_ALLOWED", 405, FixedBy.CALLER, "This address does not take this method.")
TOO_LARGE: Final = ("TOO_LARGE", 413, FixedBy.CALLER, "The request is larger than this address takes.")
TOO_SLOW: Final = (
    "TOO_SLOW",
    408,
    FixedBy.CALLER,
    "The request took too long to arrive, so nothing was recorded. Send it again.",
)
TOO_MANY_REQUESTS: Final = (
    "TOO_MANY_REQUESTS",
    429,
    FixedBy.CALLER,
    "Too many messages in a short time, so this one was not recorded. Wait a moment and send it again.",
)
INTERNAL: Final = ("INTERNAL", 500, FixedBy.OPERATOR, "Something went wrong here. It is in the log.")
QUERY_FAILED: Final = (
    "QUERY_FAILED",
    502,
    FixedBy.OPERATOR,
    "What runs under this number cannot be read. An operator finds it in Temporal Web.",
)
TEMPORAL_UNAVAILABLE: Final = (
    "TEMPORAL_UNAVAILABLE",
    503,
    FixedBy.OPERATOR,
    "Temporal does not respond. Try again in a moment.",
)
LEDGER_UNAVAILABLE: Final = (
    "LEDGER_UNAVAILABLE",
    503,
    FixedBy.OPERATOR,
    "The ledger's database does not respond, so it is not known who is signed in. Try again in a moment.",
)
SIGNING_UNAVAILABLE: Final = (
    "SIGNING_UNAVAILABLE",
    503,
    FixedBy.OPERATOR,
    "The vault that signs decisions does not respond, so nothing was decided. Try again in a moment.",
)
KEY_MISSING: Final = (
    "KEY_MISSING",
    503,
    FixedBy.OPERATOR,
    "This process was not given the key that something is sealed under. Add the key and restart it.",
)
ENTRA_UNAVAILABLE: Final = (
    "ENTRA_UNAVAILABLE",
    503,
    FixedBy.OPERATOR,
    "Entra ID does not respond, so nobody can sign in. Try again in a moment.",
)
