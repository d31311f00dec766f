"""How long texts may be and how exact numbers are kept: what X++'s extended data types and the database allow.

Lengths are those that clients of live environments keep to; a column without one here is not limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from sandbox.finance.amounts import WIDE
from sandbox.finance.errors import InfologError
from sandbox.finance.model import EntitySet

LENGTHS: Final[Mapping[str, int]] = {
    "SalesOrderNumber": 20,
    "SalesOrderName": 60,
    "CustomersOrderReference": 60,
    "CustomerRequisitionNumber": 50,
    "QuotationNumber": 20,
    "ItemNumber": 20,
    "LineDescription": 1000,
    "ExternalItemNumber": 20,
    "OrderLineReference": 60,
    "Email": 80,
    "URL": 255,
    "DeliveryAddressName": 60,
    "DeliveryAddressStreet": 250,
    "DeliveryAddressCity": 60,
    "DeliveryAddressZipCode": 10,
    "DeliveryAddressStateId": 10,
    "DeliveryAddressCountryRegionId": 10,
    "CustomerAccount": 20,
    "OrganizationName": 100,
    "NameAlias": 20,
    "TaxExemptNumber": 20,
    "PrimaryContactEmail": 255,
    "PrimaryContactPhone": 255,
    "FirstName": 25,
    "MiddleName": 25,
    "LastName": 25,
    "ContactPersonId": 20,
    "PrimaryEmailAddress": 255,
    "PrimaryPhoneNumber": 255,
    "AddressStreet": 250,
    "AddressCity": 60,
    "AddressZipCode": 10,
}
"""Published column -> characters."""


def check_lengths(entity: EntitySet, sent: Mapping[str, Any]) -> None:
    """Refuse texts that are too long.

    Raises:
        InfologError: A text has more characters than its field.
    """
    for column, length in LENGTHS.items():
        if len(sent.get(column) or "") > length:
            raise InfologError(
                entity.entity,
                (
                    f"Warning: The value in field '{column}' is longer than {length} characters.",
                    f"Warning: validateField failed on field '{entity.entity}.{column}'",
                ),
            )


def stored(sent: Mapping[str, Any], decimals: int | None) -> dict[str, Any]:
    """The values as the database keeps them: a decimal column is NUMERIC(32,6), what is more exact is rounded."""
    if decimals is None:
        return dict(sent)
    step = Decimal(1).scaleb(-decimals)
    return {column: _kept(value, step) for column, value in sent.items()}


def _kept(value: Any, step: Decimal) -> Any:
    if not isinstance(value, Decimal):
        return value
    rounded = value.quantize(step, ROUND_HALF_UP, WIDE)
    return value if rounded == value else rounded
