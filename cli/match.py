"""`q2c match`: customers that are one, with what speaks for it and what to do; nothing is merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.data_extra import FromOption, relations_of, require_data_extra
from cli.output import JsonOption, fail, note, require_writable, result, result_as_json

if TYPE_CHECKING:
    from cleansing.matching import Cluster, Matches
    from cleansing.model import MatchModel
    from cleansing.plans import Standings
    from ledger.match_records import MatchRun

GROUP_EXAMPLES = """Examples:

q2c match run --from ./records --out ./doubles
    customers that are one, and what to do with them

q2c match train --from ./records --out ./customer.json
    a model of your own customers
"""

TRAIN_EXAMPLES = """Examples:

q2c match train --from ./records --out $Q2C_POLICIES/matching/customer.json
    the model in force from now on
"""

RUN_EXAMPLES = """Examples:

q2c match run --from ./records --out ./doubles
    clusters, pairs and plans as CSV and XLSX

q2c match run --from ./records --out ./doubles --standing
    and what is open on each: asks Finance and Sales, and writes to neither

q2c match run --from ./records --out ./doubles --standing --keep
    and keep them in the ledger, for people to decide on the site

docs/data-matching.md says how customers are compared, and how to read it.
"""

MODEL = "matching/customer.json"
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="FILE", help="Another model than the one in force.")
]
ListsOption = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the lists are written.")]
FileOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the model is written.")]
StandingOption = Annotated[
    bool, typer.Option("--standing", help="Ask both systems what is open on each customer of the plans.")
]
KeepOption = Annotated[
    bool,
    typer.Option("--keep", help="Keep what is to decide for /data/matches; the folder holds all of its companies."),
]

app = typer.Typer(help="Customers that are one.", no_args_is_help=True, epilog=GROUP_EXAMPLES)


@app.command(epilog=TRAIN_EXAMPLES)
def train(source: FromOption, out: FileOption, json: JsonOption = False) -> None:
    """Learn from your customers how much each agreement counts, and keep it as a file.

    Nobody has to label anything. It takes minutes, once; every run with the file
    then comes to the same.
    """
    require_data_extra()
    require_writable(out, "--out")
    from cleansing.faces import make_faces
    from cleansing.model import train as learn
    from cleansing.relations import RelationsError

    relations, policy = relations_of(source), inputs.policy().customers
    try:
        make_faces(relations, policy)
        model = learn(relations, f"{datetime.now(UTC):%Y-%m-%d}")
    except RelationsError as error:
        fail(str(error))
    out.write_text(model.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if json:
        result_as_json({"file": str(out), "trained_on": model.trained_on, "sha256": model.sha256})
    else:
        result(f"{out}: learnt from {model.trained_on:,} customers; hash {model.sha256[:8]}")


@app.command(epilog=RUN_EXAMPLES)
def run(
    source: FromOption,
    out: ListsOption,
    model: ModelOption = None,
    standing: StandingOption = False,
    keep: KeepOption = False,
    json: JsonOption = False,
) -> None:
    """Find customers that are one on either side or both, and propose which of them should stay.

    Nothing is merged and nothing is written to either system. What people
    decided on the site is not proposed again. The exit code is 1 where a
    company has doubles.
    """
    require_data_extra()
    from cleansing import plans
    from cleansing.matching import Kind, match
    from cleansing.relations import RelationsError

    trained, problems = model_in_force(model), list[str]()
    verdicts = _verdicts(problems, keep=keep)
    try:
        found = match(relations_of(source), trained, inputs.policy().customers, verdicts)
    except RelationsError as error:
        fail(str(error))
    clusters, open_on = tuple(found.clusters()), plans.Standings()
    if standing:
        from cli import match_work

        open_on, not_asked = match_work.standings(inputs.settings(), clusters)
        problems += not_asked
    written = plans.write_lists(clusters, open_on, out)
    kept = _kept(found, clusters, open_on, trained.sha256) if keep else None
    doubles, parties = written.clusters[Kind.DOUBLE], written.clusters[Kind.PARTY]
    left_out = [asdict(each) for each in found.left_out if each.values]
    if json:
        counts = {"doubles": doubles, "parties": parties, "pairs": written.pairs, "too_large": written.too_large}
        about = {"model": trained.sha256, "left_out": left_out, "problems": problems}
        told = {"kept": kept.model_dump(include={"found", "kept", "new", "gone"})} if kept else {}
        result_as_json({"ok": not doubles} | counts | about | told)
    else:
        result(f"{doubles:,} groups of doubles, {parties:,} parties with accounts in several companies")
        result(f"{out}: clusters, pairs and plans as .csv and .xlsx")
        if kept:
            result(f"kept to decide on /data/matches: {kept.kept:,}, {kept.new:,} of them new; {kept.gone:,} are gone")
            if kept.found > kept.kept:
                note(f"{kept.found - kept.kept:,} more are in the files only: {kept.kept:,} are kept at most")
        if written.too_large:
            note(f"{written.too_large} groups are too large to decide about and have no plan")
        for each in left_out:
            note(f"not compared by {each['block']}: {each['values']} values that {each['faces']:,} records share")
        for problem in problems:
            note(problem)
    raise typer.Exit(1 if doubles or problems else 0)


def _verdicts(problems: list[str], *, keep: bool) -> Mapping[tuple[str, str], bool]:
    """What people decided; where it cannot be read, that is a problem, and the end where clusters are to be kept."""
    from cli import match_ledger
    from ledger.database import LedgerError

    try:
        return match_ledger.decided(inputs.settings().ledger.url.get_secret_value())
    except LedgerError as error:
        if keep:
            fail(str(error))
        problems.append(f"what people decided is not known: {error}")
        return {}


def _kept(found: Matches, clusters: Sequence[Cluster], standings: Standings, model: str) -> MatchRun:
    from cli import match_ledger
    from ledger.database import LedgerError

    try:
        return match_ledger.keep(inputs.settings().ledger.url.get_secret_value(), found, clusters, standings, model)
    except LedgerError as error:
        fail(str(error))


def model_in_force(file: Path | None) -> MatchModel:
    """The model of a file, or the one in force; ends the command where it cannot be used."""
    from cleansing.model import read_model
    from cleansing.relations import RelationsError
    from policies.given_files import GivenFileError, read_text
    from policies.quality_files import own_or_packaged

    chosen = file or own_or_packaged(inputs.settings().policies, MODEL)
    try:
        return read_model(read_text(chosen), str(chosen))
    except (GivenFileError, RelationsError) as error:
        fail(str(error))
