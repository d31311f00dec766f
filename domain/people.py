"""A person: who they are in the directory, and what its app roles let them see.

Roles are those of the token a person signs in with: app roles of the registration, either for every company
(``sales_manager``) or for one (``sales_manager.usmf``). A person who is only named somewhere has none.
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
        return self.model_copy(update={"roles": ()})

    @property
    def label(self) -> str:
        """The name, or the object id where there is none."""
        return self.name or self.oid

    def is_same(self, other: Person | None) -> bool:
        """Whether both are the same directory object; its id is compared without regard to case."""
        return other is not None and self.oid.lower() == other.oid.lower()

    def has_role(self, role: str, company: str = "") -> bool:
        """Whether the person holds an app role for every company, or for this one (``role.company``).

        Without a company: whether they hold it for any.
        """
        if role in self.roles:
            return True
        if company:
            return f"{role}.{company}" in self.roles
        return any(held.startswith(f"{role}.") for held in self.roles)

    @property
    def companies(self) -> frozenset[str] | None:
        """The companies whose deals the person may read; None: all of them; empty: none.

        Any app role lets its holder read: of every company, or of the one in its suffix.
        """
        if any("." not in role for role in self.roles):
            return None
        return frozenset(role.partition(".")[2] for role in self.roles)

    def may_read(self, company: str) -> bool:
        """Whether the person may see deals of a company."""
        return self.companies is None or company in self.companies

    @property
    def initials(self) -> str:
        """One or two letters for a badge."""
        words = [word for word in self.name.split() if word]
        return "".join(word[0] for word in words[:2]).upper() or "?"


SYSTEM = Person(oid="system", name="Quote to Cash")
"""What nobody did: the deal itself."""
