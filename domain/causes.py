"""Why a step of a deal does not go on: one list of causes, each with its words and what would help.

The value of a cause is the ``type`` of the failure an activity raises and the value of the search attribute of a parked
deal, so that deals parked for one cause are found, counted and resumed together.
"""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """A cause, by its name in failures and lists.

    Attributes:
        words: the cause in a few words, for a list.
        suggestion: what would help, for the person who looks after parked deals.
        passes: whether it passes by itself, so that the deal waits and nobody is asked.
    """

    words: str
    suggestion: str
    passes: bool

    def __new__(cls, value: str, words: str, suggestion: str, passes: bool = False) -> Cause:
        """Make a member: the text is its value, the rest its attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.words, member.suggestion, member.passes = words, suggestion, passes
        return member

    TRANSIENT = "Transient", "System does not respond", "Resumes automatically when the system responds", True
    THROTTLED = "Throttled", "Too many requests", "Resumes automatically when the system takes requests again", True
    TIMEOUT = "Timeout", "No answer in time", "Resumes automatically when the system responds", True
    UNKNOWN_OUTCOME = (
        "UnknownOutcome",
        "Outcome not known",
        "Resumes automatically when the system shows whether the write happened",
        True,
    )
    REFUSED = "Refused", "Refused by the system", "Correct what the message names in Sales or Finance, then retry"
    CREDIT_HOLD = (
        "CreditHold",
        "Held by Finance's credit management",
        "A credit manager releases or refuses it; one released in Finance is noticed within hours, or by a recheck",
    )
    CONFLICT = (
        "Conflict",
        "Records contradict each other",
        "Compare the record in both systems, keep the right content, then retry",
    )
    NOT_FOUND = "NotFound", "Record not found", "Restore the record or correct its key, then retry"
    UNAUTHORIZED = (
        "Unauthorized",
        "Access denied",
        "Give the application user its role, or renew its secret, then retry",
    )
    CONTENT_CHANGED = (
        "ContentChanged",
        "Not what was approved",
        "Restore the approved content, or have the quote revised and approved again, then retry",
    )
    PRICE_DRIFT = (
        "PriceDrift",
        "Prices or products changed",
        "Release the product for sale in Finance again, or settle the price with the customer, then retry; or abort "
        "and quote anew",
    )
    PAYLOAD_REFUSED = (
        "PayloadRefused",
        "Answer not from our workers",
        "Find in Temporal's log who answered in place of a worker, and close that access, then retry",
    )
    WON_WITHOUT_APPROVAL = (
        "WonWithoutApproval",
        "Won without approval",
        "Retry to ask for approval of the quote as it was won, or abort and cancel its order in Sales",
    )
    REQUEST_LOST = (
        "RequestLost",
        "Request for approval ended from outside",
        "Find out who ended the request in Temporal, then retry to ask again",
    )
    BACKGROUND = (
        "Background",
        "Part of the process stopped",
        "Report the message, then retry to start that part again",
    )
    UNEXPECTED = "Unexpected", "Unexpected failure", "Fix what the message names, then retry"

    @classmethod
    def of(cls, failure_type: str | None) -> Cause:
        """The cause of a failure's type; one we did not name is unexpected."""
        return next((cause for cause in cls if cause == failure_type), cls.UNEXPECTED)
