"""Errors that say what is wrong and what to do: one class, two forms.

The JSON API answers RFC 9457 problem details with a stable ``code``; a page shows the same title and detail.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from runs.calls import NoAnswer

PROBLEM_JSON = "application/problem+json"

FORBIDDEN_CODES = frozenset(
    {"REQUESTER_CANNOT_APPROVE", "REQUESTER_CANNOT_RELEASE", "NOT_ASSIGNED", "NO_AUTHORITY", "UNAUTHENTICATED"}
)
INVALID_CODES = frozenset({"COMMENT_REQUIRED", "BAD_DECISION", "BAD_ARGUMENTS", "UNKNOWN_COMMAND"})

REFUSALS: dict[str, str] = {
    "REQUESTER_CANNOT_APPROVE": "You asked for this approval, so somebody else has to decide it.",
    "REQUESTER_CANNOT_RELEASE": "This deal is your own, so somebody else has to release its credit hold.",
    "NOT_ASSIGNED": "This step is not assigned to you.",
    "NO_AUTHORITY": "Your roles do not allow this for this company.",
    "UNAUTHENTICATED": "The decision could not be proved to come from you. Sign in again and repeat it.",
    "ALREADY_DECIDED": "This was decided already; nothing changed.",
    "EXPIRED": "The request has expired; nothing changed. The rep has to revise the quote and submit it again.",
    "WITHDRAWN": "The request was withdrawn; nothing changed.",
    "CANNOT_SKIP": "This step has to be done; it can be retried or the deal aborted.",
    "SUPERSEDED": "The quote was revised after this request; decide on the new revision instead.",
    "SEEN_HASH_MISMATCH": "The quote changed after this page was shown to you. Read it again before you decide.",
    "COMMENT_REQUIRED": "This step needs a comment: say why.",
    "NOT_HELD": "The deal is not on credit hold any more; nothing changed.",
    "ILLEGAL_TRANSITION": "The deal is not at a point where this can be done; nothing changed.",
}
"""What a refusal code means to the person who was refused."""


class Problem(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        code: stable name of the error for programs, upper snake case.
        detail: what happened and what to do, for people.
        members: further members of the problem document, e.g. ``field``.
    """

    def __init__(self, status: int, code: str, detail: str, **members: Any) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    @property
    def title(self) -> str:
        """The code in words."""
        return self.code.replace("_", " ").capitalize()

    def response(self) -> JSONResponse:
        """The problem document (RFC 9457)."""
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return JSONResponse(
            body | {"code": self.code} | self.members, self.status, self.headers, media_type=PROBLEM_JSON
        )


def unavailable(error: NoAnswer) -> Problem:
    """503: Temporal did not answer, so it is not known whether anything happened."""
    problem = Problem(503, "TEMPORAL_UNAVAILABLE", error.detail)
    problem.headers = {"Retry-After": "5"}
    return problem


def unauthorized(detail: str) -> Problem:
    """401 with the challenge a client needs to know that a bearer token is wanted."""
    problem = Problem(401, "UNAUTHENTICATED", detail)
    problem.headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return problem


def refused(code: str, detail: str, message_id: str) -> Problem:
    """A deal's refusal of a decision or command as an answer: 400, 403 or 409 by its code."""
    status = 403 if code in FORBIDDEN_CODES else 400 if code in INVALID_CODES else 409
    return Problem(status, code, detail or REFUSALS.get(code, "The deal refused this."), message_id=message_id)


def recorded(message_id: str) -> Problem:
    """202: what was said is stored, and nobody could answer yet."""
    return Problem(
        202,
        "RECORDED",
        "What you decided is stored. No worker has answered yet; it is done as soon as one runs, and counts once.",
        message_id=message_id,
    )
