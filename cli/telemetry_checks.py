"""The check of `q2c doctor` on traces and metrics: whether what they are sent to takes them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from opentelemetry.util.re import parse_env_headers

from cli import reach
from cli.check import Check, failed, ok
from workers.settings import SettingsError
from workers.telemetry import ENDPOINT, HEADERS, exported_to

NAME: Final = "traces and metrics"


async def run() -> AsyncIterator[Check]:
    """Whether the collector takes an export of nothing, as each process would send one."""
    try:
        url = exported_to(os.environ)
    except SettingsError as error:
        yield failed(NAME, str(error))
        return
    if not url:
        yield ok(NAME, f"nothing is exported: {ENDPOINT} is not set (docs/operations.md)")
        return
    headers = parse_env_headers(os.environ.get(HEADERS, ""), liberal=True)
    own = os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE")
    for part in ("traces", "metrics"):
        address = f"{url}/v1/{part}"
        answer = await reach.export(address, headers, Path(own) if own else None)
        if isinstance(answer, reach.Problem):
            yield failed(NAME, answer.text, f"start the collector, or correct {ENDPOINT}.")
            return
        if not answer.is_success:
            text = f"{address} answers {answer.status_code}: {answer.text[:200]}"
            yield failed(NAME, text, f"correct {ENDPOINT} (OTLP over HTTP) or {HEADERS}.")
            return
    yield ok(NAME, f"{url} takes both")
