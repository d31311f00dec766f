"""Logs name company, quote, workflow and trace; telemetry without an endpoint costs nothing."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from workers.logs import configure_logging
from workers.telemetry import start_telemetry


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def only(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    record: dict[str, object] = json.loads(line)
    return record


def test_a_record_of_an_activity_names_the_case(lines: io.StringIO) -> None:
    logging.getLogger("temporalio.activity").warning(
        "throttled", extra={"temporal_activity": {"workflow_id": "q2c/usmf/Q-1001", "activity_type": "x", "attempt": 3}}
    )
    record = only(lines)
    assert record["company"] == "usmf"
    assert record["quote"] == "Q-1001"
    assert (record["activity"], record["attempt"], record["level"]) == ("x", 3, "warning")


def test_a_record_of_an_approval_names_its_quote_and_one_of_a_ledger_its_customer(lines: io.StringIO) -> None:
    log = structlog.get_logger("q2c")
    log.info("asked", workflow_id="approval/usmf/Q-1/2")
    log.info("reserved", workflow_id="credit/usmf/US-001")
    asked, reserved = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (asked["quote"], reserved["customer"]) == ("Q-1", "US-001")


def test_a_record_carries_the_trace_in_hand(lines: io.StringIO) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("click") as span:
        structlog.get_logger("q2c").info("decided", amount="1045.00")
    record = only(lines)
    assert record["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert record["amount"] == "1045.00"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("refused: Bearer eyJhbGciOi.eyJzdWIi.c2ln", "refused: Bearer …"),
        ("POST /api/updates?id=7&code=s3cret-of-the-sender HTTP/1.1", "POST /api/updates?id=7&code=… HTTP/1.1"),
        ("Endpoint=sb://bus/;SharedAccessKey=abc+/=;EntityPath=q", "Endpoint=sb://bus/;SharedAccessKey=…;EntityPath=q"),
        ("rita.rep@contoso.example has no mailbox", "…@… has no mailbox"),
        ("order SO-1001 of q2c/usmf/Q-1001 was refused, code NO_AUTHORITY", None),
    ],
)
def test_no_line_holds_a_token_a_secret_or_an_address(lines: io.StringIO, said: str, kept: str | None) -> None:
    structlog.get_logger("q2c").warning(said, reason=said, more={"inner": [said]}, error=ValueError(said))
    record, wanted = only(lines), kept or said
    assert (record["event"], record["reason"], record["more"]) == (wanted, wanted, {"inner": [wanted]})
    assert record["error"] == wanted


def test_an_exception_is_part_of_its_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("wrong currency")
    except ValueError:
        structlog.get_logger("q2c").exception("failed")
    assert "wrong currency" in str(only(lines)["exception"])


def test_without_an_endpoint_nothing_is_traced() -> None:
    telemetry = start_telemetry("test", environment={})
    assert telemetry.interceptors == []
    telemetry.close()


def test_a_logger_that_was_used_follows_what_is_configured_later(lines: io.StringIO) -> None:
    """Given a module's logger that wrote already, when the pipe is laid anew, then it writes there."""
    log = structlog.get_logger("q2c")
    log.info("before")
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as captured:
        log.info("after")
    assert only(lines)["event"] == "before"
    assert [record["event"] for record in captured] == ["after"]
