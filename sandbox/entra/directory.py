"""People and applications of the sandbox's tenant.

A person's object id is derived from the user name, so that policies, Dataverse's `systemusers` and tokens agree without
asking each other. App roles are values of the web application's registration; one may be limited to a company by a
suffix (`sales_director.demf`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

DOMAIN = "contoso.example"
TENANT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, DOMAIN))
SERVICE_CLIENT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"q2c.{DOMAIN}"))
READER_CLIENT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"reader.q2c.{DOMAIN}"))
WEB_CLIENT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"approvals.q2c.{DOMAIN}"))


@dataclass(frozen=True)
class Person:
    """A user of the tenant. The password is the user name: this is a sandbox."""

    name: str
    display_name: str
    roles: tuple[str, ...]
    title: str = ""
    company: str = "usmf"

    @property
    def upn(self) -> str:
        """User principal name, the sign-in address."""
        return f"{self.name}@{DOMAIN}"

    @property
    def oid(self) -> str:
        """Entra object id, the same in every token and in `systemusers.azureactivedirectoryobjectid`."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.upn))


@dataclass(frozen=True)
class Application:
    """An app registration.

    `redirect_uris` of the web application: a loopback address matches whatever its port, as Entra does for localhost;
    an empty tuple accepts any loopback address, because the web server's port may be chosen only at start.
    `optional_claims` of its tokens: `auth_time` is the only one served. An ID token asked for with `max_age` has it
    without.
    """

    client_id: str
    display_name: str
    secret: str
    redirect_uris: tuple[str, ...] = ()
    optional_claims: frozenset[str] = frozenset()

    @property
    def object_id(self) -> str:
        """Object id of the application's service principal."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"serviceprincipal/{self.client_id}"))


@dataclass
class Directory:
    """Everybody the tenant knows, by name, address or object id, and its applications by client id."""

    people: dict[str, Person] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)

    def replace_people(self, people: Iterable[Person]) -> None:
        """Take these people in place of all others, as a reset of the sample data does."""
        self.people = {person.name: person for person in people}

    def find(self, login: str) -> Person | None:
        """The person of a user name, a sign-in address or an object id."""
        login = login.strip().lower()
        by_name = self.people.get(login.removesuffix(f"@{DOMAIN}"))
        return by_name or next((person for person in self.people.values() if person.oid == login), None)
