"""`q2c policy`: the rules in force."""

from __future__ import annotations

import json as json_text
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from cli import inputs
from cli.output import JsonOption, fail, note, result, result_as_json

EXAMPLES = """Examples:

q2c policy explain
    the rules shipped with the product, or those of the folder Q2C_POLICIES

Q2C_POLICIES=./new q2c policy explain
    what a changed folder would mean, before it is used

q2c policy explain --json | jq .policy.discount.rules
    the rules as data
"""

CONFLICT_EXAMPLES = """Examples:

q2c policy conflicts
    the people named in approvers.yaml

q2c policy conflicts --people people.json
    and those of the directory: [{"oid": "…", "name": "…", "roles": ["ops.usmf"]}], or what Microsoft Graph answers to
    GET /servicePrincipals(appId='…')?$select=appRoles&$expand=appRoleAssignedTo

It exits with 1 where somebody holds roles that should be two people's.
"""

PeopleOption = Annotated[
    Path | None, typer.Option("--people", metavar="FILE", help="Role assignments as the directory exports them.")
]

app = typer.Typer(help="The rules in force.", no_args_is_help=True)


@app.command(epilog=EXAMPLES)
def explain(json: JsonOption = False) -> None:
    """Say in words what the rules in force ask for.

    A file that makes no sense is refused with its name, the field and what to do.
    """
    from policies.explanation import as_data, as_text

    policy = inputs.policy()
    if json:
        result_as_json(as_data(policy, date.today()))
    else:
        result(as_text(policy, date.today()))


@app.command(epilog=CONFLICT_EXAMPLES)
def conflicts(people: PeopleOption = None, json: JsonOption = False) -> None:
    """Say who holds roles that one person should not hold in one company, by the conflicts of rights.yaml."""
    from domain.directory import Export, conflicts_of, read_export, unknown_roles

    policy, export = inputs.policy(), None
    if people is not None:
        try:
            export = read_export(json_text.loads(people.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            fail(f"{people}: {error}")
    export = export or Export(())
    found = conflicts_of(policy, export)
    if json:
        result_as_json([entry.model_dump(mode="json", exclude={"person": {"roles"}}) for entry in found])
    elif not found:
        result("nobody holds roles that should be two people's")
    else:
        for entry in found:
            result(f"{entry.company} {entry.person.label}: {' and '.join(entry.roles)}: {entry.why}")
    for group in export.groups:
        note(f"not looked into: the group {group}")
    for role in unknown_roles(policy, export):
        note(f"grants nothing: {role}, which rights.yaml does not know for this company")
    raise typer.Exit(1 if found else 0)
