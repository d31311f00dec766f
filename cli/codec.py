"""`q2c codec`: the server that opens sealed payloads for Temporal Web, and the keys they are sealed under."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.output import JsonOption, fail, result, result_as_json
from cli.process import run

if TYPE_CHECKING:
    from runs.codec_keys import KeyRing
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

q2c codec
    the codec server, on 127.0.0.1:8234

q2c codec add-key
    the first step of changing the key that writes (docs/encryption.md)
"""

KEYS_EXAMPLES = """Examples:

q2c codec keys
    their ids, and which of them writes

q2c codec keys --json | jq -r .writes
    the one that writes, for a program
"""

ADD_EXAMPLES = """Examples:

q2c codec add-key
    then give the file to every process, restart them, and `q2c codec use-key`
"""

USE_EXAMPLES = """Examples:

q2c codec use-key 20261126-2a181c1f.8Gpans30l8ykvPrs
    when every process was restarted with the file that holds it
"""

RETIRE_EXAMPLES = """Examples:

q2c codec retire-key 20261126-2a181c1f.8Gpans30l8ykvPrs
    when Temporal's retention is over since another key writes
"""

app = typer.Typer(help="Read sealed payloads in Temporal Web; change the keys they are sealed under.", epilog=EXAMPLES)

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `q2c codec keys` lists it.")]


@app.callback(invoke_without_command=True)
def codec(context: typer.Context) -> None:
    """Read sealed payloads in Temporal Web; change the keys they are sealed under.

    Without a command it starts the codec server; that ends on SIGTERM or Ctrl-C.
    """
    if context.invoked_subcommand is None:
        from workers.mode import Process

        run(Process.CODEC, _serve)


async def _serve(settings: Settings, telemetry: Telemetry) -> int:
    from workers.codec_server import run_codec_server

    return await run_codec_server(settings, telemetry)


@app.command("keys", epilog=KEYS_EXAMPLES)
def keys(json: JsonOption = False) -> None:
    """List the ids of the keys; the first one writes."""
    _show(_read(), as_json=json)


@app.command("add-key", epilog=ADD_EXAMPLES)
def add_key(json: JsonOption = False) -> None:
    """Make one more key, which reads.

    Give the file to every process and restart them before it writes.
    """
    _change(lambda ring: ring.with_new_key(), as_json=json)


@app.command("use-key", epilog=USE_EXAMPLES)
def use_key(key_id: KeyId, json: JsonOption = False) -> None:
    """Let a key write. The others go on reading what they sealed."""
    _change(lambda ring: ring.writing_with(key_id), as_json=json)


@app.command("retire-key", epilog=RETIRE_EXAMPLES)
def retire_key(key_id: KeyId, json: JsonOption = False) -> None:
    """Remove a key forever, when no run and no history is left that it sealed."""
    _change(lambda ring: ring.without(key_id), as_json=json)


def _read() -> KeyRing:
    from workers.sealing import codec_keys
    from workers.settings import SettingsError

    try:
        return codec_keys(inputs.settings().codec)
    except SettingsError as error:
        fail(str(error))


def _change(change: Callable[[KeyRing], KeyRing], *, as_json: bool) -> None:
    from runs.codec_keys import KeyFileError

    if inputs.settings().codec.key_set is not None:
        fail(
            "Q2C_CODEC_KEY_SET: is where the keys are, and cannot be written from here; change a copy of them in a "
            "file (Q2C_CODEC_KEYS_FILE), and put its content there."
        )
    ring = _read()
    try:
        changed = change(ring)
    except KeyFileError as error:
        fail(str(error))
    changed.write(inputs.settings().codec.keys_file)
    _show(changed, as_json=as_json)


def _show(ring: KeyRing, *, as_json: bool) -> None:
    if as_json:
        result_as_json({"keys": list(ring.keys), "writes": ring.writes})
        return
    for key_id in ring.keys:
        result(f"{key_id}{'  writes' if key_id == ring.writes else ''}")
