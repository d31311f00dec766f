"""The tables of docs/tenant-set-up.md are what `q2c setup dataverse` creates."""

from __future__ import annotations

import re
from pathlib import Path

from dynamics.sales.setup.blueprint import COLUMNS, KEYS, OWN_TABLES, RELATIONSHIPS, RIGHTS, STEPS, Column

DOC = Path(__file__).parents[3] / "docs" / "tenant-set-up.md"
BLOCK = re.compile(r"(<!-- from the blueprint: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
OWN = {table.schema_name.removeprefix("q2c_").lower(): table.name for table in OWN_TABLES}
"""Name of a table's block, and its logical name."""
ALTERNATE = {(key.table, key.column) for key in KEYS}


def type_of(column: Column) -> str:
    if column.kind == "Picklist":
        return "choice"
    words = {"String": "text", "Memo": "multiple lines of text", "Money": "currency", "DateTime": "date and time"}
    length = f", {column.length:,}" if column.length else ""
    return words[column.kind] + length + (f", format {column.format.upper()}" if column.format != "Text" else "")


def notes_of(column: Column) -> str:
    options = ", ".join(f"{label.lower()} {int(value)}" for value, label in (column.options or {}).items())
    key = "**alternate key**" if (column.table, column.name) in ALTERNATE else ""
    return "; ".join(filter(None, (column.note, options if not column.note else "", key)))


def table(heads: str, rows: list[str]) -> str:
    return "\n".join([heads, "|" + "---|" * (heads.count("|") - 1), *rows, ""])


def rendered(name: str) -> str:
    if name == "role":
        rows = [f"| {right} | {', '.join(f'`{of}`' for of in tables)} |" for right, tables in RIGHTS.items()]
        return table("| Privilege | Tables |", rows)
    if name == "columns":
        theirs = [column for column in COLUMNS if column.table not in OWN.values()]
        rows = [f"| {c.table} | `{c.name}` | {type_of(c)} | {notes_of(c)} |" for c in theirs]
        return table("| Table | Column | Type | Notes |", rows)
    if name in OWN:
        rows = [f"| `{c.name}` | {type_of(c)} | {notes_of(c)} |" for c in COLUMNS if c.table == OWN[name]]
        lookups = [relation for relation in RELATIONSHIPS if relation.child == OWN[name]]
        rows += [f"| `{r.lookup.lower()}` (schema name `{r.lookup}`) | lookup of {r.parent} | |" for r in lookups]
        return table("| Column | Type | Notes |", rows)
    rows = []
    for step in STEPS:
        filtering, image = ", ".join(step.filtering) or "–", ", ".join(step.image) or "no image"
        rows.append(f"| {step.table} | {step.message} | {filtering} | {image} |")
    return table("| Table | Message | Filtering attributes | Columns of the image |", rows)


def page(text: str) -> str:
    return BLOCK.sub(lambda found: f"{found[1]}\n{rendered(found[2])}\n{found[3]}", text)


def test_the_page_says_what_is_created() -> None:
    text = DOC.read_text(encoding="utf-8")

    assert {found[2] for found in BLOCK.finditer(text)} == {"role", "columns", "steps", *OWN}
    assert text == page(text), f"write it again: python {__file__}"


if __name__ == "__main__":
    DOC.write_text(page(DOC.read_text(encoding="utf-8")), encoding="utf-8")
