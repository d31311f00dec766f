"""What a security team wants to see: sign-ins, refusals, denials, changes of roles, and use of the signing key.

Each is one structured line with ``event`` "security" and a name of ``EVENTS`` under ``security``;
``docs/security-log.md`` lists them with their fields. No token, secret or text of a person is in any of them.
"""

from __future__ import annotations

from typing import Final

import structlog

from domain.people import Person
from domain.refusals import Refusal
from domain.sign_in import SignIn

_log = structlog.get_logger("security")

EVENTS: Final[dict[str, str]] = {
    "sign_in": "A person signed in. `roles`, `signed_in_at`, `methods` (`amr`), `contexts` (`acrs`)",
    "sign_in_refused": "A sign-in did not come to its end. `reason`",
    "sign_out": "A person signed out. `everywhere`",
    "session_ended": "A session was ended from this side. `reason`",
    "roles_changed": "The directory gives a person other roles than before. `roles_before`, `roles`",
    "token_refused": "A bearer token of the API was not believed. `reason`, `address`",
    "sender_refused": "A report of Dynamics came without a valid secret. `system`, `address`",
    "denied": "A person asked for what is not theirs to see. `code`, `company`",
    "refused": "A decision or command of a person was refused here. `code`, `about`, `message_id`",
    "limited": "A person or sender was told to slow down. `about`",
    "forged_form": "A form came that no page of the person's session had shown.",
    "audit_exported": "A person took a signed export of the audit. `company`, `since`, `until`, `records`",
    "key_used": "The signing key signed what a person said. `key_id`, `action`, `about`, `message_id`",
}
"""Every event, with what it means and its fields beside `actor` (Entra object id)."""


def _write(name: str, actor: str, **fields: object) -> None:
    assert name in EVENTS, name
    _log.info("security", security=name, actor=actor, **fields)


def signed_in(person: Person, sign_in: SignIn) -> None:
    """A person signed in; the moment in ISO 8601, UTC, or empty."""
    at = sign_in.at.isoformat() if sign_in.at else ""
    ways = {"methods": list(sign_in.methods), "contexts": list(sign_in.contexts)}
    _write("sign_in", person.oid, roles=list(person.roles), signed_in_at=at, **ways)


def sign_in_refused(reason: str) -> None:
    """A sign-in did not come to its end."""
    _write("sign_in_refused", "", reason=reason[:500])


def signed_out(person: Person, *, everywhere: bool) -> None:
    """A person signed out."""
    _write("sign_out", person.oid, everywhere=everywhere)


def session_ended(person: Person, reason: str) -> None:
    """A session was ended from this side."""
    _write("session_ended", person.oid, reason=reason[:500])


def roles_changed(before: Person, after: Person) -> None:
    """The directory gives a person other roles than before."""
    _write("roles_changed", before.oid, roles_before=list(before.roles), roles=list(after.roles))


def token_refused(reason: str, address: str) -> None:
    """A bearer token was not believed."""
    _write("token_refused", "", reason=reason[:500], address=address)


def sender_refused(system: str, address: str) -> None:
    """A report of Dynamics came without a valid secret."""
    _write("sender_refused", "", system=system, address=address)


def denied(actor: str, code: Refusal, company: str) -> None:
    """A person asked for what is not theirs to see."""
    _write("denied", actor, code=code.value, company=company)


def refused(person: Person, code: Refusal, about: str, message_id: str) -> None:
    """A decision or command was refused here; ``about`` is the id of the run it was for."""
    _write("refused", person.oid, code=code.value, about=about, message_id=message_id)


def limited(actor: str, about: str) -> None:
    """A person or sender was told to slow down."""
    _write("limited", actor, about=about)


def forged_form(person: Person) -> None:
    """A form came that no page of the person's session had shown."""
    _write("forged_form", person.oid)


def audit_exported(person: Person, *, company: str, since: str, until: str, records: int) -> None:
    """A person took a signed export of the audit; the period in ISO 8601, UTC."""
    _write("audit_exported", person.oid, company=company, since=since, until=until, records=records)


def key_used(person: Person, *, key_id: str, action: str, about: str, message_id: str) -> None:
    """The signing key signed what a person said."""
    _write("key_used", person.oid, key_id=key_id, action=action, about=about, message_id=message_id)
