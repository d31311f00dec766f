"""`q2c setup`: what the product needs in Dynamics 365, created for it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import inputs
from cli.output import JsonOption, fail, note, result, result_as_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dynamics.core.errors import DynamicsError
    from dynamics.sales.client import Dataverse
    from dynamics.sales.setup.environment import Outcome
    from dynamics.sales.setup.webhook import Receiver
    from workers.settings import Settings

EXAMPLES = """Examples:

q2c setup dataverse --dry-run
    what is missing in Dataverse, and what would be changed

az account get-access-token --resource https://contoso.crm.dynamics.com \\
  --query accessToken -o tsv | q2c setup dataverse --token-stdin
    create it as the administrator who is signed in to Azure CLI

q2c setup dataverse --enable-auditing
    turn on the audit too: only it knows everybody who made a quote, and none
    of them decides it

q2c setup dataverse --renew-key
    send Q2C_DATAVERSE_WEBHOOK_KEY to the webhook again: Dataverse never shows
    the key it has
"""

app = typer.Typer(help="What the product needs in Dynamics 365, created for it.", no_args_is_help=True, epilog=EXAMPLES)

PATIENCE_SECONDS = 300.0
"""A new table or key takes Dataverse a while."""

State = Literal["ok", "changed", "would change", "to do", "failed", "not checked"]
_MARKS: dict[State, str] = {
    "changed": "[green]done[/]",
    "would change": "[cyan]would[/]",
    "to do": "[yellow]TO DO[/]",
    "failed": "[red]FAILED[/]",
    "not checked": "[yellow]-[/]",
}
UNSETTLED: frozenset[State] = frozenset({"to do", "failed", "not checked"})


@dataclass(frozen=True)
class Line:
    """What is said of one part.

    Attributes:
        part: what was looked at.
        state: what became of it.
        text: in words; empty where all is well.
    """

    part: str
    state: State
    text: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options of the command ask for."""

    dry_run: bool
    renew_key: bool
    enable_auditing: bool


@app.callback()
def setup() -> None:
    """What the product needs in Dynamics 365, created for it."""


