"""`q2c compare`: what is not the same in both systems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption, fail

EXAMPLES = """Examples:

q2c compare customer --company usmf
    every customer of USMF in both systems: what is missing, doubled or
    different; nothing is written in either

q2c compare customer --company usmf --out ./report
    and every finding as CSV, XLSX and HTML

q2c compare customer --company usmf --sample 500
    a part of at most 500 of them, in seconds

q2c compare customer --company usmf --every-night 02:00
    every night, by the company's clock; `off` ends it
"""


def _time(given: str | None) -> str | None:
    if given is not None and given != "off" and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", given):
        raise typer.BadParameter("is neither a time such as 02:00 nor off")
    return given


def _company(given: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,4}", given):
        raise typer.BadParameter("is not the id of a legal entity, e.g. usmf")
    return given.lower()


EntityArgument = Annotated[str, typer.Argument(help="Entity of a map, as `q2c map list` shows it.")]
CompanyOption = Annotated[str, typer.Option("--company", callback=_company, help="Legal entity, e.g. usmf.")]
SampleOption = Annotated[
    int, typer.Option("--sample", min=0, help="A part of at most so many records, up to 1,000; 0: all of them.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write differences.csv, .xlsx and .html there.")
]
NightlyOption = Annotated[
    str | None,
    typer.Option(
        "--every-night", metavar="TIME", callback=_time, help="Compare every night at this time; off: no more."
    ),
]


KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep what was read in Q2C_DATA_DIR/records, for q2c quality and q2c match.")
]


def compare(
    entity: EntityArgument,
    company: CompanyOption,
    sample: SampleOption = 0,
    out: OutOption = None,
    every_night: NightlyOption = None,
    keep: KeepOption = False,
    json: JsonOption = False,
) -> None:
    """Compare the records of both systems, and list what is not the same.

    Reads with an application that cannot write. What differs is read again, so
    that what changes meanwhile is no finding. Ctrl-C stops looking; the
    comparison goes on. The exit code is 1 where differences stand, and where
    the comparison failed.
    """
    if every_night is not None and (sample or out is not None):
        fail("--every-night compares everything and writes no files; leave out --sample and --out")
    if keep and sample:
        fail("--keep keeps all records; leave out --sample")
    from cli import compare_work as work
    from domain.entities.comparing import MOST_SAMPLED

    if sample > MOST_SAMPLED:
        fail(f"--sample takes at most {MOST_SAMPLED:,} records; leave it out to compare all of them")
    if every_night is not None:
        work.schedule(entity, company, every_night, keep=keep, as_json=json)
        return
    raise typer.Exit(work.compare(entity, company, sample, out, keep=keep, as_json=json))
