"""`q2c policy`: the rules in force."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
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

CHECK_EXAMPLES = """Examples:

q2c policy check
    the rules in force: those shipped, or of the folder Q2C_POLICIES

q2c policy check ./new
    a folder, before it is used; what it does not hold is taken from the package

q2c policy check discount-2027.yaml
    one file with the rest of the rules in force; its name says which it is

It tells all problems at once, and exits with 1 where there is one.
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

CheckedArgument = Annotated[Path | None, typer.Argument(metavar="[FILE|DIR]", help="Left out: the rules in force.")]

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


@app.command(epilog=CHECK_EXAMPLES)
def check(path: CheckedArgument = None, json: JsonOption = False) -> None:
    """Say whether a folder or a file of rules can be used, and all that is wrong with it."""
    from policies.loading import examine

    base = inputs.settings().policies
    examined = examine(path or base, base=base)
    policy = examined.policy
    if json:
        result_as_json(
            {
                "usable": policy is not None,
                "version": policy.version if policy else None,
                "hash": policy.hash if policy else None,
                "problems": [asdict(problem) for problem in examined.problems],
                "notes": list(examined.notes),
            }
        )
    elif policy is None:
        result("\n".join(map(str, examined.problems)))
    else:
        result(f"version {policy.version} can be used")
        for text in examined.notes:
            note(text)
    raise typer.Exit(0 if policy else 1)


@app.command(epilog=CONFLICT_EXAMPLES)
def conflicts(people: PeopleOption = None, json: JsonOption = False) -> None:
    """Say who holds roles that one person should not hold in one company, by the conflicts of rights.yaml."""
    from policies.directory import Export, conflicts_of, read_export, unknown_roles

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
