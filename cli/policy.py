"""`q2c policy`: the rules in force."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.output import JsonOption, fail, note, result, result_as_json

if TYPE_CHECKING:
    from domain.policy import Policy

EXAMPLES = """Examples:

q2c policy explain
    the rules shipped with the product, or those of the folder Q2C_POLICIES

Q2C_POLICIES=./new q2c policy explain
    what a changed folder would mean, before it is used

q2c policy explain --json | jq .policy.discount.rules
    the rules as data

q2c policy explain quote.json
    what they ask of a quote, and at which discounts they would ask less

The fields of a quote are listed in docs/policies.md.
"""

GROUP_EXAMPLES = """Examples:

q2c policy check ./new
    whether a folder of rules can be used, before it is

q2c policy explain quote.json
    what the rules ask of a quote
"""

DIFF_EXAMPLES = """Examples:

q2c policy diff ./old ./new --deals quotes.csv
    which quotes of the past the new rules would decide otherwise

q2c policy diff ./policies discount-2027.yaml --deals quotes.jsonl --limit 0
    one changed file against a folder; every quote in the table

A FILE or DIR replaces files of the rules in force.
The columns and fields of a quote are listed in docs/policies.md.
"""

CHECK_EXAMPLES = """Examples:

q2c policy check
    the rules in force: those shipped, or of the folder Q2C_POLICIES

q2c policy check ./new
    a folder, before it is used; the package has what it does not hold

q2c policy check discount-2027.yaml
    one file with the rest of the rules in force; its name says which it is

It tells all problems at once, and exits with 1 where there is one.
"""

CONFLICT_EXAMPLES = """Examples:

q2c policy conflicts
    the people named in approvers.yaml

q2c policy conflicts --people people.json
    and those of the directory:
    [{"oid": "…", "name": "…", "roles": ["ops.usmf"]}],
    or what Microsoft Graph answers to GET /servicePrincipals(appId='…')
    ?$select=appRoles&$expand=appRoleAssignedTo

It exits with 1 where somebody holds roles that should be two people's.
"""

PeopleOption = Annotated[
    Path | None, typer.Option("--people", metavar="FILE", help="Role assignments as the directory exports them.")
]

CheckedArgument = Annotated[Path | None, typer.Argument(metavar="[FILE|DIR]", help="Left out: the rules in force.")]
QuoteArgument = Annotated[Path | None, typer.Argument(metavar="[QUOTE.json]", help="A quote to ask them about.")]
RulesArgument = Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A version of the rules.")]
DealsOption = Annotated[Path, typer.Option("--deals", metavar="FILE", help="Quotes: .csv, else a line of JSON each.")]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="Quotes listed at most; 0: all.")]

app = typer.Typer(help="The rules in force.", no_args_is_help=True, epilog=GROUP_EXAMPLES)


@app.command(epilog=EXAMPLES)
def explain(quote: QuoteArgument = None, json: JsonOption = False) -> None:
    """Say in words what the rules in force ask for, of every quote or of one.

    A file that makes no sense is refused with its name, the field and what to do.
    """
    from domain.what_if import explain as explain_proposal
    from policies import explanation, what_if
    from policies.given_files import GivenFileError
    from policies.quote_files import read_quote

    policy = inputs.policy()
    if quote is None:
        if json:
            result_as_json(explanation.as_data(policy, date.today()))
        else:
            result(explanation.as_text(policy, date.today()))
        return
    try:
        found = explain_proposal(read_quote(quote).proposal(policy), policy)
    except GivenFileError as error:
        fail(str(error))
    except ValueError as error:
        fail(f"{quote}: {error}")
    if json:
        result_as_json(found.model_dump(mode="json"))
    else:
        result(what_if.as_text(found))


@app.command(epilog=DIFF_EXAMPLES)
def diff(
    before: RulesArgument, after: RulesArgument, deals: DealsOption, limit: LimitOption = 20, json: JsonOption = False
) -> None:
    """Say which quotes two versions of the rules decide otherwise, with counts and money."""
    from policies import comparison
    from policies.given_files import GivenFileError
    from policies.plain_text import one_line
    from policies.quote_files import read_quotes

    was, now = _rules(before), _rules(after)
    try:
        quotes = read_quotes(deals)
    except GivenFileError as error:
        fail(str(error))
    try:
        found = comparison.compare(quotes, was, now)
    except ValueError as error:
        fail(one_line(f"{deals}: {error}"))
    if json:
        result_as_json(comparison.as_data(found, limit))
    else:
        result(comparison.as_text(found, limit))


def _rules(path: Path) -> Policy:
    from policies.loading import examine

    examined = examine(path, base=inputs.settings().policies)
    if examined.policy is None:
        fail("\n".join(map(str, examined.problems)))
    return examined.policy


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
    from domain.directory import Export, conflicts_of, unknown_roles

    policy, export = inputs.policy(), inputs.people_of(people) or Export(())
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
