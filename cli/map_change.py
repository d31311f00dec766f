"""`q2c map` for changes: propose another map, make its plan, approve, activate, roll back, and every version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.late import TokenOption, printable
from cli.output import JsonOption

PROPOSE_EXAMPLES = """Examples:

q2c map propose ./customers.yaml "phones are the rep's business" \\
  --token-file token
    for two others to approve; the number is printed
"""

PLAN_EXAMPLES = """Examples:

q2c map plan --map ./customers.yaml
    a look beforehand: what it changes, and which records it hits

q2c map plan customer 3
    the plan of proposal 3, which people approve

The records are those that q2c compare customer --company usmf --keep kept
in Q2C_DATA_DIR; neither system is asked.
"""

SAY_EXAMPLES = """Examples:

q2c map approve customer 3 "agreed with sales" --token-file token
    a signed approval of the plan as it is now

q2c map refuse customer 3 "phones are needed" --token-file token
q2c map withdraw customer 3 "a mistake" --token-file token
    it ends without effect; only who proposed it withdraws it

q2c map activate customer 3 "approved by both" --token-file token
    once two others have approved: tried on some records, then in force

q2c map history customer
    what came of it
"""

ROLLBACK_EXAMPLES = """Examples:

q2c map rollback customer "wrong owner of phones" --token-file token
    the former version is in force again, and what the change wrote is
    restored where nobody has edited it since; q2c map history lists the rest
"""

HISTORY_EXAMPLES = """Examples:

q2c map history customer
    every version with its hash, and what was proposed

q2c map history customer --json
    the maps themselves as well, for a program
"""

EntityArgument = Annotated[str, typer.Argument(metavar="ENTITY", help="Of the map, e.g. customer.")]
NumberArgument = Annotated[int, typer.Argument(metavar="N", min=1, max=999_999, help="Number of the proposal.")]
ReasonArgument = Annotated[str, typer.Argument(metavar="REASON", callback=printable, help="For the audit.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those of maps."""
    app.command(epilog=PROPOSE_EXAMPLES)(propose)
    app.command(epilog=PLAN_EXAMPLES)(plan)
    for command in (approve, refuse, withdraw, activate):
        app.command(epilog=SAY_EXAMPLES)(command)
    app.command(epilog=ROLLBACK_EXAMPLES)(rollback)
    app.command(epilog=HISTORY_EXAMPLES)(history)


def propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The whole map, changed.")],
    reason: ReasonArgument,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Propose another map to two others, who approve its plan.

    The exit code is 1 where it was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.propose(file, reason, token_file, as_json=json))


def plan(
    entity: Annotated[str, typer.Argument(metavar="[ENTITY]")] = "",
    number: Annotated[int, typer.Argument(metavar="[N]", min=0, max=999_999, help="Number of the proposal.")] = 0,
    file: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="A file that is not proposed yet; nothing is kept.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say what a proposed map changes and which records it hits, and keep it as the plan people approve.

    The exit code is 1 where it cannot come into force as it is.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.plan(entity, number, file, as_json=json))


def approve(
    entity: EntityArgument, n: NumberArgument, reason: ReasonArgument, token_file: TokenOption, json: JsonOption = False
) -> None:
    """Approve the plan of a proposal.

    The exit code is 1 where it was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.say("approve", entity, n, reason, token_file, as_json=json))


def refuse(
    entity: EntityArgument, n: NumberArgument, reason: ReasonArgument, token_file: TokenOption, json: JsonOption = False
) -> None:
    """Refuse a proposal.

    The exit code is 1 where that was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.say("refuse", entity, n, reason, token_file, as_json=json))


def withdraw(
    entity: EntityArgument, n: NumberArgument, reason: ReasonArgument, token_file: TokenOption, json: JsonOption = False
) -> None:
    """Withdraw what you proposed.

    The exit code is 1 where that was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.say("withdraw", entity, n, reason, token_file, as_json=json))


def activate(
    entity: EntityArgument, n: NumberArgument, reason: ReasonArgument, token_file: TokenOption, json: JsonOption = False
) -> None:
    """Put a map in force that two others approved, once it was tried.

    Some of the records it hits are written by their sync, read again and
    compared. The first one that is refused or still differs stops it, and what
    was tried is taken back.

    The exit code is 1 where that was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.say("activate", entity, n, reason, token_file, as_json=json))


def rollback(entity: EntityArgument, reason: ReasonArgument, token_file: TokenOption, json: JsonOption = False) -> None:
    """Put the former version of a map in force again, and take its change back.

    The exit code is 1 where that was refused or the site does not answer.
    """
    from cli import map_change_work

    raise typer.Exit(map_change_work.rollback(entity, reason, token_file, as_json=json))


def history(entity: EntityArgument, json: JsonOption = False) -> None:
    """List every version of a map, what was proposed, and what the last change did to records."""
    from cli import map_change_work

    map_change_work.history(entity, as_json=json)
