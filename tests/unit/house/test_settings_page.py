"""docs/settings.md lists every variable there is, as the code has it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from workers.settings import variables

DOC = Path(__file__).parents[3] / "docs" / "settings.md"
INTRODUCTION = """# Settings

Environment variables, or the same names in a file `.env` in the working directory; the environment wins. Every default
is the sandbox on this machine. `q2c doctor` reports unknown ones.

Beside these the product reads Temporal's own variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
`TEMPORAL_TLS_*`, or a profile file) and OpenTelemetry's (`OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives; without an
endpoint nothing is exported). The sandbox reads `Q2C_SANDBOX_*`: see `q2c sandbox --help`.
"""


def rendered() -> str:
    parts = [INTRODUCTION]
    for group, members in groupby(variables(), key=lambda variable: variable.group):
        rows = [f"| `{v.name}` | {f'`{v.default}`' if v.default else ''} | {v.text} |" for v in members]
        parts.append("\n".join([f"## {group}\n", "| Variable | Default | |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert DOC.read_text(encoding="utf-8") == rendered(), f"write it again: python {__file__}"


if __name__ == "__main__":
    DOC.write_text(rendered(), encoding="utf-8")
