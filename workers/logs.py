"""Logs of every process of the product: one JSON object per line, or text for people.

Application code logs by `structlog.get_logger(__name__)`, workflows by `workflow.logger`; what the libraries log by the
standard library's `logging` comes out of the same pipe. Each record names the company, quote and workflow of the work
in hand, and the trace it belongs to.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from opentelemetry import trace

DEEPEST: Final = 3
"""Levels of lists and mappings in a record that are looked into."""
_HIDDEN: Final = (
    (re.compile(r"(?i)\b(bearer|basic|sharedaccesssignature)\s+[\w.~+/=%&-]{8,}"), r"\1 …"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), "…"),
    (
        re.compile(r"(?i)([?&](?:code|sig|key)=|\b(?:password|client_secret|secret|sharedaccesskey)=)[^&\s;\"']+"),
        r"\1…",
    ),
    (re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"), "…@…"),
)
"""What no line of a log holds, and what stands there instead."""


def configure_logging(level: str, style: Literal["json", "console"], stream: TextIO = sys.stdout) -> None:
    """Send structlog's and the standard library's records through one pipe, one line per record.

    Args:
        level: lowest level logged, e.g. `INFO`.
        style: `json` for machines, `console` for people.
        stream: where the lines go.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        add_deal,
        add_trace,
    ]
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, hide, structlog.processors.JSONRenderer(default=str)]
        if style == "json"
        else [hide, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared[:4], add_deal, add_trace, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                drop_colours,
                *rendering,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "msal", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # What it would say stands in the record of each message; its own words hold addresses.
    apprise = logging.getLogger("apprise")
    apprise.handlers[:] = [logging.NullHandler()]
    apprise.propagate = False


def drop_colours(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out uvicorn's second copy of its message, made for terminals."""
    event.pop("color_message", None)
    return event


def hide(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what a text of another system or library may hold: tokens, secrets, addresses of people."""
    for key, value in event.items():
        event[key] = _hidden(value, DEEPEST)
    return event


def _hidden(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        for pattern, instead in _HIDDEN:
            value = pattern.sub(instead, value)
    elif isinstance(value, Mapping) and depth:
        return {name: _hidden(inner, depth - 1) for name, inner in value.items()}
    elif isinstance(value, list | tuple) and depth:
        return [_hidden(inner, depth - 1) for inner in value]
    elif isinstance(value, BaseException):
        return _hidden(str(value), 0)
    return value


def add_deal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the deal: workflow id, and the company and quote that stand in it.

    Temporal's own loggers attach the run as a dictionary under `temporal_workflow` or `temporal_activity`.
    """
    for key in ("temporal_workflow", "temporal_activity"):
        info = event.pop(key, None)
        if isinstance(info, Mapping):
            event.setdefault("workflow_id", info.get("workflow_id"))
            event.setdefault("run_id", info.get("run_id") or info.get("workflow_run_id"))
            if "activity_type" in info:
                event.setdefault("activity", info["activity_type"])
                event.setdefault("attempt", info.get("attempt"))
    workflow_id = event.get("workflow_id")
    if isinstance(workflow_id, str):
        kind, _, rest = workflow_id.partition("/")
        company, _, subject = rest.partition("/")
        if kind in ("q2c", "approval") and subject:
            event.setdefault("company", company)
            event.setdefault("quote", subject.split("/")[0])
        elif kind in ("credit", "collections") and subject:
            event.setdefault("company", company)
            event.setdefault("customer", subject)
    return event


def add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace and span in hand, so that a log line and its trace find each other."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
