"""Who speaks: a person of the directory, and when they signed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.people import Person
from domain.record import Record


class SignedIn(Record):
    """A signed-in person."""

    person: Person
    at: datetime | None = None
    """When they last showed who they are, UTC; None where their token does not say."""

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> SignedIn:
        """Who stands behind an ID token or access token of Entra in v2.0 format.

        ``auth_time`` is in an ID token that was asked for with ``max_age``, and in others where the app registration
        has the optional claim. Source: Microsoft Learn, "Optional claims reference" (identity platform).

        Raises:
            ValueError: the token names no person, or what it says of them has the wrong type.
        """
        at = claims.get("auth_time")
        if at is None:
            return cls(person=Person.from_claims(claims))
        if isinstance(at, bool) or not isinstance(at, int):
            raise ValueError("the token's auth_time is no number of seconds")
        try:
            moment = datetime.fromtimestamp(at, UTC)
        except (OverflowError, ValueError, OSError) as error:
            raise ValueError("the token's auth_time is no moment") from error
        return cls(person=Person.from_claims(claims), at=moment)
