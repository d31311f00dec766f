"""Texts of fixed sets that pages show: what codes, causes, refusals and fields are called, as Babel finds them.

A page translates them where it shows them, by the English of the rules; here they are listed so that each is in the
catalogues. ``pyproject.toml`` names ``extract`` for this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from domain.after_end import LateStatus, Matter
from domain.approvals import ApprovalStatus, Decision, StepStatus
from domain.audit import AuditKind
from domain.bulk import BulkPhase, ItemStatus
from domain.causes import Cause
from domain.credit_facts import CreditStatus
from domain.customers import WORDS
from domain.deal_state import OrderStatus, QuoteStatus
from domain.payments import RefundStatus
from domain.phrases import marked
from domain.refusals import Refusal, sentence_of
from domain.severity import Severity
from domain.views import Ending, Resolution, Stage
from web.pages.words import role_words

_CODES: Final[tuple[type[StrEnum], ...]] = (
    ApprovalStatus,
    AuditKind,
    BulkPhase,
    CreditStatus,
    Decision,
    Ending,
    ItemStatus,
    LateStatus,
    Matter,
    OrderStatus,
    QuoteStatus,
    RefundStatus,
    Resolution,
    Severity,
    Stage,
    StepStatus,
)
_MORE_CODES: Final = (
    *("running", "closed", "open", "paid", "settled", "reversed", "unapplied", "refunded", "draft", "active", "won"),
    *(
        "ordered",
        "cancelled",
        "shipped",
        "returned",
        "invoiced",
        "credited",
        "any",
        "waiting",
        "duplicate",
        "unreadable",
    ),
    *("credit_note", "packing_slip", "invoice", "payment", "quote", "order", "sales_order", "stage", "credit"),
    *("sales", "legal", "reminder", "notice", "final", "hand_over"),
)
"""Codes that are of no enumeration: how runs stand, documents, chains and levels of the policy as it is delivered."""
_ROLES: Final = (
    *("sales_rep", "sales_manager", "sales_director", "cfo", "credit_manager", "ar_manager", "ops", "admin", "auditor"),
    *("warehouse", "legal", "finance_director", "rep"),
)
_TEXTS: Final = (
    marked("the system"),
    marked("decisions"),
    marked("orders"),
    marked("slips and invoices"),
    marked("decisions before an order"),
    marked("Keep every part of the deal going"),
    marked("The accepted quote is not what was approved"),
    marked("A product can no longer be sold"),
    marked("Prices rose before the quote was accepted"),
    marked("Ask for approval"),
    marked("Prices moved, and the margin was not approved"),
    marked("The quote was won without approval"),
    marked("accounts receivable"),
    marked("customer"),
    marked("nobody"),
)


def in_words(code: str) -> str:
    """A code as ``words`` shows it in English."""
    text = code.replace("_", " ")
    return text[:1].upper() + text[1:]


def texts() -> Iterator[str]:
    """Every text of a fixed set."""
    yield from (refusal.sentence for refusal in Refusal)
    yield sentence_of("")
    for cause in Cause:
        yield cause.words
        yield cause.suggestion
    yield from WORDS.values()
    yield from (in_words(code.value) for codes in _CODES for code in codes if code.value)
    yield from (code.value for code in Ending if code.value)
    yield from (in_words(code) for code in _MORE_CODES)
    yield from (role_words(name) for name in _ROLES)


def extract(_file: Any, _keywords: Any, _comments: Any, options: Any) -> Iterator[tuple[int, None, str, list[str]]]:
    """The texts as Babel takes messages of a file; there are no options."""
    del options
    for text in (*texts(), *_TEXTS):
        yield 1, None, text, []
