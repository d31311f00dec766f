"""The posting service: a customer's own X++ service, because standard OData has no action that posts.

`POST /api/services/Q2CServiceGroup/Q2CPostingService/{operation}` with the arguments under `_request`. A business
refusal is answered 200 with `Success` false and the infolog text; a request X++ cannot deserialize is a 500. Every
answer has the operation's members, empty when it failed, and `$id` as the X++ serializer writes it.

Every operation takes a `DocumentId`: the caller's own id of the document it posts. A second call with the same id
posts nothing and answers as the first did; with the same id and another content it is refused.
Source: Microsoft Learn, "Custom service development" (finance and operations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sandbox.finance.books import SERVICE_CALLS, SERVICE_USER, Books, Company
from sandbox.finance.errors import PostingRefused
from sandbox.odata.jsonio import encode

GROUP: Final = "Q2CServiceGroup"
SERVICE: Final = "Q2CPostingService"


class BadServiceRequest(Exception):
    """The request cannot be deserialized into the operation's data contract: HTTP 500."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: the books, the company, the request and who calls."""

    books: Books
    company: Company
    request: Mapping[str, Any]
    user: str

    def text(self, name: str) -> str:
        """A text member; empty when it is absent.

        Raises:
            BadServiceRequest: It is not text.
        """
        return text(self.request, name)

    def yes(self, name: str) -> bool:
        """A NoYes member; No when it is absent.

        Raises:
            BadServiceRequest: It is neither Yes nor No.
        """
        value = self.text(name) or "No"
        if value not in ("Yes", "No"):
            raise BadServiceRequest(f"Member '{name}' must be Yes or No.")
        return value == "Yes"

    def whole(self, name: str) -> int:
        """A whole number; 0 when it is absent.

        Raises:
            BadServiceRequest: It is not a whole number.
        """
        value = self.request.get(name, 0)
        if type(value) is not int:
            raise BadServiceRequest(f"Member '{name}' must be a whole number.")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """A list of texts; empty when it is absent.

        Raises:
            BadServiceRequest: It is not a list of texts.
        """
        value = self.request.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BadServiceRequest(f"Member '{name}' must be a list of strings.")
        return value

    def objects(self, name: str) -> Sequence[Mapping[str, Any]] | None:
        """A list of objects; None when it is absent.

        Raises:
            BadServiceRequest: It is not a list of objects.
        """
        value = self.request.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise BadServiceRequest(f"Member '{name}' must be a list of objects.")
        return value

    def day(self, name: str) -> date | None:
        """A date; None when it is absent.

        Raises:
            BadServiceRequest: It is not a date.
        """
        value = self.text(name)
        if not value:
            return None
        try:
            return date.fromisoformat(value[:10])
        except ValueError as problem:
            raise BadServiceRequest(f"Member '{name}' must be a date.") from problem


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service.

    Attributes:
        contract: X++ type of its request, for the description of the operation.
        answer: Members of its answer beside Success, ErrorMessage and DebugMessage, with their empty values.
        run: The call -> the members' values.
    """

    contract: str
    answer: Mapping[str, Any]
    run: Callable[[Call], Mapping[str, Any]]


def run_operation(books: Books, name: str, operation: Operation, request: Any, user: str) -> dict[str, Any]:
    """Run an operation and answer as the service does.

    Args:
        books: Where to book.
        name: The operation's name.
        operation: What it does.
        request: The object sent as `_request`.
        user: Who calls: what is written is written by them.

    Raises:
        BadServiceRequest: The request does not have the contract's types.
    """
    if not isinstance(request, Mapping):
        raise BadServiceRequest("Parameter '_request' is missing or is not an object.")
    empty = {"$id": "1", "Success": False, "ErrorMessage": "", "DebugMessage": "", **operation.answer}
    try:
        company = books.company(text(request, "DataAreaId"))
        with books.acting(user or SERVICE_USER):
            members = _once(Call(books, company, request, user), name, operation)
    except PostingRefused as refusal:
        return empty | {"ErrorMessage": str(refusal)}
    return empty | {"Success": True, **members}


def _once(call: Call, name: str, operation: Operation) -> Mapping[str, Any]:
    """Run the operation, or answer as the first call with the same DocumentId did."""
    document = call.text("DocumentId")
    if not document:
        return operation.run(call)
    content = encode(sorted((key, encode(value)) for key, value in call.request.items()))
    known = call.books.get(SERVICE_CALLS, call.company.id, name, document)
    if known is not None:
        if known["content"] != content:
            raise PostingRefused(f"Document {document} has been posted with another content.")
        answered: Mapping[str, Any] = known["members"]
        return answered
    with call.books.db.transaction():
        members = operation.run(call)
        row = {"company": call.company.id, "operation": name, "document": document}
        call.books.insert(SERVICE_CALLS, row | {"content": content, "members": members})
    return members


def text(request: Mapping[str, Any], name: str) -> str:
    """A text member of a request; empty when it is absent.

    Raises:
        BadServiceRequest: It is not text.
    """
    value = request.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadServiceRequest(f"Member '{name}' must be a string.")
    return value
