"""One vocabulary: every code is in the table once, with what a person needs to know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from domain.approvals import LATE, ApprovalStatus
from domain.causes import Cause
from domain.fixed_by import FixedBy
from domain.refusals import Refusal, sentence_of, table

ROOT = Path(__file__).parents[3]
ROOMS = ("domain", "workflows", "web", "activities", "runs")
CODE = re.compile(r"[A-Z]{2,}(_[A-Z]+)*")
NO_CODES = {
    # How credit was given, which is no refusal.
    *("EXCLUDED", "RELEASED", "UNLIMITED", "WITHIN_LIMIT"),
    # Names of HTTP, JOSE, Unicode, OpenTelemetry, time zones and currencies.
    *("GET", "HEAD", "POST", "OPTIONS", "JWT", "NFC", "NFKD", "UTC"),
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    # A column's value in Finance.
    "FLOOR",
    # What is wrong with a record or a field of both systems.
    *("MISSING", "DIFF", "ROUNDING", "DUPLICATE", "UNMAPPED", "TIMING"),
    # Why the gate of a first sync refuses it (docs/initial-sync.md).
    *("NO_DRY_RUN", "OLD_DRY_RUN", "PLAN_GONE", "CRITICAL_RULE", "NOT_CHECKED", "AMBIGUOUS_TARGET"),
    *("CRITICAL_CONFLICT", "DUAL_WRITE", "DUAL_WRITE_NOT_KNOWN"),
    # Why a sync writes no field of a record (docs/sync.md).
    *("CONFLICT", "NOT_LISTED", "TOO_LONG", "NOT_TELLABLE", "EMPTY", "REFUSED_BY_FINANCE", "REFUSED_BY_SALES"),
    *("NOT_TAKEN", "DELETED_IN_FINANCE", "DELETED_IN_SALES"),
    # What shadow mode would have done otherwise, and what an import leaves to people (docs/going-live.md).
    *("NOT_ASKED", "NOT_RETURNED", "ORDER_DIFFERS", "NO_ORDER", "NO_APPROVER"),
    # What a change of a map does (docs/data-map.md).
    *("WIDENING", "NARROWING", "OWNER", "KEY", "DIRECTION"),
    # A word of SQL.
    "NULL",
    # Who owns a field of a map.
    *("FINANCE", "SALES", "NEWEST", "MANUAL"),
}
"""Words in capitals that stand in the code as texts of their own and are no codes."""


def spelled(room: str) -> Iterator[tuple[str, str]]:
    """Texts that look like a code, where each stands; docstrings and names of members are none."""
    for path in sorted((ROOT / room).rglob("*.py")):
        if path.name == "refusals.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text, _, rest = node.value.partition(":")
                if CODE.fullmatch(text) and (not rest or rest.startswith(" ")):
                    yield text, f"{path.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_code_that_is_used_is_in_the_table(room: str) -> None:
    unknown = {f"{code} ({where})" for code, where in spelled(room) if not Refusal.of(code) and code not in NO_CODES}
    assert unknown == set(), "add it to domain/refusals.py and sentences.yaml, or to NO_CODES where it is no code"


def test_no_word_is_excused_that_is_not_used() -> None:
    assert NO_CODES <= {code for room in ROOMS for code, _ in spelled(room)}


def test_the_search_for_codes_finds_codes() -> None:
    found = {code for code, _ in spelled("domain")} | {code for code, _ in spelled("workflows")}
    assert {"NO_LINES", "CUSTOMER_BLOCKED", "CUSTOMER_UNMAPPED"} <= found


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_says_what_happened_and_whose_it_is(refusal: Refusal) -> None:
    assert refusal.name == refusal.value == str(refusal)
    assert 400 <= refusal.status < 600
    assert refusal.fixed_by in FixedBy
    assert refusal.sentence[0].isupper() and refusal.sentence.endswith(".")
    assert refusal.value not in refusal.sentence and "  " not in refusal.sentence


def test_no_sentence_is_left_of_a_code_that_is_gone() -> None:
    assert set(yaml.safe_load((ROOT / "domain" / "sentences.yaml").read_text())) == {str(code) for code in Refusal}


def test_only_what_is_broken_on_our_side_is_a_5xx() -> None:
    assert {refusal for refusal in Refusal if refusal.status >= 500} == {
        Refusal.INTERNAL,
        Refusal.QUERY_FAILED,
        Refusal.TEMPORAL_UNAVAILABLE,
        Refusal.KEY_MISSING,
        Refusal.LEDGER_UNAVAILABLE,
        Refusal.SIGNING_UNAVAILABLE,
        Refusal.ENTRA_UNAVAILABLE,
        # Virtual tables stand between Dataverse and Finance.
        Refusal.FINANCE_UNAVAILABLE,
        Refusal.FINANCE_REFUSED,
    }


def test_every_end_of_a_request_refuses_later_decisions() -> None:
    assert set(LATE) == set(ApprovalStatus) - {ApprovalStatus.PENDING}


def test_a_requester_is_told_in_words() -> None:
    assert sentence_of("REQUESTER_CANNOT_APPROVE") == ("You asked for this approval, so someone else has to decide it.")
    assert sentence_of("CODE_OF_A_NEWER_VERSION") == "This was refused; nothing changed."


def test_the_documentation_shows_the_table_as_it_is() -> None:
    assert table() in (ROOT / "docs" / "api.md").read_text()


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_says_what_would_help(cause: Cause) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]+", cause)
    assert cause.words and cause.suggestion and not cause.suggestion.endswith(".")
    assert Cause.of(cause.value) is cause
    assert cause.passes is cause.suggestion.startswith("Resumes automatically")


def test_a_failure_without_a_known_type_is_unexpected() -> None:
    for text in ("SomeOtherError", "", None):
        assert Cause.of(text) is Cause.UNEXPECTED
