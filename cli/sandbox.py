"""`q2c sandbox`: Entra ID, Dataverse, Finance and the desk alone.

The sandbox shares no code with the product, so it is started as the program of its own that it is (`python -m
sandbox`). A test holds these options against the sandbox's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import inputs
from cli.local import require_sandbox

EXAMPLES = """Examples:

q2c sandbox
    Entra ID on 8443, Dataverse on 8444, Finance on 8445, the desk on 8446

q2c sandbox --ports auto --data empty
    on free ports, without sample data; the first line of output says where

python -m sandbox.generate population --customers 100000
q2c sandbox --data population
    customers on both sides with what goes wrong planted among them

Every option can be given by a variable as well, e.g. Q2C_SANDBOX_DATA.

Variables only:
Q2C_SANDBOX_CLIENT_SECRET, Q2C_SANDBOX_WEB_CLIENT_SECRET
Q2C_SANDBOX_READER_CLIENT_SECRET
    secrets
Q2C_SANDBOX_WEBHOOK_URL, Q2C_SANDBOX_WEBHOOK_KEY, Q2C_SANDBOX_EVENTS_URL
    where events are sent
Q2C_SANDBOX_WEB_REDIRECT_URIS
    where sign-ins may come back to
Q2C_SANDBOX_QUOTE_LINK
    a link on each draft quote at the desk, with {company} and {quote} in it
"""

PortOption = Annotated[int | None, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")]


def sandbox(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")] = None,
    public_host: Annotated[str | None, typer.Option(help="Name in the origins' URLs; localhost unless given.")] = None,
    ports: Annotated[
        Literal["fixed", "auto"] | None, typer.Option(help="fixed: the documented ones; auto: free ones.")
    ] = None,
    entra_port: PortOption = None,
    dataverse_port: PortOption = None,
    finance_port: PortOption = None,
    desk_port: PortOption = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder of certificates and signing key; Q2C_STATE_DIR unless given.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="fixtures, empty, or a folder of tables.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the dice that faults are thrown with.")] = None,
    journal: Annotated[Path | None, typer.Option(help="File by which it survives kill -9.")] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Leave out the product's tables, columns, role and webhook steps.")
    ] = False,
    application_role: Annotated[
        str | None, typer.Option(help="Security role of the product's application user, e.g. 'Quote to Cash'.")
    ] = None,
    pricing_precision: Annotated[
        int | None, typer.Option(min=0, max=10, help="Pricing decimal precision of the organization.")
    ] = None,
    change_tracking_days: Annotated[int | None, typer.Option(min=0, help="Days a delta link lives.")] = None,
) -> None:
    """Start Entra ID, Dataverse, Finance and the desk alone.

    Prints one JSON line with every address when they can be used, and ends with
    SIGTERM or Ctrl-C.
    """
    require_sandbox()
    os.environ.setdefault("Q2C_SANDBOX_STATE_DIR", str(inputs.settings().state_dir))
    given = {
        "host": host,
        "public-host": public_host,
        "ports": ports,
        "entra-port": entra_port,
        "dataverse-port": dataverse_port,
        "finance-port": finance_port,
        "desk-port": desk_port,
        "state-dir": state_dir,
        "data": data,
        "seed": seed,
        "journal": journal,
        "application-role": application_role,
        "pricing-precision": pricing_precision,
        "change-tracking-days": change_tracking_days,
    }
    arguments = [part for name, value in given.items() if value is not None for part in (f"--{name}", str(value))]
    arguments += ["--bare"] if bare else []
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606  # this interpreter, with arguments checked above
