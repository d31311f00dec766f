"""What a person's command asks of the site's API, with a token of theirs, and says of its answer."""

from __future__ import annotations

import ssl
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli import inputs
from cli.output import fail, note, result, result_as_json

PATIENCE_SECONDS = 30.0
LONGEST_TOKEN = 64_000
NOT_YET = "recorded; no worker has answered yet"


def sent(path: str, body: Mapping[str, Any], token_file: Path) -> tuple[Any, str, str]:
    """Have the site sign what a person says and pass it on: its answer, or why there is none, and the message's id."""
    message_id = str(uuid.uuid4())
    answer, refused = asked("POST", path, token_file, json={"message_id": message_id, **body})
    return answer, refused, message_id


def say(path: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool, done: str = "") -> int:
    """Say something signed to a run, and print what became of it; the exit code.

    Args:
        path: of the API.
        body: without the id of the message.
        token_file: a token of the person.
        as_json: print it for programs.
        done: what to print where it was taken; empty: what the run says.
    """
    answer, refused, message_id = sent(path, body, token_file)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    accepted = bool(answer.get("accepted"))
    if as_json:
        result_as_json({"accepted": accepted, "detail": answer["detail"], "message_id": message_id})
    else:
        result(done or answer["detail"] if accepted else NOT_YET)
    return 0


def refusal(why: str, told: Mapping[str, Any], *, as_json: bool) -> int:
    """Say why something was refused; the exit code."""
    note(why)
    if as_json:
        result_as_json(told)
    return 1


def asked(method: str, path: str, token_file: Path, **content: Any) -> tuple[Any, str]:
    """The site's answer, or why there is none."""
    settings = inputs.settings()
    url = settings.web.url.rstrip("/")
    token = _token(token_file)
    try:
        own = str(settings.ca_file) if settings.ca_file and url.startswith("https:") else None
        tls = ssl.create_default_context(cafile=own)
        loopback = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        with httpx.Client(verify=tls, timeout=PATIENCE_SECONDS, trust_env=not loopback) as http:
            headers = {"Authorization": f"Bearer {token}"}
            answer = http.request(method, f"{url}/api/v1{path}", headers=headers, **content)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return None, f"{url} does not answer as the site does ({type(error).__name__}): is Q2C_WEB_URL its address?"
    if answer.is_success and isinstance(body, dict):
        return body, ""
    detail = body.get("detail", "") if isinstance(body, dict) else ""
    code = body.get("code", "") if isinstance(body, dict) else ""
    return None, f"{answer.status_code} {code}: {detail}".strip()


def _token(file: Path) -> str:
    """The token of a file or of standard input; ends the command where there is none."""
    text = sys.stdin.read(LONGEST_TOKEN) if str(file) == "-" else file.read_bytes()[:LONGEST_TOKEN].decode("latin-1")
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        fail(f"{file}: holds no access token")
    return token
