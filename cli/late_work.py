"""What `q2c late` does: asks the site's API for a person, with a token of theirs."""

from __future__ import annotations

import ssl
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from cli import inputs
from cli.output import fail, note, result, result_as_json

PATIENCE_SECONDS = 30.0
LONGEST_TOKEN = 64_000


def listed(token_file: Path, wanted: Mapping[str, str], *, as_json: bool) -> int:
    """Print the list; the exit code."""
    query = {name: value for name, value in wanted.items() if value} | {"limit": "500"}
    answer, refused = asked("GET", "/late", token_file, params=query)
    if refused:
        return refusal(refused, {"failed": refused}, as_json=as_json)
    items = answer["items"]
    if as_json:
        result_as_json(answer)
    else:
        for item in items:
            result(_line(item))
        if answer["more"]:
            note(f"{answer['more']} more: narrow the list")
        for company, why in answer["failing"].items():
            note(f"{company}: the last look failed: {why}")
        if not items:
            result("nothing")
    return int(any(item["status"] == "open" for item in items))


def dismiss(token_file: Path, company: str, number: int, reason: str, *, as_json: bool) -> int:
    """Dismiss one; the exit code."""
    body = {"message_id": str(uuid.uuid4()), "reason": reason}
    path = f"/late/{quote(company, safe='')}/{number}/dismiss"
    answer, refused = asked("POST", path, token_file, json=body)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    accepted = bool(answer.get("accepted"))
    if as_json:
        result_as_json({"accepted": accepted, "detail": answer["detail"], "message_id": answer["message_id"]})
    else:
        result(f"{company.upper()} {number} is dismissed" if accepted else "recorded; no worker has answered yet")
    return 0


def _line(item: Mapping[str, Any]) -> str:
    deal = item["deal"]
    how = "" if item["status"] == "open" else f" [{item['status']}]"
    codes = ", ".join(item["codes"])
    number = deal["quote_number"] or item.get("reference") or "–"
    return f"{deal['company'].upper()} {item['n']} {number}{how} {codes} ({item['role']}): {item['text']}"


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
