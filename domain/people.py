"""A person: who they are in the directory, and which app roles it gives them.

Roles are those of the token a person signs in with: app roles of the registration, of one company
(``sales_manager.usmf``) or without one (``ops``). What a role allows, and whether it counts without a company, is the
table's to say (``domain.rights``). A person who is only named somewhere has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.record import Record


class Person(Record):
    """A user of both worlds. Keyed on the Entra object id: names and addresses change."""

    oid: str
    name: str = ""
    upn: str = ""
    roles: tuple[str, ...] = ()

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Person:
        """The person of an ID token or access token of Entra in v2.0 format.

        Raises:
            ValueError: the token names no person (no object id), or its roles are no list of texts.
        """
        oid = claims.get("oid")
        if not isinstance(oid, str) or not oid:
            raise ValueError("the token has no oid: it names no person")
        roles = claims.get("roles") or []
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise ValueError("the token's roles are no list of texts")
        upn = str(claims.get("preferred_username", ""))
        return cls(oid=oid, name=str(claims.get("name") or upn or oid), upn=upn, roles=tuple(roles))

    @property
    def named(self) -> Person:
        """The person without the roles of the moment: what records keep."""
        return self.model_copy(update={"roles": ()}) if self.roles else self

    @property
    def label(self) -> str:
        """The name, or the object id where there is none."""
        return self.name or self.oid

    def is_same(self, other: Person | None) -> bool:
        """Whether both are the same directory object; its id is compared without regard to case."""
        return other is not None and self.oid.lower() == other.oid.lower()

    @property
    def initials(self) -> str:
        """One or two letters for a badge."""
        words = [word for word in self.name.split() if word]
        return "".join(word[0] for word in words[:2]).upper() or "?"


SYSTEM = Person(oid="system", name="Quote to Cash")
"""What nobody did: the deal itself."""
