"""Who holds which role: the people that the policy names, and those of an export of the directory.

An export is either a list of people with the roles their tokens carry, or what Microsoft Graph answers to
`GET /servicePrincipals(appId='…')?$select=appRoles&$expand=appRoleAssignedTo` for the web registration. Graph lists
what is assigned to groups by the group: who is in it has to be looked up there, so groups are named and not guessed.
Source: Microsoft Learn, "servicePrincipal resource type" and "appRoleAssignment resource type" (Microsoft Graph).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.people import Person
from domain.policy import Policy
from domain.rights import ConflictFound, conflicts


@dataclass(frozen=True)
class Export:
    """What an export says: people with their roles, and groups that hold roles."""

    people: tuple[Person, ...]
    groups: tuple[str, ...] = ()


def named_people(policy: Policy) -> list[Person]:
    """The people of approvers.yaml, with the roles it names them for."""
    held: dict[str, list[str]] = {}
    for company, roles in policy.authority.companies.items():
        for role, keys in roles.items():
            for key in keys:
                held.setdefault(key, []).append(f"{role}.{company}")
    people = policy.authority.people
    return [people[key].model_copy(update={"roles": tuple(roles)}) for key, roles in held.items()]


def read_export(content: Any) -> Export:
    """An export of the directory.

    Args:
        content: the parsed JSON: a list of ``{"oid", "name", "roles"}``, or Graph's answer.

    Raises:
        ValueError: it is neither; the text says what is expected.
    """
    if isinstance(content, Mapping):
        return _of_graph(content)
    if not isinstance(content, list):
        raise ValueError("give a list of people, or what Graph answers for the application")
    return Export(tuple(_person(entry) for entry in content))


def conflicts_of(policy: Policy, export: Export | None) -> list[ConflictFound]:
    """Who holds roles that should be two people's, by the policy's names and an export together."""
    everybody = _together([*named_people(policy), *(export.people if export else ())])
    companies = sorted({*policy.entity_map.business_units.values(), *policy.authority.companies})
    return list(conflicts(policy.rights, everybody, companies))


def unknown_roles(policy: Policy, export: Export) -> list[str]:
    """Roles of an export that the table does not know, or that lack the company they need: they grant nothing."""
    rights, companies = policy.rights, set(policy.entity_map.business_units.values())

    def grants(held: str) -> bool:
        role, _, company = held.partition(".")
        return role in rights.roles and (company in companies or (not company and role in rights.every_company))

    return sorted({held for person in export.people for held in person.roles if not grants(held)})


def _person(entry: Any) -> Person:
    if not isinstance(entry, Mapping) or not entry.get("oid") or not isinstance(entry.get("roles"), list):
        raise ValueError('each person needs "oid" and "roles", e.g. {"oid": "…", "name": "…", "roles": ["ops.usmf"]}')
    return Person(
        oid=str(entry["oid"]),
        name=str(entry.get("name") or ""),
        upn=str(entry.get("upn") or ""),
        roles=tuple(str(role) for role in entry["roles"]),
    )


def _of_graph(answer: Mapping[str, Any]) -> Export:
    try:
        values = {str(role["id"]): str(role["value"]) for role in answer["appRoles"]}
        assigned = [
            (str(entry["principalType"]), str(entry["principalId"]), str(entry.get("principalDisplayName") or ""), role)
            for entry in answer["appRoleAssignedTo"]
            if (role := values.get(str(entry["appRoleId"])))
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(
            "Graph's answer needs appRoles and appRoleAssignedTo: ask for "
            "/servicePrincipals(appId='…')?$select=appRoles&$expand=appRoleAssignedTo"
        ) from error
    people = [Person(oid=oid, name=name, roles=(role,)) for kind, oid, name, role in assigned if kind == "User"]
    groups = {f"{name or oid}: {role}" for kind, oid, name, role in assigned if kind == "Group"}
    return Export(tuple(_together(people)), tuple(sorted(groups)))


def _together(people: Iterable[Person]) -> list[Person]:
    """Each person once, with the roles of all their entries."""
    found: dict[str, Person] = {}
    for person in people:
        before = found.get(person.oid.lower())
        roles = dict.fromkeys((*(before.roles if before else ()), *person.roles))
        known = before if before and before.name else person
        found[person.oid.lower()] = known.model_copy(update={"roles": tuple(roles)})
    return list(found.values())
