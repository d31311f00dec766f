"""Why a step of a deal does not go on: one list of causes, each with its words and what would help.

The value of a cause is the ``type`` of the failure an activity raises and the value of the search attribute of a parked
deal, so that deals parked for one cause are found, counted and resumed together.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from domain.phrases import Phrase, known, listed, marked, phrase


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


_WHY: Final[dict[Cause, str]] = {
    Cause.TRANSIENT: marked("{system} did not respond"),
    Cause.THROTTLED: marked("{system} takes no more requests for now"),
    Cause.TIMEOUT: marked("no answer came in time"),
    Cause.UNKNOWN_OUTCOME: marked("{system} has not shown yet whether it was done"),
    Cause.REFUSED: marked("{system} refused it"),
    Cause.CREDIT_HOLD: marked("Finance's credit management holds the order"),
    Cause.CONFLICT: marked("the record is not as it was read, or another has its key"),
    Cause.NOT_FOUND: marked("a record it needs is missing"),
    Cause.UNAUTHORIZED: marked("{system} gave no access"),
    Cause.CONTENT_CHANGED: marked("nothing is ordered, because it differs from what was approved"),
    Cause.PRICE_DRIFT: marked("nothing is ordered until price and product are settled"),
    Cause.PAYLOAD_REFUSED: marked("an answer came that is none of our workers', and it was not used"),
    Cause.WON_WITHOUT_APPROVAL: marked("nothing is ordered until it is approved"),
    Cause.REQUEST_LOST: marked("the request ended in Temporal without a decision"),
    Cause.BACKGROUND: marked("what runs beside the stages stopped"),
    Cause.UNEXPECTED: marked("it failed for a reason that has no name here"),
}
"""Why it does not go on, as the end of a sentence that begins with the step."""
_SYSTEMS: Final = {"finance": "Finance", "dataverse": "Sales", "entra": "Entra ID"}
_HEAD: Final = re.compile(r"^(?:\w+: )?(finance|dataverse|entra)\b([^:]{0,200}): ", re.DOTALL)
"""What an error of Dynamics begins with, before what the system said."""
LONGEST_SAID: Final = 200


def what_failed(step: str, cause: Cause, message: str, *, quotes: bool = True) -> str:
    """What was attempted and why it does not go on, in one sentence.

    Args:
        step: what was attempted, in words.
        cause: why it failed.
        message: the raw answer; what a person can read of it ends the sentence.
        quotes: whether it does: what is sent to people holds no words of another system.
    """
    return str(failure_of(step, cause, message, quotes=quotes))


def failure_of(step: str, cause: Cause, message: str, *, quotes: bool = True) -> Phrase:
    """The same sentence with its parts apart (see ``what_failed``)."""
    found = _HEAD.match(message)
    why = phrase(_WHY[cause], system=_SYSTEMS[found[1]] if found else known("the system"))
    parts = {"step": known(step), "why": listed((why,))}
    said = readable(message) if quotes else ""
    return phrase("{step}: {why}: {said}", said=said, **parts) if said else phrase("{step}: {why}", **parts)


def readable(message: str) -> str:
    """What a person can read of a raw answer, in one line; empty where it is none for people, e.g. a page of HTML."""
    text = _HEAD.sub("", message, count=1).rpartition("Infolog:")[2]
    text = " ".join(re.sub(r"\b(?:Error|Warning|Info):\s", "", text, count=1).split()).rstrip(".;, ")
    if not text or any(sign in text for sign in "<>{}") or "Traceback" in text or len(max(text.split(), key=len)) > 60:
        return ""
    if len(text) <= LONGEST_SAID:
        return text
    first = text.split(". ")[0]
    return first if len(first) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 2].rpartition(' ')[0]} …"
