"""`q2c keys`: the keys an installation makes for itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli import inputs
from cli.output import JsonOption, fail, result, result_as_json

if TYPE_CHECKING:
    from workers.settings import Settings

EXAMPLES = """Examples:

q2c keys
    whatever is missing of the files the settings name

Q2C_DECISION_PRIVATE_KEY_FILE=new/key.json \\
Q2C_DECISION_PUBLIC_KEYS_FILE=new/jwks.json q2c keys
    a second pair for decisions, to replace the first (docs/operations.md)
"""


def keys(json: JsonOption = False) -> None:
    """Make the keys that are missing. None is replaced.

    One pair signs decisions: its private key is a secret of the web application,
    its public keys are given to the worker. Exports of the audit have two keys:
    one for these commands, and one for downloads from the web application.
    The codec's keys seal everything in Temporal: every process needs them.

    Where a key of a vault signs in place of a file, its public key is read from
    there and added to those that are believed.
    """
    from runs.codec_keys import KeyFileError, ensure_codec_keys
    from workers.audit_keys import ensure_audit_keys_of
    from workers.keys import KeyFileUnusable, KeyPairIncomplete, ensure_decision_keys
    from workers.settings import SettingsError
    from workers.vault import VaultKey, pin

    settings = inputs.settings()
    decision, audit, sealing = settings.decision, settings.audit, settings.codec.keys_file
    try:
        if decision.vault_key:
            pin(VaultKey.read(settings).public, decision.public_keys_file)
        else:
            ensure_decision_keys(decision.private_key_file, decision.public_keys_file)
        ensure_audit_keys_of(settings)
        if settings.codec.key_set is None:
            ensure_codec_keys(sealing)
    except (KeyPairIncomplete, KeyFileError, SettingsError) as error:
        fail(str(error))
    except KeyFileUnusable as error:
        fail(f"{_variable_of(error.file, settings)}: {error}")
    except OSError as error:
        fail(f"{_variable_of(Path(str(error.filename)), settings)}: {error.filename}: {error.strerror}")
    files = {
        "private": decision.vault_key or decision.private_key_file,
        "public": decision.public_keys_file,
        "audit private": audit.vault_key or audit.private_key_file,
        "audit web": audit.web_vault_key or audit.web_key_file,
        "audit public": audit.public_keys_file,
        "sealing": "in Q2C_CODEC_KEY_SET" if settings.codec.key_set is not None else sealing,
    }
    if json:
        result_as_json({name.replace(" ", "_"): str(file) for name, file in files.items()})
    else:
        result("\n".join(f"{name + ':':<15}{file}" for name, file in files.items()))


_FILES = (
    ("decision", "private_key_file"),
    ("decision", "public_keys_file"),
    ("audit", "private_key_file"),
    ("audit", "web_key_file"),
    ("audit", "public_keys_file"),
    ("codec", "keys_file"),
)


def _variable_of(file: Path, settings: Settings) -> str:
    """The variables that name a file, or a file in this folder."""
    from workers.settings import variable_name

    named = {where: Path(getattr(getattr(settings, where[0]), where[1])) for where in _FILES}
    found = [variable_name(where) for where, path in named.items() if file in (path, *path.parents)]
    return " or ".join(found) or "Q2C_STATE_DIR"
