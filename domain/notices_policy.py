"""Who wants to be told what, where and when: the file ``notices.yaml``.

A person's own line comes before their role's, and that before what is said for everyone, field by field. Targets are
names; the addresses and secrets behind them are settings. None of it decides anything, so it is no part of the policy
that decisions are pinned to: who changes their quiet hours makes no approval old.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from domain.notices import Kind, Notice
from domain.people import Person
from domain.policy import AuthorityPolicy, ClockTime, Policy, Timezone
from domain.quiet_hours import Quiet
from domain.record import Record
from domain.rights import RightsPolicy

REP_KINDS: Final = tuple(kind for kind in Kind if kind.right is None)
"""What the owner of a quote is told."""
_ROLE: Final = "role:"
_MAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def is_address(text: str) -> bool:
    """Whether a text is one plain mail address, with nothing around it that a mail header could be made of."""
    return _MAIL.fullmatch(text) is not None


def is_target_name(text: str) -> bool:
    """Whether a text can name a target."""
    return re.fullmatch(r"[a-z][a-z0-9-]{0,39}", text) is not None


def _target(value: str) -> str:
    if not is_target_name(value):
        raise ValueError(f"{value!r} is not the name of a target: small letters, digits and hyphens, e.g. mail")
    return value


def _address(value: str) -> str:
    if value and not is_address(value):
        raise ValueError(f"{value!r} is not a mail address, e.g. mona@contoso.com")
    return value


TargetName = Annotated[str, AfterValidator(_target)]


class Preference(Record):
    """What somebody is told, and how; what is left out is as for their role, or as for everyone."""

    kinds: tuple[Kind, ...] | None = Field(None, description="What is told; an empty list: nothing")
    targets: tuple[TargetName, ...] | None = Field(None, max_length=5, description="Names of targets, of the settings")
    timezone: Timezone | None = Field(None, description="IANA name; left out everywhere: the company's")
    quiet: Quiet | None = Field(None, description="When nothing is sent; it is sent together afterwards")
    digest: ClockTime | None = Field(None, description="HH:MM local: what still waits for them, once a working day")


class PersonPreference(Preference):
    """The same for one person."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        "", description="Mail address; left out: the name they sign in with"
    )


class NoticePolicy(Record):
    """Who is told what (policies/notices.yaml)."""

    version: str = Field(min_length=1)
    everyone: Preference = Preference()
    roles: dict[str, Preference] = Field(default_factory=dict, description="By role of rights.yaml")
    people: dict[str, PersonPreference] = Field(
        default_factory=dict, description="By key of approvers.yaml, or by Entra object id"
    )

    @property
    def chosen(self) -> frozenset[Kind]:
        """The kinds that anybody is told."""
        rows = (*self.roles.values(), *self.people.values(), self.everyone)
        return frozenset(kind for row in rows for kind in row.kinds or ())

    @property
    def targets(self) -> frozenset[str]:
        """Every target that is named."""
        rows = (*self.roles.values(), *self.people.values(), self.everyone)
        return frozenset(name for row in rows for name in row.targets or ())


class Telling(Record):
    """A notice for one recipient, with what is known of them at this moment."""

    recipient: str = Field(description="Entra object id, lower case; or role and company, e.g. role:ops.usmf")
    oid: str = Field("", description="Entra object id as the directory writes it; empty: it is a role")
    name: str
    address: str = ""
    targets: tuple[str, ...]
    timezone: str
    quiet: Quiet = Quiet()
    digest: str | None = None
    notice: Notice


def misfits(notices: NoticePolicy, authority: AuthorityPolicy, rights: RightsPolicy) -> Iterator[tuple[str, str]]:
    """Where the file does not fit the others: the field, and what to change."""
    for role, row in notices.roles.items():
        if role not in rights.roles:
            yield f"roles.{role}", f"is not a role of rights.yaml; it has {', '.join(sorted(rights.roles))}"
            continue
        may = {right for given in rights.rights if given.role == role for right in given.may}
        told = {kind for kind in Kind if kind.right in may} | (set(REP_KINDS) if role == "sales_rep" else set())
        for kind in row.kinds or ():
            if kind not in told:
                text = f"nobody is told {kind} as {role}: rights.yaml gives that role no right to act on it"
                yield f"roles.{role}.kinds", f"{text}; give the right there, or take the kind out here"
    for key in notices.people:
        if key not in authority.people and not _is_guid(key):
            yield f"people.{key}", "is no key of people in approvers.yaml and no Entra object id; correct it"


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def tellings(notice: Notice, policy: Policy, notices: NoticePolicy, targets: Mapping[str, bool]) -> Iterator[Telling]:
    """For whom a notice is, each with where and when they want it; nobody where nobody chose its kind.

    Args:
        notice: what is told.
        policy: who holds which role, and the companies' time zones.
        notices: what they want to be told.
        targets: the targets that are configured, and whether each leads to a person's own address.
    """
    if notice.to:
        for person in notice.to:
            yield from _for(person, notice, notice.role, policy, notices, frozenset(targets))
        return
    own = frozenset(name for name, personal in targets.items() if personal)
    for role in notices.roles:
        may = {right for given in policy.rights.rights if given.role == role for right in given.may}
        if notice.kind.right not in may or notice.role not in ("", role):
            continue
        for person in policy.authority.holders(notice.company, role):
            if notice.but is not None and person.is_same(notice.but):
                continue
            yield from _for(person, notice, role, policy, notices, own)
        everybody = Person(oid=f"{_ROLE}{role}.{notice.company}", name=f"{role}.{notice.company}")
        yield from _for(everybody, notice, role, policy, notices, frozenset(targets) - own)


def _for(
    person: Person, notice: Notice, role: str, policy: Policy, notices: NoticePolicy, targets: frozenset[str]
) -> Iterator[Telling]:
    own = _own(person, policy, notices)
    rows = (own, notices.roles.get(role, Preference()), notices.everyone)
    kinds = next((row.kinds for row in rows if row.kinds is not None), ())
    wanted = next((row.targets for row in rows if row.targets is not None), ())
    names = tuple(name for name in dict.fromkeys(wanted) if name in targets)
    if notice.kind not in kinds or not names:
        return
    company = policy.calendars.companies.get(notice.company)
    usual = company.timezone if company else "UTC"
    yield Telling(
        recipient=person.oid.lower(),
        oid="" if person.oid.startswith(_ROLE) else person.oid,
        name=person.label,
        address=own.address or person.upn,
        targets=names,
        timezone=next((row.timezone for row in rows if row.timezone is not None), usual),
        quiet=next((row.quiet for row in rows if row.quiet is not None), Quiet()),
        digest=next((row.digest for row in rows if row.digest is not None), None),
        notice=notice.model_copy(update={"to": ()}),
    )


def _own(person: Person, policy: Policy, notices: NoticePolicy) -> PersonPreference:
    for key, row in notices.people.items():
        known = policy.authority.people.get(key) or Person(oid=key)
        if person.is_same(known):
            return row
    return PersonPreference()
