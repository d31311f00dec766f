"""The security log: every event is in the documentation, as the code has it."""

from __future__ import annotations

from pathlib import Path

import structlog

from domain.people import Person
from domain.refusals import Refusal
from domain.sign_in import SignIn
from web import security_log

PAGE = Path(__file__).parents[3] / "docs" / "security-log.md"
ANN = Person(oid="ann", name="Ann", roles=("ops",))


def test_the_page_lists_every_event_as_it_is() -> None:
    rows = "\n".join(f"| `{name}` | {text} |" for name, text in security_log.EVENTS.items())
    assert rows in PAGE.read_text(encoding="utf-8")


def test_every_event_is_written_with_the_fields_the_page_names() -> None:
    with structlog.testing.capture_logs() as lines:
        security_log.signed_in(ANN, SignIn())
        security_log.sign_in_refused("no")
        security_log.signed_out(ANN, everywhere=False)
        security_log.session_ended(ANN, "idle")
        security_log.roles_changed(ANN, ANN)
        security_log.token_refused("odd", "::1")
        security_log.sender_refused("finance", "::1")
        security_log.denied("ann", Refusal.NO_AUTHORITY, "usmf")
        security_log.refused(ANN, Refusal.NO_AUTHORITY, "q2c/usmf/Q-1", "m")
        security_log.limited("ann", "q2c/usmf/Q-1")
        security_log.forged_form(ANN)
        security_log.audit_exported(ANN, company="usmf", since="", until="", records=1)
        security_log.key_used(ANN, key_id="k", action="retry", about="q2c/usmf/Q-1", message_id="m")
    assert {line["security"] for line in lines} == set(security_log.EVENTS)
    for line in lines:
        fields = set(line) - {"event", "log_level", "security", "actor"}
        assert all(f"`{field}`" in security_log.EVENTS[line["security"]] for field in fields), line
        assert "Ann" not in str(line)
