"""How and when a person showed who they are, as their token tells it: kept with everything they say.

The web application has it from Entra ID and signs it with the message; the deal judges it where the table of rights
asks for a fresh sign-in, and the audit keeps it. Source: Microsoft Learn, "Optional claims reference" (``auth_time``,
``acrs``) and "Access token claims reference" (``amr``), identity platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, Field

from domain.record import Record

MOST: Final = 20
"""Methods or contexts of one sign-in that are kept; Entra ID knows fewer of either."""

Code = Annotated[str, Field(max_length=100)]


class SignIn(Record):
    """A sign-in of a person; what their token does not tell is not known."""

    at: AwareDatetime | None = Field(None, description="UTC; when they showed who they are")
    methods: tuple[Code, ...] = Field((), max_length=MOST, description="How they did, e.g. pwd and mfa (`amr`)")
    contexts: tuple[Code, ...] = Field(
        (), max_length=MOST, description="Authentication contexts they satisfied, e.g. c1 (`acrs`)"
    )

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> SignIn:
        """The sign-in behind an ID token or access token of Entra.

        Raises:
            ValueError: what the token says of it has the wrong type.
        """
        return cls(at=_moment(claims.get("auth_time")), methods=_codes(claims, "amr"), contexts=_codes(claims, "acrs"))

    def claims(self) -> dict[str, Any]:
        """The same as claims, for what is signed in the person's name; what is not known is left out."""
        known = {
            "auth_time": int(self.at.timestamp()) if self.at else None,
            "amr": list(self.methods),
            "acrs": list(self.contexts),
        }
        return {name: value for name, value in known.items() if value}

    def facts(self) -> dict[str, str]:
        """The same as the audit keeps it; what is not known is left out."""
        known = {
            "signed in at": self.at.astimezone(UTC).isoformat(timespec="seconds") if self.at else "",
            "signed in by": ",".join(self.methods),
            "signed in for": ",".join(self.contexts),
        }
        return {name: value for name, value in known.items() if value}


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("the token's auth_time is no number of seconds")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise ValueError("the token's auth_time is no moment") from error


def _codes(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A claim that is a list of short texts; Entra writes one alone as a text in some tokens."""
    value = claims.get(name)
    found = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(found, list) or len(found) > MOST:
        raise ValueError(f"the token's {name} is no list of texts")
    if not all(isinstance(text, str) and len(text) <= 100 and text.isprintable() for text in found):
        raise ValueError(f"the token's {name} is no list of texts")
    return tuple(found)
