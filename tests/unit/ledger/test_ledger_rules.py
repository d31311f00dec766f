"""Which rules are in force, and whom they name, is in the chain before what happens under them."""

from __future__ import annotations

from domain.audit import AuditKind
from domain.policy import Policy
from ledger.database import Database
from ledger.reads import AuditReader
from ledger.rules import note_rules
from tests.rights import POLICY


def without(policy: Policy, role: str) -> Policy:
    """The policy, naming nobody for a role of USMF."""
    authority = policy.authority
    companies = authority.companies | {"usmf": authority.companies["usmf"] | {role: ()}}
    changed = authority.model_copy(update={"companies": companies})
    return policy.model_copy(update={"authority": changed, "version": "2026-12-01#1+feed", "hash": "f" * 64})


async def test_new_rules_are_recorded_once_and_the_same_ones_never(database: Database, reader: AuditReader) -> None:
    assert await note_rules(database, POLICY, ["usmf", "demf"]) == 4
    assert await note_rules(database, POLICY, ["usmf", "demf"]) == 0, "a worker that begins again adds nothing"
    policy, people = await reader.page("usmf")
    assert (policy.kind, policy.event, policy.facts["version"]) == (AuditKind.POLICY, "PolicyInForce", POLICY.version)
    assert (people.kind, people.event) == (AuditKind.PEOPLE, "ApproversChanged")
    assert "Mona Meyer is named sales_manager" in people.what
    mona = POLICY.authority.holders("usmf", "sales_manager")[0]
    assert people.facts["sales_manager"] and mona.oid.lower() not in str(people.facts), "facts name nobody"


async def test_a_company_for_which_nobody_is_named_says_so(database: Database, reader: AuditReader) -> None:
    assert await note_rules(database, POLICY, ["nwnd"]) == 2
    assert [row.what for row in await reader.page("nwnd")][1] == "nobody is named"


async def test_a_change_of_people_says_who_came_and_who_went_and_back_again_is_a_change_too(
    database: Database, reader: AuditReader
) -> None:
    changed = without(POLICY, "sales_manager")
    for policy in (POLICY, changed, POLICY):
        assert await note_rules(database, policy, ["usmf"]) == 2
    rows = await reader.page("usmf")
    assert [row.facts["version"] for row in rows[::2]] == [POLICY.version, changed.version, POLICY.version]
    assert rows[2].what == f"policy {changed.version} is in force in place of {POLICY.version}"
    assert "Mona Meyer is no longer named sales_manager" in rows[3].what
    assert "Mona Meyer is named sales_manager" in rows[5].what and "director" not in rows[5].what
    _, finding = await reader.verify("usmf")
    assert finding is None