@app.command(epilog=EXAMPLES)
def dataverse(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing.")] = False,
    token_stdin: Annotated[
        bool,
        typer.Option("--token-stdin", help="Act with the access token on standard input, not as the application."),
    ] = False,
    renew_key: Annotated[
        bool, typer.Option("--renew-key", help="Send Q2C_DATAVERSE_WEBHOOK_KEY to the webhook again.")
    ] = False,
    enable_auditing: Annotated[
        bool,
        typer.Option("--enable-auditing", help="Turn auditing on, for the whole organization, quotes and their lines."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Create the solution, table, columns, keys, role and webhook steps in Dataverse.

    What is there already stays: a second run changes nothing. A difference that
    cannot be repaired safely is named with what to do, and the exit code is 1;
    so is auditing that is off, which is turned on with --enable-auditing only.
    Needs System Administrator: by --token-stdin, or the application's own for
    this run.
    """
    from workers.logs import configure_logging

    configure_logging("ERROR", "console", sys.stderr)
    settings = inputs.settings()
    token = sys.stdin.readline().strip() if token_stdin else ""
    if token_stdin and not token:
        fail("--token-stdin: standard input holds no token.")
    asked = Asked(dry_run=dry_run, renew_key=renew_key, enable_auditing=enable_auditing)
    raise typer.Exit(asyncio.run(_set_up(settings, token, asked, as_json=json)))


async def _set_up(settings: Settings, token: str, asked: Asked, *, as_json: bool) -> int:
    from rich.console import Console

    from dynamics.core.errors import DynamicsError

    console = Console(highlight=False, soft_wrap=True)
    lines: list[Line] = []
    dataverse = _connected(settings, token)
    try:
        await _require_reachable(settings, token)
        async with dataverse as connection:
            if not as_json:
                note(f"{settings.dataverse.url}, as systemuser {await connection.who_am_i()}")
            async for line in _work(connection, settings, asked):
                lines.append(line)
                if line.state != "ok" and not as_json:
                    console.print(f"{_MARKS[line.state]} ", end="")
                    console.print(f"{line.part}: {line.text}", markup=False)
    except _Unreachable as error:
        lines.append(Line(error.part, "failed", str(error)))
        note(f"{error.part}: {error}")
    except DynamicsError as error:
        lines.append(Line("Dataverse", "failed", _why(error, settings)))
        note(f"{lines[-1].part}: {lines[-1].text}")
    unsettled = sum(line.state in UNSETTLED for line in lines)
    if as_json:
        parts = [{"part": line.part, "state": line.state, "text": line.text} for line in lines]
        result_as_json({"ok": not unsettled, "dry_run": asked.dry_run, "parts": parts})
    else:
        result(_summary(Counter(line.state for line in lines)))
    return 1 if unsettled else 0


class _Unreachable(Exception):
    """A system that cannot be asked because of its address; the text names the variable."""

    def __init__(self, part: str, text: str) -> None:
        super().__init__(text)
        self.part = part


async def _require_reachable(settings: Settings, token: str) -> None:
    """Ask for a server at each address before anything else: a wrong one is called a wrong one, not Entra ID's fault.

    Raises:
        _Unreachable: nothing usable answers at one.
    """
    from cli import reach

    if problem := await reach.origin(settings.dataverse.url, settings.ca_file):
        raise _Unreachable("Dataverse", f"{problem.text} To do: set Q2C_DATAVERSE_URL. {problem.hint}".strip())
    if token:
        return
    if problem := await reach.openid_configuration(settings.entra.authority, settings.ca_file):
        remedy = "correct Q2C_ENTRA_TENANT." if problem.answered else f"set Q2C_ENTRA_URL. {problem.hint}"
        raise _Unreachable("Entra ID", f"{problem.text} To do: {remedy}".strip())


def _why(error: DynamicsError, settings: Settings) -> str:
    """What was refused, and what to do about it."""
    from cli.checks import ENTRA_REMEDIES, UNKNOWN_RESOURCE, said

    if error.code in UNKNOWN_RESOURCE:
        return f"Entra ID knows no system {settings.dataverse.url}. To do: correct Q2C_DATAVERSE_URL."
    text = said(error).rstrip(".")
    if remedy := ENTRA_REMEDIES.get(error.code):
        return f"{text}. To do: {remedy}"
    return f"{text}. What is done stays: run the command again."


def _connected(settings: Settings, token: str) -> Dataverse:
    """Dataverse as whoever sets it up."""
    from dynamics.core.auth import GivenToken
    from dynamics.core.transport import Endpoint
    from dynamics.sales.client import Dataverse, DataverseSettings
    from workers import composition
    from workers.settings import SettingsError

    try:
        ca_file, credentials = composition.authority_file(settings), composition.credentials(settings)
    except SettingsError as error:
        fail(str(error))
    endpoint = Endpoint(settings.dataverse.url, ca_file=ca_file, read_timeout=PATIENCE_SECONDS)
    return Dataverse(DataverseSettings(endpoint, credentials), tokens=GivenToken(token) if token else None)


def receiver(settings: Settings, *, renew: bool = False) -> Receiver:
    """Where webhooks should go, with the key where it is known here; in production the sandbox's is none."""
    from dynamics.sales.setup.webhook import Receiver

    known = settings.mode == "sandbox" or "webhook_key" in settings.dataverse.model_fields_set
    key = settings.dataverse.webhook_key.get_secret_value() if known else None
    return Receiver(settings.web.url, key, renew)


async def _work(connection: Dataverse, settings: Settings, asked: Asked) -> AsyncIterator[Line]:
    from dynamics.sales.setup.environment import Outcome, examine, set_up

    application, webhooks = settings.entra.client_id, receiver(settings, renew=asked.renew_key)
    if not asked.dry_run:
        async for outcome in set_up(connection.odata, application, webhooks, auditing=asked.enable_auditing):
            yield _line(outcome)
        return
    async for finding in examine(connection.odata, application, webhooks, auditing=asked.enable_auditing):
        if finding.problem and finding.repair and not finding.unknown:
            yield Line(finding.part, "would change", f"{finding.problem}: {finding.doing}")
        else:
            yield _line(Outcome(finding))


def _line(outcome: Outcome) -> Line:
    finding = outcome.finding
    if outcome.done:
        return Line(finding.part, "changed", f"{finding.problem}: {finding.doing}")
    if not finding.problem:
        return Line(finding.part, "ok", "")
    if finding.unknown:
        return Line(finding.part, "not checked", finding.problem)
    if outcome.error:
        return Line(finding.part, "failed", f"{finding.problem}, and it is refused to {finding.doing}: {outcome.error}")
    return Line(finding.part, "to do", f"{finding.problem}. To do: {finding.remedy}")


def _summary(counts: Counter[State]) -> str:
    total = counts.total()
    said: dict[State, str] = {
        "changed": "{} changed",
        "would change": "{} would be changed",
        "to do": "{} to be done by you",
        "failed": "{} failed",
        "not checked": "{} not checked",
    }
    parts = [text.format(counts[state]) for state, text in said.items() if counts[state]]
    if not parts:
        return f"Nothing to change: all {total} parts are as they should be."
    return f"Of {total} parts: {', '.join(parts)}."
