"""Why a step is parked: each cause in one sentence, with what to do; the raw answer stays behind it."""

from __future__ import annotations

import pytest

from domain.causes import LONGEST_SAID, Cause, readable, what_failed

STEP = "Create order Q2C-7K3M"


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_says_what_failed_why_and_what_to_do(cause: Cause) -> None:
    sentence = what_failed(STEP, cause, "")
    assert sentence.startswith(f"{STEP}: ") and len(sentence) > len(STEP) + 15
    assert sentence[-1].isalnum() and "\n" not in sentence and "{" not in sentence
    assert cause.suggestion[0].isupper() and cause.suggestion[-1].isalnum(), "its reader adds the full stop"
    assert cause.passes or any(word in cause.suggestion for word in ("retry", "recheck", "Retry")), "or it goes on"
    assert cause.words and len(cause.words) < 40


def test_no_two_causes_say_the_same() -> None:
    assert len({what_failed(STEP, cause, "") for cause in Cause}) == len(Cause)
    assert len({cause.words for cause in Cause}) == len(Cause)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "finance POST SalesOrderHeadersV4 400 ODataException: Write failed for table row of type 'X'. Infolog: "
            "Error: Site 9 does not exist.",
            f"{STEP}: Finance refused it: Site 9 does not exist",
        ),
        ("dataverse PATCH quotes 400 0x80060882: Name is\n required.", f"{STEP}: Sales refused it: Name is required"),
        ("entra POST token 401 AADSTS7000215: <html><body>no</body></html>", f"{STEP}: Entra ID refused it"),
        ('{"error": {"code": "x"}}', f"{STEP}: the system refused it"),
        ("Traceback (most recent call last)", f"{STEP}: the system refused it"),
    ],
)
def test_the_sentence_ends_with_what_the_system_said_where_a_person_can_read_it(message: str, sentence: str) -> None:
    assert what_failed(STEP, Cause.REFUSED, message) == sentence


@pytest.mark.parametrize("message", ["x" * 2_000, "word " * 400, "A sentence that is short. " * 80, "\n" * 2_000])
def test_what_is_shown_of_a_long_answer_is_bounded(message: str) -> None:
    assert len(readable(message)) <= LONGEST_SAID


def test_a_long_answer_is_cut_after_its_first_sentence() -> None:
    assert readable("Site 9 does not exist. " + "Stack of calls. " * 50) == "Site 9 does not exist"
