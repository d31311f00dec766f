"""Who holds which role, by the policy and by exports of the directory, and who holds two that conflict."""

from __future__ import annotations

from typing import Any

import pytest

from domain.directory import Export, conflicts_of, named_people, read_export, unknown_roles
from tests.rights import POLICY
from tests.unit.domain.makers import person

MONA = person("mona")
GRAPH: dict[str, Any] = {
    "appRoles": [
        {"id": "r-1", "value": "ops"},
        {"id": "r-2", "value": "sales_manager.usmf"},
        {"id": "r-3", "value": "superuser"},
    ],
    "appRoleAssignedTo": [
        {"principalType": "User", "principalId": "1", "principalDisplayName": "Xenia", "appRoleId": "r-1"},
        {"principalType": "User", "principalId": "1", "principalDisplayName": "Xenia", "appRoleId": "r-2"},
        {"principalType": "User", "principalId": "2", "principalDisplayName": "Yuri", "appRoleId": "r-3"},
        {"principalType": "Group", "principalId": "3", "principalDisplayName": "Approvers", "appRoleId": "r-2"},
        {"principalType": "ServicePrincipal", "principalId": "4", "appRoleId": "r-1"},
        {"principalType": "User", "principalId": "5", "appRoleId": "00000000-0000-0000-0000-000000000000"},
    ],
}


def test_the_shipped_policy_names_nobody_for_two_roles_that_conflict() -> None:
    assert conflicts_of(POLICY, None) == []
    named = {each.oid: each.roles for each in named_people(POLICY)}
    assert named[MONA.oid] == ("sales_manager.usmf",)


def test_an_operator_of_the_directory_whom_the_policy_names_as_approver_is_a_conflict() -> None:
    export = read_export([{"oid": MONA.oid.upper(), "name": "M. Meyer", "roles": ["ops"]}])
    (found,) = conflicts_of(POLICY, export)
    assert (found.company, found.person.name, found.roles) == ("usmf", "Mona Meyer", ("ops", "sales_manager"))


def test_what_graph_answers_is_read() -> None:
    export = read_export(GRAPH)
    assert [(each.name, each.roles) for each in export.people] == [
        ("Xenia", ("ops", "sales_manager.usmf")),
        ("Yuri", ("superuser",)),
    ]
    assert export.groups == ("Approvers: sales_manager.usmf",)
    (found,) = conflicts_of(POLICY, export)
    assert (found.company, found.person.name) == ("usmf", "Xenia")


def test_roles_that_grant_nothing_are_named() -> None:
    people = [{"oid": "1", "roles": ["superuser", "ops", "sales_manager", "legal.usmf", "legal.xxxx", "ops.USMF"]}]
    assert unknown_roles(POLICY, read_export(people)) == ["legal.xxxx", "ops.USMF", "sales_manager", "superuser"]
    assert unknown_roles(POLICY, Export(())) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("mona", "a list of people"),
        (5, "a list of people"),
        (["mona"], '"oid" and "roles"'),
        ([{}], '"oid" and "roles"'),
        ([{"oid": "1", "roles": "ops"}], '"oid" and "roles"'),
        ({}, "appRoles and appRoleAssignedTo"),
        ({"appRoles": [{}], "appRoleAssignedTo": []}, "appRoles and appRoleAssignedTo"),
        ({"appRoles": 1, "appRoleAssignedTo": []}, "appRoles and appRoleAssignedTo"),
    ],
)
def test_an_export_that_is_none_is_told_so(content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_export(content)
