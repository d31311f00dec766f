"""Errors that say what is wrong and what to do: one class, two forms.

The JSON API answers RFC 9457 problem details with a stable ``code``; a page shows the same title and detail. Codes,
their sentences and their HTTP status are ``domain.refusals``'.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

from domain.messages import Outcome
from domain.phrases import Phrase
from domain.refusals import Refusal, sentence_of
from runs.calls import BadSearch, NoAnswer, NotFound, Rejected, RunError, Unreadable

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5

RUN_ERRORS: Final[dict[type[RunError], Refusal]] = {
    NotFound: Refusal.NOT_FOUND,
    BadSearch: Refusal.BAD_ARGUMENT,
    Rejected: Refusal.BAD_ARGUMENT,
    Unreadable: Refusal.QUERY_FAILED,
    NoAnswer: Refusal.TEMPORAL_UNAVAILABLE,
}
"""What an error of ``runs`` is to whoever asked."""

_DEAL_SAYS_MORE: Final = frozenset(
    {
        Refusal.ILLEGAL_TRANSITION,
        Refusal.UNAUTHENTICATED,
        Refusal.BAD_ARGUMENT,
        Refusal.HASH_MISMATCH,
        Refusal.UNKNOWN_COMMAND,
    }
)
"""Refusals of which the deal knows more than the sentence says."""


class Problem(Exception):
    """An answer other than success.

    Args:
        refusal: what it is; gives code and HTTP status.
        detail: what happened and what to do, for people; the refusal's own sentence when empty. Of a phrase, pages say
            it in their reader's language; programs always get English.
        members: further members of the problem document, e.g. ``field``.
    """

    def __init__(self, refusal: Refusal, detail: str | Phrase = "", **members: Any) -> None:
        self.status = refusal.status
        self.code = str(refusal)
        self.detail = str(detail) or refusal.sentence
        self.said = detail if isinstance(detail, Phrase) else None
        self.members = members
        self.headers: dict[str, str] = {}
        if self.status in (429, 503):
            self.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        super().__init__(f"{self.status} {self.code}: {self.detail}")

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


def of_run(error: RunError) -> Problem:
    """The problem of what came of a call to Temporal."""
    problem = Problem(RUN_ERRORS[type(error)], error.detail)
    if isinstance(error, BadSearch) and error.field:
        problem.members["field"] = error.field
    return problem


def to_correct(error: Problem | RunError, *, also_missing: bool = False) -> Problem:
    """What is wrong with what a form sent, to be shown on the page of the form, with what was typed.

    Args:
        error: what came of sending it.
        also_missing: whether the page is there even where what the form named is not.

    Raises:
        Problem, RunError: ``error`` again: it is on our side, or there is no such page.
    """
    problem = error if isinstance(error, Problem) else of_run(error)
    if problem.status >= 500 or (problem.code == Refusal.NOT_FOUND and not also_missing):
        raise error
    return problem


def sign_in_too_old(within_seconds: int, context: str, **members: Any) -> Problem:
    """401 with the challenge of RFC 9470: the client gets a token of a fresh sign-in, by ``max_age`` and context."""
    problem = Problem(Refusal.SIGN_IN_TOO_OLD, **members)
    challenge = f'Bearer error="insufficient_user_authentication", max_age="{within_seconds}"'
    problem.headers["WWW-Authenticate"] = challenge + (f', acr_values="{context}"' if context else "")
    return problem


def unauthorized(detail: str) -> Problem:
    """401 with the challenge a client needs to know that a bearer token is wanted."""
    problem = Problem(Refusal.UNAUTHENTICATED, detail)
    problem.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return problem


def of_outcome(outcome: Outcome) -> Problem:
    """A deal's refusal of a decision or command."""
    refusal = Refusal.of(outcome.code)
    detail = sentence_of(outcome.code)
    if outcome.detail and (refusal is None or refusal in _DEAL_SAYS_MORE):
        detail = f"{detail} ({outcome.detail})"
    problem = Problem(refusal or Refusal.ILLEGAL_TRANSITION, detail, message_id=outcome.message_id)
    problem.code = outcome.code
    return problem
