"""The command line `q2c`.

Each command is thin: it reads the settings, calls one function and turns an expected failure into one message and an
exit code. Modules of the single parts are imported by their command, so that `q2c --help` does not load the SDK.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from cli.codec import app as codec_app
from workers.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from demo.stack import StackOptions

app = typer.Typer(
    name="q2c",
    help="Durable quote-to-cash between Dynamics 365 Sales and Dynamics 365 Finance, on Temporal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
policy_app = typer.Typer(help="The rules in force.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")
app.add_typer(codec_app, name="codec")

PortsOption = Annotated[
    Literal["fixed", "auto"], typer.Option(help="fixed: the documented ports; auto: free ones, told in the ready line")
]


def main() -> None:
    """Entry point of the console script."""
    app()


def _fail(message: str, code: int = 2) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
    raise typer.Exit(code)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        _fail(f"Settings are not valid:\n{error}")


@app.command()
def up(
    ports: PortsOption = "fixed",
    worker: Annotated[bool, typer.Option(help="Start a worker.")] = True,
    web: Annotated[bool, typer.Option(help="Start the web application.")] = True,
    data: Annotated[str, typer.Option(help="fixtures, empty, or a folder with Northwind's tables.")] = "fixtures",
) -> None:
    """Start the whole stack without deals; print one JSON line when it is ready; end with SIGTERM or Ctrl-C."""
    from demo.stack import StackOptions

    settings = _settings()
    _log_to_stderr(settings)
    raise typer.Exit(asyncio.run(_up(settings, StackOptions(ports=ports, worker=worker, web=web, data=data))))


async def _up(settings: Settings, options: StackOptions) -> int:
    from demo.stack import StackFailed, run_stack
    from workers.serving import stop_signals

    with stop_signals() as stop:
        try:
            async with run_stack(settings, options) as stack:
                print(stack.info().ready_line(), flush=True)  # noqa: T201  # the promised line on standard output
                await stack.hold_until(stop)
        except StackFailed as error:
            _fail(str(error), code=1)
    return 0


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Start Entra ID, Dataverse, Finance and the desk alone; arguments go to the sandbox (try --help)."""
    os.environ.setdefault("Q2C_SANDBOX_STATE_DIR", str(_settings().state_dir))
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *context.args])


@app.command()
def worker() -> None:
    """Start a worker; it ends gracefully on SIGTERM."""
    from workers.composition import compose
    from workers.serving import run_process
    from workers.telemetry import configure_logging, start_telemetry
    from workers.worker import run_worker

    settings = _settings()
    configure_logging(settings.log_level, settings.log_format)
    run_process(_expecting_failures(run_worker(settings, start_telemetry("q2c-worker"), compose)))


@app.command()
def web() -> None:
    """Start the approvals UI, JSON API and event intake."""
    from workers.serving import run_process
    from workers.telemetry import configure_logging, start_telemetry
    from workers.web import run_web

    settings = _settings()
    configure_logging(settings.log_level, settings.log_format)
    run_process(_expecting_failures(run_web(settings, start_telemetry("q2c-web"))))


@app.command()
def doctor() -> None:
    """Check settings and every system for real; exit 1 with what to do when one does not work."""
    from cli.doctor import run_doctor
    from workers.telemetry import configure_logging

    configure_logging("ERROR", "console", sys.stderr)
    raise typer.Exit(asyncio.run(run_doctor()))


@app.command()
def demo(
    auto: Annotated[
        bool, typer.Option("--auto", help="People are played by the sandbox; ends with a summary.")
    ] = False,
    cases: Annotated[int, typer.Option(min=1, help="How many deals (with --auto).")] = 12,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of Northwind's tables instead of the sample."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary here.")] = None,
    ports: PortsOption = "fixed",
) -> None:
    """Everything on this machine in one command: the stack, sample deals, and where to click."""
    from demo.demo import DemoOptions, run_demo

    settings = _settings()
    _log_to_stderr(settings)
    options = DemoOptions(auto=auto, cases=cases, data=data, json_file=json_file, ports=ports)
    raise typer.Exit(asyncio.run(run_demo(settings, options)))


@policy_app.command("explain")
def policy_explain() -> None:
    """Say in words what the rules in force ask for."""
    from workers.rules import explain_policy

    print(explain_policy(_settings()))  # noqa: T201  # the command's output


def _log_to_stderr(settings: Settings) -> None:
    from workers.telemetry import configure_logging

    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, "console", sys.stderr)


async def _expecting_failures(main: Coroutine[Any, Any, int]) -> int:
    """Turn what a person can mend into one message and exit code 2."""
    from domain.policy import PolicyError
    from workers.temporal_client import TemporalUnusable

    try:
        return await main
    except (TemporalUnusable, SettingsError, PolicyError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
        return 2


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASSED_ON)
def audit(context: typer.Context) -> None:
    """The audit: export, verify, prune, erase, reports (try --help)."""
    from cli.audit import app as audit_app

    audit_app(args=context.args, prog_name="q2c audit")


@app.command(context_settings=_PASSED_ON)
def ledger(context: typer.Context) -> None:
    """The database of lasting records (try --help)."""
    from cli.ledger import app as ledger_app

    ledger_app(args=context.args, prog_name="q2c ledger")


@app.command()
def keys() -> None:
    """Make the keys that are missing: those that sign decisions, and those that seal payloads. None is replaced."""
    from runs.codec_keys import KeyFileError, ensure_codec_keys
    from workers.keys import KeyPairIncomplete, ensure_decision_keys

    settings = _settings()
    decision, sealing = settings.decision, settings.codec.keys_file
    try:
        ensure_decision_keys(decision.private_key_file, decision.public_keys_file)
        ensure_decision_keys(settings.audit.private_key_file, settings.audit.public_keys_file)
        ensure_codec_keys(sealing)
    except (KeyPairIncomplete, KeyFileError) as error:
        _fail(str(error))
    print(f"private: {decision.private_key_file}\npublic:  {decision.public_keys_file}\nsealing: {sealing}")  # noqa: T201
