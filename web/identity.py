"""Who is asking: a signed-in person, whether by browser or by bearer token.

Both ways end in the same identity, taken from a token Entra signed, so that a page and a program are judged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.messages import COMMAND_ROLES, CommandName
from domain.record import Record


class Identity(Record):
    """A person, as Entra's token names them. Keyed on the object id: names and addresses change."""

    oid: str
    name: str
    upn: str = ""
    roles: tuple[str, ...] = ()

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Identity:
        """The person of an ID token or access token in v2.0 format.

        Raises:
            ValueError: the token names no person (no object id).
        """
        oid = claims.get("oid")
        if not isinstance(oid, str) or not oid:
            raise ValueError("the token has no oid: it names no person")
        upn = str(claims.get("preferred_username", ""))
        return cls(
            oid=oid, name=str(claims.get("name") or upn or oid), upn=upn, roles=tuple(map(str, claims.get("roles", ())))
        )

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

    def may_give(self, command: CommandName, company: str) -> bool:
        """Whether one of the roles that may give a command is held. The deal itself decides again."""
        return any(self.has_role(role, company) for role in COMMAND_ROLES[command])

    @property
    def initials(self) -> str:
        """One or two letters for the round badge in the header."""
        words = [word for word in self.name.split() if word]
        return "".join(word[0] for word in words[:2]).upper() or "?"
