"""What `q2c credit rebuild` does: asks the site's API for a person, and waits for what the review found."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.output import note, result, result_as_json
from cli.site import NOT_YET, asked, refusal

PATIENCE_SECONDS = 1_800.0
LOOK_EVERY_SECONDS = 1.0


def rebuild(token_file: Path, company: str, customer: str, reason: str, *, dry_run: bool, as_json: bool) -> int:
    """Have ledgers compared or made anew, and print what was found; the exit code."""
    message_id, path = str(uuid.uuid4()), f"/credit/{quote(company, safe='')}"
    body = {"message_id": message_id, "customer": customer, "dry_run": dry_run, "reason": reason}
    _, refused = asked("POST", f"{path}/rebuild", token_file, json=body)
    until = time.monotonic() + PATIENCE_SECONDS
    view: Any = {}
    while not refused and view.get("message_id") != message_id:
        if view and time.monotonic() > until:
            refused = NOT_YET
            break
        if view:
            time.sleep(LOOK_EVERY_SECONDS)
        view, refused = asked("GET", path, token_file)
    if refused:
        return refusal(refused, {"failed": refused}, as_json=as_json)
    if as_json:
        result_as_json(view)
    else:
        _print(view, company)
    return int(bool(view["failed"]) or (dry_run and bool(view["differences"])))


def _print(view: dict[str, Any], company: str) -> None:
    for found in view["differences"]:
        result(f"{found['code']} {found['account']} {found['deal_id']} {found['order_number']}: {found['text']}")
    if view["more"]:
        note(f"and {view['more']} more")
    for account, why in view["failed"].items():
        note(f"{account or company.upper()}: {why}")
    if view["left_out"]:
        note(f"{view['left_out']} deals were too many to be asked")
    entries = f"{view['dropped']} entries dropped, {view['added']} added, {view['changed']} changed"
    result(f"{view['ledgers']} ledgers looked at, {view['rebuilt']} rebuilt: {entries}")
