"""The base of every row read from Dynamics: frozen, named by the trade, read from the real column names.

Only the columns this product uses are declared; others that come along are ignored.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from dynamics.core.errors import DynamicsError, Refused, System


class ReadRow(BaseModel):
    """A row (or a part of one) as Dynamics returned it."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @classmethod
    def read(cls, row: Any, *, system: System, operation: str) -> Self:
        """Validate a decoded row.

        Raises:
            Refused: a column we need is missing or not of its type. The same read would give the same row, so a
                person must look: the table was changed, or the user may not read the column.
        """
        try:
            return cls.model_validate(row)
        except ValidationError as e:
            raise unreadable_row(e, system, operation) from e


def unreadable_row(error: ValidationError, system: System, operation: str) -> DynamicsError:
    """The refusal that names the columns which could not be read."""
    columns = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in error.errors(include_input=False))
    return Refused(f"columns not as expected: {columns}", system=system, code="UNREADABLE_ROW", operation=operation)


def _no_float(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("binary float: decode with dynamics.core.exact_json")
    return value


Exact = Annotated[Decimal, BeforeValidator(_no_float)]
"""A decimal that never was a binary float."""


def _zero_if_none(value: Any) -> Any:
    return Decimal(0) if value is None else _no_float(value)


Money = Annotated[Decimal, BeforeValidator(_zero_if_none)]
"""An amount in the row's currency; Dataverse's null counts as zero."""


def _text_if_none(value: Any) -> Any:
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_text_if_none)]
"""A text; Dataverse's null counts as empty, as in Finance."""


def _finance_moment(value: Any) -> Any:
    """Finance has no null dates: an empty one is 1900-01-01 (at 12:00 UTC for a date column)."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return None if value.year == 1900 else value.astimezone(UTC)
    return value


def _finance_day(value: Any) -> Any:
    moment = _finance_moment(value)
    return moment.date() if isinstance(moment, datetime) else moment


FinanceInstant = Annotated[datetime, BeforeValidator(_finance_moment)]
"""An instant, UTC, that is never empty."""

FinanceDay = Annotated[date | None, BeforeValidator(_finance_day)]
"""A calendar day of the legal entity: Finance sends it as 12:00 UTC so that no time zone moves it."""


def _yes(value: Any) -> Any:
    return value == "Yes" if isinstance(value, str) else value


YesNo = Annotated[bool, BeforeValidator(_yes)]
"""Finance's NoYes enum."""
