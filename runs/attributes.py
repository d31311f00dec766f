"""Search attributes as typed keys: what lists, tiles and the inbox are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from decimal import Decimal

STAGE = SearchAttributeKey.for_keyword("Q2CStage")
WAITING_FOR = SearchAttributeKey.for_keyword("Q2CWaitingFor")
COMPANY = SearchAttributeKey.for_keyword("Q2CCompany")
CUSTOMER = SearchAttributeKey.for_keyword("Q2CCustomer")
QUOTE = SearchAttributeKey.for_keyword("Q2CQuote")
QUOTE_ID = SearchAttributeKey.for_keyword("Q2CQuoteId")
ORDER = SearchAttributeKey.for_keyword("Q2COrder")
ERROR = SearchAttributeKey.for_keyword("Q2CError")
APPROVERS = SearchAttributeKey.for_keyword_list("Q2CApprovers")
DEADLINE = SearchAttributeKey.for_datetime("Q2CDeadline")
AMOUNT = SearchAttributeKey.for_float("Q2CAmount")


class Published:
    """The attributes as they were last written, so that a transition costs one upsert and no change costs none."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def publish(self, values: dict[SearchAttributeKey[Any], Any]) -> None:
        """Write what differs from the last time, in one command; None removes an attribute."""
        updates: list[SearchAttributeUpdate[Any]] = []
        for key, value in values.items():
            if self._last.get(key.name) == value:
                continue
            self._last[key.name] = value
            updates.append(key.value_unset() if value is None else key.value_set(value))
        if updates:
            workflow.upsert_search_attributes(updates)


def amount(value: Decimal) -> float:
    """An amount for sorting and filtering only: search attributes have no decimal type."""
    return float(value)


def at(value: datetime | None) -> datetime | None:
    """A moment without the fraction of a second, which the store would round."""
    return value.replace(microsecond=0) if value else None
