"""Search attributes: one list, from which they are registered, written, queried and documented.

They are what lists, tiles and the inbox are made of. They are stored unencrypted: account and document numbers and
amounts, never names of people or customers, never free text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from temporalio.client import WorkflowExecution
from temporalio.common import (
    SearchAttributeIndexedValueType,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from runs.names import plain, safe

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Attribute(Generic[T]):
    """One search attribute.

    Args:
        key: name and type, as Temporal knows it.
        holds: what it holds, for operators.
        stored: from a value to what Temporal stores.
        read: from what Temporal stores to the value.
    """

    key: SearchAttributeKey[Any]
    holds: str
    stored: Callable[[T], Any]
    read: Callable[[Any], T]

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return self.key.name

    @property
    def kind(self) -> str:
        """Its type, as Temporal's command line says it: Keyword, KeywordList, Datetime or Double."""
        return _KINDS[self.key.indexed_value_type]

    def update(self, value: T | None) -> SearchAttributeUpdate[Any]:
        """The change that sets it; None removes it."""
        return self.key.value_unset() if value is None else self.key.value_set(self.stored(value))

    def of(self, run: WorkflowExecution) -> T | None:
        """Its value on a listed run; None where the run has none.

        Raises:
            ValueError: someone else wrote something that is no value of ours.
        """
        stored = run.typed_search_attributes.get(self.key)
        return None if stored is None else self.read(stored)


_KINDS: Final = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
    SearchAttributeIndexedValueType.DATETIME: "Datetime",
    SearchAttributeIndexedValueType.DOUBLE: "Double",
}


def _text(name: str, holds: str) -> Attribute[str]:
    return Attribute(SearchAttributeKey.for_keyword(name), holds, safe, plain)


def _texts(name: str, holds: str) -> Attribute[Sequence[str]]:
    key = SearchAttributeKey.for_keyword_list(name)
    return Attribute(key, holds, lambda values: list(map(safe, values)), lambda values: tuple(map(plain, values)))


def _moment(name: str, holds: str) -> Attribute[datetime]:
    # The store would round the fraction of a second, and the value read back would differ from the one written.
    return Attribute(
        SearchAttributeKey.for_datetime(name), holds, lambda value: value.replace(microsecond=0), lambda value: value
    )


def _amount(name: str, holds: str) -> Attribute[Decimal]:
    # Search attributes have no decimal type: good for sorting and filtering, never for sums. The shortest text of a
    # double is the number that was put in.
    return Attribute(SearchAttributeKey.for_float(name), holds, float, _finite)


_BEYOND_ALL: Final = Decimal(10) ** 18
"""What no deal comes to: beyond it a number is somebody else's."""


def _finite(stored: float) -> Decimal:
    value = Decimal(repr(stored))
    if not value.is_finite() or abs(value) >= _BEYOND_ALL:
        raise ValueError(f"{stored} is no amount")
    return value


STAGE: Final = _text(
    "Q2CStage",
    "opportunity, quote, credit, order, fulfilment, invoice, payment or closed; of an account that is "
    "billed, the highest dunning level reached; of a request for approval, escalated once nobody decided in time",
)
WAITING_FOR: Final = _text(
    "Q2CWaitingFor",
    "none, approval, rep, customer, customer_setup (whether Finance has it), credit, shipment, invoice, payment, "
    "unapplied (money that settles nothing), deposit (an order waits for it), finance, sales or operator (a parked "
    "step)",
)
COMPANY: Final = _text("Q2CCompany", "Finance legal entity, lower case")
CUSTOMER: Final = _text("Q2CCustomer", "customer account in Finance")
QUOTE: Final = _text("Q2CQuote", "quote number in Sales")
QUOTE_ID: Final = _text("Q2CQuoteId", "id in Sales of the quote's current revision")
ORDER: Final = _text("Q2COrder", "order number in Finance, as soon as it is known")
ERROR: Final = _text("Q2CError", "cause of a parked step, e.g. Refused")
APPROVERS: Final = _texts("Q2CApprovers", "Entra object ids of who is asked now (of a request for approval)")
PEOPLE: Final = _texts(
    "Q2CPeople",
    "Entra object ids: of a deal, who owns and who submitted its quote; of a request for approval, who decided a step",
)
SINCE: Final = _moment("Q2CStageSince", "when the deal entered its stage")
DEADLINE: Final = _moment(
    "Q2CDeadline", "when the next decision is due (of a request for approval), or Finance is read next (of an account)"
)
AMOUNT: Final = _amount(
    "Q2CAmount",
    "total incl. tax in the quote's currency, or what is overdue of an account; for sorting and filtering only",
)
CURRENCY: Final = _text("Q2CCurrency", "ISO code of the currency of Q2CAmount, e.g. USD")

ATTRIBUTES: Final[tuple[Attribute[Any], ...]] = (
    STAGE,
    WAITING_FOR,
    COMPANY,
    CUSTOMER,
    QUOTE,
    QUOTE_ID,
    ORDER,
    ERROR,
    APPROVERS,
    PEOPLE,
    SINCE,
    DEADLINE,
    AMOUNT,
    CURRENCY,
)
"""All of them."""


def typed(values: dict[Attribute[Any], Any]) -> TypedSearchAttributes:
    """Attributes to start a run with."""
    return TypedSearchAttributes([SearchAttributePair(a.key, a.stored(value)) for a, value in values.items()])


def table() -> str:
    """The list as a table in Markdown, for the documentation."""
    rows = [f"| `{attribute.name}` | {attribute.kind} | {attribute.holds} |" for attribute in ATTRIBUTES]
    return "\n".join(["| Attribute | Type | Holds |", "|---|---|---|", *rows])
