"""`q2c codec`: the server that opens sealed payloads for Temporal Web, and the keys they are sealed under."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from runs.codec_keys import KeyFileError, KeyRing
from workers.settings import Settings, SettingsError, load_settings

app = typer.Typer(help="Read sealed payloads in Temporal Web; change the keys they are sealed under.")

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `q2c codec keys` lists it.")]


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
    raise typer.Exit(2)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        _fail(f"Settings are not valid:\n{error}")


@app.callback(invoke_without_command=True)
def codec(context: typer.Context) -> None:
    """Start the codec server; it ends on SIGTERM or Ctrl-C."""
    if context.invoked_subcommand:
        return
    from workers.codec_server import run_codec_server
    from workers.serving import run_process
    from workers.telemetry import configure_logging

    settings = _settings()
    configure_logging(settings.log_level, settings.log_format)

    async def serving() -> int:
        try:
            return await run_codec_server(settings)
        except (SettingsError, OSError) as error:
            print(error, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
            return 2

    run_process(serving())


@app.command("keys")
def keys() -> None:
    """List the ids of the keys; the first one writes."""
    _show(_read())


@app.command("add-key")
def add_key() -> None:
    """Make one more key. It reads; give the file to every process and restart them before it writes."""
    _change(lambda ring: ring.with_new_key())


@app.command("use-key")
def use_key(key_id: KeyId) -> None:
    """Let a key write. The others go on reading what they sealed."""
    _change(lambda ring: ring.writing_with(key_id))


@app.command("retire-key")
def retire_key(key_id: KeyId) -> None:
    """Take a key away for good, when no run and no history is left that it sealed."""
    _change(lambda ring: ring.without(key_id))


def _read() -> KeyRing:
    try:
        return KeyRing.read(_settings().codec.keys_file)
    except KeyFileError as error:
        _fail(str(error))


def _change(change: Callable[[KeyRing], KeyRing]) -> None:
    try:
        changed = change(_read())
    except KeyFileError as error:
        _fail(str(error))
    changed.write(_settings().codec.keys_file)
    _show(changed)


def _show(ring: KeyRing) -> None:
    for key_id in ring.keys:
        print(f"{key_id}{'  writes' if key_id == ring.writes else ''}")  # noqa: T201  # the command's output
