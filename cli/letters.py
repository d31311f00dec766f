"""`q2c letters`: what a sync could not apply, and what becomes of it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.late import TokenOption, company_id
from cli.output import JsonOption, fail
from cli.sync import LetterArgument, ReasonOption

EXAMPLES = """Examples:

q2c letters list
    what stands, by reason, the most frequent one in front

q2c letters list --group 4f5e6d7c8b9a --each
    each letter of one reason, with both sides' values

q2c letters show 0a1b2c3d4e5f
    one letter

q2c letters propose 0a1b2c3d4e5f --value "+1 206 555 0100" \\
  --reason "called them" --token-file token
    another value; somebody else approves it

q2c letters approve 0a1b2c3d4e5f --reason "checked" --token-file token
    the value that a colleague proposed

q2c letters dismiss 0a1b2c3d4e5f --reason "closed" --token-file token
    nothing is to be done

q2c letters replay --entity customer --company usmf \\
  --group 4f5e6d7c8b9a --dry-run --reason "map mended" --token-file token
    what would become of each letter of one reason
"""

app = typer.Typer(help="What could not be applied to a system.", no_args_is_help=True, epilog=EXAMPLES)

Entity = Annotated[str, typer.Option("--entity", help="Entity of a map; empty: all.")]
CompanyOption = Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity; empty: all.")]
Cause = Annotated[str, typer.Option("--cause", help="Only letters of this cause, e.g. REFUSED_BY_SALES.")]
Group = Annotated[str, typer.Option("--group", help="Only letters of this reason, as the list shows it.")]
Key = Annotated[str, typer.Option("--key", help="Only letters of this record, e.g. US-001.")]


@app.command("list", epilog=EXAMPLES)
def list_letters(
    entity: Entity = "",
    company: CompanyOption = "",
    cause: Cause = "",
    group: Group = "",
    key: Key = "",
    replay: Annotated[str, typer.Option("--replay", help="Only letters that this replay tried again.")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also letters that have ended.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Each letter, not how many of a reason.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many letters.")] = 1_000,
    json: JsonOption = False,
) -> None:
    """List letters by reason, or each of them. The exit code is 1 where some stand."""
    from cli import letters_work as work

    wanted = work.wanted(entity=entity, company=company, cause=cause, group=group, key=key, replay=replay, ended=ended)
    raise typer.Exit(work.listed(wanted, limit, as_json=json) if each or replay else work.grouped(wanted, as_json=json))


@app.command(epilog=EXAMPLES)
def show(letter: LetterArgument, json: JsonOption = False) -> None:
    """Show one letter, with both sides' values."""
    from cli import letters_work as work

    work.show(letter, as_json=json)


@app.command(epilog=EXAMPLES)
def propose(
    letter: LetterArgument,
    value: Annotated[str, typer.Option("--value", help="What it is to be, in the words of Sales.")],
    reason: ReasonOption,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Propose another value for the field of a letter. Somebody else approves it."""
    from cli import letters_work as work

    body = {"do": "propose", "value": value, "reason": reason}
    raise typer.Exit(work.settle(letter, body, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def approve(letter: LetterArgument, reason: ReasonOption, token_file: TokenOption, json: JsonOption = False) -> None:
    """Approve the value that somebody else proposed. It is written to both systems."""
    from cli import letters_work as work

    raise typer.Exit(work.settle(letter, {"do": "approve", "reason": reason}, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def dismiss(letter: LetterArgument, reason: ReasonOption, token_file: TokenOption, json: JsonOption = False) -> None:
    """Say that nothing is to be done about a letter."""
    from cli import letters_work as work

    raise typer.Exit(work.settle(letter, {"do": "dismiss", "reason": reason}, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def replay(
    entity: Annotated[str, typer.Option("--entity", help="Entity of a map.")],
    company: Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")],
    reason: ReasonOption,
    token_file: TokenOption,
    letters: Annotated[list[str] | None, typer.Argument(help="Ids of letters; none: those chosen below.")] = None,
    cause: Cause = "",
    group: Group = "",
    key: Key = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each.")] = False,
    json: JsonOption = False,
) -> None:
    """Have letters tried again: single ones, those of a reason, a cause or a record.

    Ctrl-C stops looking; the replay goes on. The exit code is 1 where letters
    stand after it.
    """
    if not (letters or cause or group or key):
        fail("say which letters: their ids, --cause, --group or --key")
    from cli import letters_work as work

    body = {"letters": letters or [], "of_reason": group, "of_cause": cause or None, "of_key": key, "dry_run": dry_run}
    raise typer.Exit(work.replay(company, entity, {"do": "replay", "reason": reason, **body}, token_file, as_json=json))
