"""How Finance says no, in the bodies and statuses clients see.

`code` is always empty and the useful text sits in `innererror.message`, after `Infolog:` where X++ refused the write.
A refused write is 400 when it comes alone and 500 inside `$batch`; a record that exists already is 500 in both.
Sources: recorded responses of live environments, and Microsoft Learn, "Service protection API limits".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

AX_WRITE: Final = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException"
AX_NOT_FOUND: Final = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataRecordNotFoundException"
AX_ACCESS: Final = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataAccessDeniedException"
ODATA: Final = "Microsoft.OData.ODataException"

HIGH_UTILIZATION: Final = (
    "This request could not be processed at this time due to system experiencing high resource utilization."
)


class FinanceError(Exception):
    """A request Finance refuses.

    Attributes:
        status: HTTP status when the request comes alone.
        batch_status: HTTP status of its part inside `$batch`.
    """

    status = 400
    batch_status = 500
    inner_type = ODATA

    @property
    def body(self) -> dict[str, Any]:
        """The JSON error body."""
        return {
            "error": {
                "code": "",
                "message": "An error has occurred.",
                "innererror": {
                    "message": str(self),
                    "type": self.inner_type,
                    "stacktrace": "   at Microsoft.Dynamics.Platform.Integration.Services.OData.Update",
                },
            }
        }


class MalformedRequest(FinanceError):
    """The request is not valid OData: an unknown property, a value of the wrong type, a bad option."""

    batch_status = 400


class NotSupported(FinanceError):
    """The entity set exists, but this verb is not for it."""

    status = 405
    batch_status = 405


class NotAcceptable(FinanceError):
    """The answer cannot be written in the format asked for."""

    status = 406
    batch_status = 406


class NotAllowed(FinanceError):
    """The user the application runs as has no privilege for this: 403.

    That it is 403 is Microsoft's (security of data entities is by entry point, as of menu items); the body is an
    assumption: neither documents nor recorded answers show one.
    """

    status = 403
    batch_status = 403
    inner_type = AX_ACCESS


class UnknownResource(FinanceError):
    """No such entity set, action or address: 404 without an inner error."""

    status = 404
    batch_status = 404

    @property
    def body(self) -> dict[str, Any]:
        """The JSON error body."""
        return {"error": {"code": "", "message": str(self)}}


class RecordNotFound(FinanceError):
    """No row has this key, in the companies the request may see."""

    status = 404
    batch_status = 404
    inner_type = AX_NOT_FOUND


class NothingToUpdate(FinanceError):
    """A PATCH or DELETE names no row that the request may see."""

    inner_type = AX_NOT_FOUND

    def __init__(self, status: int) -> None:
        super().__init__("No resources were found when selecting for update.")
        self.status = self.batch_status = status


class StaleVersion(FinanceError):
    """`If-Match` names an older version of the row."""

    status = 412
    batch_status = 412


class InfologError(FinanceError):
    """X++ validation refused a write; the text is the infolog's."""

    inner_type = AX_WRITE

    def __init__(self, entity: str, lines: Iterable[str]) -> None:
        self.entity = entity
        self.lines = tuple(lines)
        super().__init__(f"Write failed for table row of type '{entity}'. Infolog: {'; '.join(self.lines)}.")


class RecordExists(FinanceError):
    """A row with this key exists: 500, alone and in `$batch`."""

    status = 500
    inner_type = AX_WRITE

    def __init__(self, entity: str, label: str, key: str) -> None:
        super().__init__(
            f"Write failed for table row of type '{entity}'. Infolog: Error: Cannot create a record in {label}. "
            f"{key}.\nThe record already exists.."
        )


class PostingRefused(Exception):
    """The posting service cannot post, for a business reason: answered 200 with Success = false and this text."""


def not_found_in(value: str, field: str, table: str, entity: str, column: str) -> InfologError:
    """The infolog of a foreign key that does not resolve."""
    return InfologError(
        entity,
        (
            f"Warning: The value '{value}' in field '{field}' is not found in the related table '{table}'.",
            f"Warning: validateField failed on field '{entity}.{column}'",
        ),
    )


def must_be_filled(field: str, entity: str, source: str) -> InfologError:
    """The infolog of a mandatory field left empty."""
    return InfologError(
        entity,
        (f"Warning: Field '{field}' must be filled in.", f"Warning: validateWrite failed on data source '{source}'"),
    )


def not_editable(entity: str, column: str, label: str) -> InfologError:
    """The infolog of a field that only Finance writes."""
    return InfologError(
        entity,
        (
            f"Warning: Field '{label}' does not allow editing.",
            f"Warning: validateField failed on field '{entity}.{column}'",
        ),
    )
