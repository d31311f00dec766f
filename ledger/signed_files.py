"""Files with a signature beside them, by the audit's key: what the signature names is the file, whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ledger.chain import moment
from ledger.signing import AuditSigner, AuditVerifier, SignatureWrong


def write(path: Path, content: bytes, signer: AuditSigner, kind: str, facts: Mapping[str, str]) -> Path:
    """Write a file, and its signature to the same name with ``.sig`` behind it; the file's path.

    Raises:
        KeyAway: the key does not sign at the moment; nothing is written.
    """
    signed = {"kind": kind, "file": path.name, "sha256": hashlib.sha256(content).hexdigest(), **facts}
    signature = signer.sign(signed | {"made_at": moment(datetime.now(UTC))})
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    _signature_of(path).write_text(signature + "\n")
    draft.replace(path)
    return path


def problem_of(path: Path, verifier: AuditVerifier, kind: str) -> str:
    """Why a file is not the one that was signed; empty: it is.

    Raises:
        OSError: the file cannot be read.
    """
    signature = _signature_of(path)
    try:
        signed = verifier.read(signature.read_text())
    except OSError as error:
        return f"{signature.name}: cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"{signature.name}: is not UTF-8 text"
    except SignatureWrong as error:
        return f"{signature.name}: {error}"
    if signed.get("kind") != kind:
        return f"{signature.name}: the signature is of something else"
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == signed.get("sha256")
    return "" if same else "the file is not the one that was signed"


def _signature_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")
