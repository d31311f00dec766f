"""What stands behind the codes of exceptions: facts that cannot be undone, for a person (``domain.refusals``).

As in ``domain.refusal_rows``: the code, its HTTP status, whose it is to fix, its sentence.
"""

from __future__ import annotations

from typing import Final

from domain.fixed_by import FixedBy

# Exceptions: facts that cannot be undone, for a person to settle

NOT_SUBMITTED: Final = (
    "NOT_SUBMITTED",
    409,
    FixedBy.REP,
    "The quote went on in Sales without having been submitted for approval; nothing is ordered. "
    "Revise the quote and submit it.",
)
ACTIVATED_WITHOUT_APPROVAL: Final = (
    "ACTIVATED_WITHOUT_APPROVAL",
    409,
    FixedBy.REP,
    "The quote was activated before it was approved. It is ordered only after the approval.",
)
ACCEPTED_WITHOUT_APPROVAL: Final = (
    "ACCEPTED_WITHOUT_APPROVAL",
    409,
    FixedBy.REP,
    "The quote was won before it was approved. It is ordered only after the approval.",
)
ACCEPTED_AFTER_EXPIRY: Final = (
    "ACCEPTED_AFTER_EXPIRY",
    409,
    FixedBy.REP,
    "The quote was accepted after it had expired; nothing is ordered. Revise the quote and submit it.",
)
WON_IN_SALES: Final = (
    "WON_IN_SALES",
    409,
    FixedBy.REP,
    "The deal ended here, but the quote is won in Sales. Cancel its order there.",
)
SECOND_SALES_ORDER: Final = (
    "SECOND_SALES_ORDER",
    409,
    FixedBy.REP,
    "The quote was made into more than one order in Sales. The deal follows the first; cancel the others there.",
)
SALES_ORDER_CANCELLED: Final = (
    "SALES_ORDER_CANCELLED",
    409,
    FixedBy.REP,
    "The order was cancelled in Sales, but it is in Finance. Have it cancelled in Finance as well.",
)
OPPORTUNITY_REOPENED: Final = (
    "OPPORTUNITY_REOPENED",
    409,
    FixedBy.REP,
    "The opportunity was reopened in Sales while its deal goes on. Win it again, or have the deal called off.",
)
CREDIT_REFUSED: Final = (
    "CREDIT_REFUSED",
    409,
    FixedBy.OPERATOR,
    "Credit was refused after goods had been shipped. Cancel what is left of the order in Finance.",
)
ORDER_IN_FINANCE: Final = (
    "ORDER_IN_FINANCE",
    409,
    FixedBy.OPERATOR,
    "The deal ended, but its order may be in Finance. Look for it there, and cancel it.",
)
SALES_NOT_TOLD: Final = (
    "SALES_NOT_TOLD",
    409,
    FixedBy.OPERATOR,
    "Sales does not show how the deal ended. Correct the quote there.",
)
BELOW_SHIPPED: Final = (
    "BELOW_SHIPPED",
    409,
    FixedBy.REP,
    "A line cannot be reduced below what was shipped. Goods come back by a return order.",
)
DEPOSIT_OVERDUE: Final = (
    "DEPOSIT_OVERDUE",
    409,
    FixedBy.ACCOUNTS_RECEIVABLE,
    "The deposit of the order is not there in time, so the order is not confirmed. Ask the customer for it, "
    "or cancel the order.",
)
DEPOSIT_REVERSED: Final = (
    "DEPOSIT_REVERSED",
    409,
    FixedBy.ACCOUNTS_RECEIVABLE,
    "The deposit came back after the order was released. Stop what is not shipped in Finance until it is paid again, "
    "or cancel it.",
)
SHIPPED_WHILE_HELD: Final = (
    "SHIPPED_WHILE_HELD",
    409,
    FixedBy.ACCOUNTS_RECEIVABLE,
    "Goods were shipped in Finance although the order waits for its deposit. Collect the deposit, "
    "or have the goods back.",
)
OVER_DELIVERY: Final = (
    "OVER_DELIVERY",
    409,
    FixedBy.OPERATOR,
    "Finance shipped more than was ordered. Agree with the customer, then correct the order or take goods back.",
)
OVER_INVOICED: Final = (
    "OVER_INVOICED",
    409,
    FixedBy.OPERATOR,
    "Finance invoiced more than was shipped. Post the missing packing slip, or a credit note.",
)
OVER_RETURN: Final = (
    "OVER_RETURN",
    409,
    FixedBy.OPERATOR,
    "Finance took back more than was shipped. Correct the return in Finance.",
)
OVER_CREDITED: Final = (
    "OVER_CREDITED",
    409,
    FixedBy.OPERATOR,
    "Finance credited more than was invoiced. Correct the credit note in Finance.",
)
UNKNOWN_LINE: Final = (
    "UNKNOWN_LINE",
    409,
    FixedBy.OPERATOR,
    "A document of the order has a line that is not in the quote; Sales does not show it. "
    "Agree on it with the customer, and correct the order or its documents in Finance.",
)
LINE_CHANGED: Final = (
    "LINE_CHANGED",
    409,
    FixedBy.OPERATOR,
    "A line of the order has another item in Finance, or the order's prices include sales tax there. The deal goes "
    "on with what Finance holds. Agree on it with the customer, or correct the order in Finance.",
)

