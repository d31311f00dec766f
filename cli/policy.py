"""`q2c policy`: the rules in force."""

from __future__ import annotations

from datetime import date

import typer

from cli import inputs
from cli.output import JsonOption, result, result_as_json

EXAMPLES = """Examples:

q2c policy explain
    the rules shipped with the product, or those of the folder Q2C_POLICIES

Q2C_POLICIES=./new q2c policy explain
    what a changed folder would mean, before it is used

q2c policy explain --json | jq .policy.discount.rules
    the rules as data
"""

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
