"""What a deal does next, from its state alone: the decisions that its process takes turn by turn.

Each decision has one answer that means "nothing is to be done": then the process waits until the answer is another
one. So no loop can turn without doing something or waiting, whatever state the deal is in.
"""

from __future__ import annotations

from enum import StrEnum

from domain.credit_facts import CreditStatus
from domain.credit_following import hold_unshown, recheck_due, stop_due
from domain.deal_state import DealState, OrderStatus, QuoteStatus
from domain.marks import mark_due
from domain.views import Ending


class QuoteMove(StrEnum):
    """What is next on the way from the submission to the acceptance."""

    END_REQUEST = "end_request"
    LOOK_AT_EXPIRY = "look_at_expiry"
    CREATE_CUSTOMER = "create_customer"
    MAP_CUSTOMER = "map_customer"
    ASSESS = "assess"
    ASK = "ask"
    MARK = "mark"
    CALL_A_PERSON = "call_a_person"
    WAIT = "wait"
    GO_ON = "go_on"


def in_quote(state: DealState) -> QuoteMove:
    """What is next while the quote is not accepted with approved content."""
    if state.open_request is not None and state.quote is not QuoteStatus.PENDING_APPROVAL:
        return QuoteMove.END_REQUEST
    if state.won:
        return QuoteMove.GO_ON
    if state.expiry_due:
        return QuoteMove.LOOK_AT_EXPIRY
    if state.customer is not None:  # before the quote is read again: it may have been submitted anew meanwhile
        return QuoteMove.MAP_CUSTOMER if state.customer.account else QuoteMove.CREATE_CUSTOMER
    if state.quote is QuoteStatus.SUBMITTED or state.resubmitted:
        return QuoteMove.ASSESS
    if state.quote is QuoteStatus.APPROVAL_DUE:
        return QuoteMove.ASK
    if mark_due(state):
        return QuoteMove.MARK
    return QuoteMove.CALL_A_PERSON if state.stuck_without_approval else QuoteMove.WAIT


class CreditMove(StrEnum):
    """What is next on the way to credit."""

    CHECK = "check"
    WAIT = "wait"
    GO_ON = "go_on"
    GO_BACK = "go_back"


def in_credit(state: DealState) -> CreditMove:
    """What is next between acceptance and order."""
    if state.may_order or state.order is not OrderStatus.NONE:
        return CreditMove.GO_ON
    if not state.won:
        return CreditMove.GO_BACK
    if state.order_put_off or (state.credit is CreditStatus.HELD and not state.recheck_due):
        return CreditMove.WAIT
    return CreditMove.CHECK


class DepositMove(StrEnum):
    """What is next while an order waits for its deposit."""

    READ_BILLING = "read_billing"
    WAIT = "wait"
    GO_ON = "go_on"


def for_deposit(state: DealState) -> DepositMove:
    """What is next before an order that needs a deposit is confirmed."""
    if state.cancelling or not state.deposit_holds:
        return DepositMove.GO_ON
    return DepositMove.READ_BILLING if state.billing_unread else DepositMove.WAIT


class DeliveryMove(StrEnum):
    """What is next on the way from the order to the money."""

    END_REQUEST = "end_request"
    CHANGE_ORDER = "change_order"
    SHOW_ORDER = "show_order"
    STOP_ORDER = "stop_order"
    RELEASE_HOLD = "release_hold"
    RECHECK_CREDIT = "recheck_credit"
    READ_BILLING = "read_billing"
    PREPARE_REFUND = "prepare_refund"
    SHOW_HOLD = "show_hold"
    SHOW_ORDERED = "show_ordered"
    SHOW_SHIPMENT = "show_shipment"
    SHOW_INVOICES = "show_invoices"
    SHOW_PAYMENTS = "show_payments"
    WAIT = "wait"


def in_delivery(state: DealState) -> DeliveryMove:
    """What is next once there is an order; documents may come in any order."""
    if state.request_over:
        return DeliveryMove.END_REQUEST
    if state.change_due:
        return DeliveryMove.CHANGE_ORDER
    if stop_due(state):
        return DeliveryMove.STOP_ORDER
    if state.release_due and not state.cancelling:
        return DeliveryMove.RELEASE_HOLD
    if recheck_due(state):
        return DeliveryMove.RECHECK_CREDIT
    if state.billing_unread:
        return DeliveryMove.READ_BILLING
    if state.refund_due is not None:
        return DeliveryMove.PREPARE_REFUND
    if not state.sales_order_id:  # its order was to be cancelled before Sales showed it
        shows = state.confirmation_number and not state.cancelling and not state.delivery.cancelled
        return DeliveryMove.SHOW_ORDER if shows else DeliveryMove.WAIT
    if hold_unshown(state):
        return DeliveryMove.SHOW_HOLD
    if state.ordered_unrecorded:
        return DeliveryMove.SHOW_ORDERED
    if state.unrecorded_invoices:  # and with them what is shipped and paid by now
        return DeliveryMove.SHOW_INVOICES
    if state.shipment_unrecorded:
        return DeliveryMove.SHOW_SHIPMENT
    if state.payment_unrecorded:
        return DeliveryMove.SHOW_PAYMENTS
    return DeliveryMove.WAIT


class ClosingMove(StrEnum):
    """What is next when a deal has ended."""

    END_REQUEST = "end_request"
    GIVE_CREDIT_BACK = "give_credit_back"
    TELL_SALES = "tell_sales"
    DONE = "done"


def in_closing(state: DealState) -> ClosingMove:
    """What is left to clean up: first what needs no other system."""
    if state.open_request is not None:
        return ClosingMove.END_REQUEST
    asked_for_credit = state.won or state.credit_checks > 0
    if asked_for_credit and state.ending is not Ending.CLOSED and not state.credit_given_back:
        return ClosingMove.GIVE_CREDIT_BACK
    return ClosingMove.TELL_SALES if state.sales_due else ClosingMove.DONE