# What stands open after a deal's end

PAYMENT_REVERSED_AFTER_END: Final = (
    "PAYMENT_REVERSED_AFTER_END",
    409,
    FixedBy.OPERATOR,
    "An invoice that was paid is open again, because its payment was reversed after the deal had ended. "
    "Collect the money, or dismiss it with the reason.",
)
INVOICE_AFTER_END: Final = (
    "INVOICE_AFTER_END",
    409,
    FixedBy.OPERATOR,
    "An invoice was posted after the deal had ended. Collect the money or credit it in Finance, or dismiss it.",
)
CREDIT_NOTE_AFTER_END: Final = (
    "CREDIT_NOTE_AFTER_END",
    409,
    FixedBy.OPERATOR,
    "A credit note was posted after the deal had ended. Refund it or settle it against an invoice, or dismiss it.",
)
NOT_SHOWN_AFTER_END: Final = (
    "NOT_SHOWN_AFTER_END",
    409,
    FixedBy.OPERATOR,
    "Sales does not show what happened in Finance after the deal had ended. Correct the records in Sales.",
)
ORDER_CANCELLED_AFTER_END: Final = (
    "ORDER_CANCELLED_AFTER_END",
    409,
    FixedBy.REP,
    "The order was cancelled in Sales after its deal had ended, although it was shipped and paid. "
    "Agree with the customer, then credit it in Finance, or dismiss it.",
)
OPPORTUNITY_REOPENED_AFTER_END: Final = (
    "OPPORTUNITY_REOPENED_AFTER_END",
    409,
    FixedBy.REP,
    "The opportunity was reopened in Sales after its deal had ended. Win it again, or dismiss it.",
)
QUOTE_CHANGED_AFTER_END: Final = (
    "QUOTE_CHANGED_AFTER_END",
    409,
    FixedBy.REP,
    "The quote was revised or closed in Sales after its deal had ended. Make a new quote for new business, "
    "or dismiss it.",
)
NO_DEAL: Final = (
    "NO_DEAL",
    409,
    FixedBy.OPERATOR,
    "Finance or Sales reported something that no deal takes. Look at the record that is named, and follow it by hand, "
    "then dismiss it. It settles by itself when a deal takes it.",
)
ORDER_WITHOUT_DEAL: Final = (
    "ORDER_WITHOUT_DEAL",
    409,
    FixedBy.OPERATOR,
    "Somebody typed an order into Finance for a quote of a deal. Cancel one of the two orders before both are "
    "delivered, or dismiss it with the reason.",
)
NOTHING_TO_COMPARE: Final = (
    "NOTHING_TO_COMPARE",
    409,
    FixedBy.OPERATOR,
    "Something was reported of a deal that ended, and there is nothing to compare it with. "
    "Compare the order in Finance with Sales by hand, then dismiss it.",
)
