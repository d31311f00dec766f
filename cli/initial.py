"""`q2c initial`: both systems brought to agree for the first time: planned, and then carried out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.compare import CompanyOption, EntityArgument
from cli.late import printable
from cli.output import JsonOption, fail

EXAMPLES = """Examples:

q2c initial customer --company usmf --dry-run
    what would be created, changed and left alone, and what people have to
    settle first; nothing is written in either system

q2c initial customer --company usmf --dry-run --out ./plan
    and every record as CSV, XLSX and HTML

q2c initial customer --company usmf --do begin --reason "go-live" \\
  --token-file token
    the plan that `q2c gate` allowed is carried out

q2c initial customer --company usmf --do pause --reason … --token-file token
    it rests after the page that is under way; go-on, or stop

q2c initial customer --company usmf
    how it stands; exit code 1 where a person is needed

q2c initial customer --company usmf --results ./results
    what became of every record, as CSV, XLSX and HTML

q2c initial customer --company usmf --undo RUN --reason … \
  --token-file token
    reads what undoing that run would do and waits; --do go-on undoes it,
    and --results lists both. RUN is what `q2c initial` shows of the run

docs/initial-sync.md says what each action means, and what comes next.
"""


class Word(StrEnum):
    """What a person says to a run."""

    pause = "pause"
    go_on = "go-on"
    stop = "stop"


OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Dry run: write the plan and what is to be settled there."),
]
ResultsOption = Annotated[
    Path | None, typer.Option("--results", metavar="FOLDER", help="Write what became of every record there.")
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
DoOption = Annotated[
    Word | None, typer.Option("--do", help="With --token-file: not to begin, but to rest, go on or end.")
]
UndoOption = Annotated[
    str, typer.Option("--undo", metavar="RUN", help="Not the run, but what undoes it; RUN as its status shows it.")
]
WhyOption = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]
ProofOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="Have the plan carried out; a file with an access token for the API, of a person, - is standard input.",
    ),
]


def initial(
    entity: EntityArgument,
    company: CompanyOption,
    dry_run: DryOption = False,
    out: OutOption = None,
    do: DoOption = None,
    reason: WhyOption = "",
    token_file: ProofOption = None,
    results: ResultsOption = None,
    undo: UndoOption = "",
    json: JsonOption = False,
) -> None:
    """Plan the first sync of an entity, record by record, and carry the plan out.

    A dry run reads with an application that cannot write. Ctrl-C stops
    looking; the run goes on, and the same command shows it again. The exit
    code is 1 where records are left to people, and where a run failed.
    """
    if dry_run:
        if token_file or results or undo:
            fail("--dry-run writes nothing: leave out --token-file, --results and --undo. Nothing was begun.")
        from cli import initial_work

        raise typer.Exit(initial_work.dry_run(entity, company, out, as_json=json))
    if out is not None:
        fail("--out is of a dry run; --results writes what became of every record. Nothing was begun.")
    from cli import initial_run_work as work

    if token_file is None:
        if do is not None or reason:
            fail("--do and --reason need --token-file: what a person says is signed. Nothing was begun.")
        raise typer.Exit(work.status(entity, company, results, undo, as_json=json))
    body = {"do": do.value.replace("-", "_") if do else "begin", "reason": printable(reason)}
    if undo:
        body["run"] = printable(undo)
    raise typer.Exit(work.say(entity, company, body, token_file, as_json=json))
