"""What `q2c late` does: lists what stands open after the end of deals, and dismisses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.output import note, result, result_as_json
from cli.site import asked, refusal, say


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
    path = f"/late/{quote(company, safe='')}/{number}/dismiss"
    return say(path, {"reason": reason}, token_file, as_json=as_json, done=f"{company.upper()} {number} is dismissed")


def _line(item: Mapping[str, Any]) -> str:
    deal = item["deal"]
    how = "" if item["status"] == "open" else f" [{item['status']}]"
    codes = ", ".join(item["codes"])
    number = deal["quote_number"] or item.get("reference") or "–"
    return f"{deal['company'].upper()} {item['n']} {number}{how} {codes} ({item['role']}): {item['text']}"
