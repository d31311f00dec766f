"""Who speaks: a person of the directory, and how they signed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.people import Person
from domain.record import Record
from domain.sign_in import SignIn


class SignedIn(Record):
    """A signed-in person."""

    person: Person
    sign_in: SignIn = SignIn()

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> SignedIn:
        """Who stands behind an ID token or access token of Entra in v2.0 format.

        ``auth_time`` is in an ID token that was asked for with ``max_age``, and in others where the app registration
        has the optional claim; so is ``acrs``. Source: Microsoft Learn, "Optional claims reference" (identity
        platform).

        Raises:
            ValueError: the token names no person, or what it says of them has the wrong type.
        """
        return cls(person=Person.from_claims(claims), sign_in=SignIn.from_claims(claims))
