"""A map in words, for the people who answer for its data (`q2c map describe`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from domain.entities.identity import hash_of
from domain.entities.model import DataMap, Direction, FieldMap, Frequency, Owner, Pattern, Scope

_NOT_YET: Final = "not yet: this version checks and describes it"
PATTERNS: Final[Mapping[Pattern, tuple[str, str]]] = {
    Pattern.ORCHESTRATED: ("Orchestrated: a step of a deal, done once and read back", "by the deals"),
    Pattern.SYNC: ("Sync: each field follows its owner", _NOT_YET),
    Pattern.VIRTUAL: (
        "Virtual: read from Finance when somebody looks, kept nowhere else",
        "by virtual tables of Dataverse",
    ),
    Pattern.BATCH: ("Batch: moved in one go", "by histories"),
    Pattern.DUAL_WRITE: ("Dual-Write: kept by Microsoft's Dual-Write", "by Dual-Write"),
    Pattern.NONE: ("None: not moved", ""),
}
"""What each pattern is, and by whom it is carried out."""
FREQUENCIES: Final[Mapping[Frequency, str]] = {
    Frequency.EVENT: "when something happens",
    Frequency.ON_DEMAND: "when somebody asks",
    Frequency.NEAR_REAL_TIME: "within a minute",
    Frequency.FIVE_MINUTES: "every five minutes",
    Frequency.HOURLY: "every hour",
    Frequency.NIGHTLY: "every night",
    Frequency.NEVER: "never",
}
DIRECTIONS: Final[Mapping[Direction, str]] = {
    Direction.TO_SALES: "Finance to Sales",
    Direction.TO_FINANCE: "Sales to Finance",
    Direction.BOTH: "both ways",
    Direction.NONE: "none",
}
OWNERS: Final[Mapping[Owner, str]] = {
    Owner.FINANCE: "Finance",
    Owner.SALES: "Sales",
    Owner.NEWEST: "the newest",
    Owner.MANUAL: "a person decides",
}
_NORMALS: Final[Mapping[str, str]] = {
    "trim": "compared without blanks around it",
    "upper": "compared in capitals",
    "lower": "compared in small letters",
    "e164": "compared as an international phone number",
    "email": "compared as an e-mail address",
    "url": "compared as an address of the web",
    "iso_country": "compared as an ISO 3166 country",
    "vat": "compared without the marks of a tax number",
    "day": "compared by the day",
}
COLUMNS: Final = ("Field", "Finance", "Sales", "Owner", "How")


@dataclass(frozen=True)
class Described:
    """A map as people read it.

    Attributes:
        entity: as commands name it.
        title: what people call the records.
        hash: which map it is.
        facts: names and what is said of them.
        fields: a row for each field, in the order of COLUMNS.
        values: of each value map, the field and its pairs.
        unconfirmed: what nobody has confirmed.
    """

    entity: str
    title: str
    hash: str
    facts: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, ...], ...]
    values: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    unconfirmed: tuple[str, ...]


def described(data: DataMap) -> Described:
    """A map in words."""
    return Described(
        entity=data.entity,
        title=data.title,
        hash=hash_of(data),
        facts=tuple((name, text) for name, text in _facts(data) if text),
        fields=tuple(
            (name, field.finance, field.sales or "–", OWNERS[field.owner], "; ".join(_how(field)) or "as it is")
            for name, field in data.fields.items()
        ),
        values=tuple((name, tuple(field.values.items())) for name, field in data.fields.items() if field.values),
        unconfirmed=data.unconfirmed,
    )


_DELETED: Final = {"create": "the row is created anew", "deactivate": "the record of Finance is deactivated"}


def _facts(data: DataMap) -> Iterator[tuple[str, str]]:
    pattern, carried_out = PATTERNS[data.pattern]
    yield "Pattern", pattern
    yield "Why", data.reason
    if data.pattern is not Pattern.NONE:
        yield "When", FREQUENCIES[data.frequency]
        yield "Direction", DIRECTIONS[data.direction]
    yield "Carried out", carried_out
    yield "Company", _company(data)
    for system, name, side in (
        ("Finance", data.finance.set if data.finance else "", data.finance),
        ("Sales", data.sales.table if data.sales else "", data.sales),
    ):
        if side is None:
            yield system, "not part of this map"
            continue
        yield system, f"{name}, key {', '.join(side.key)}"
        yield f"{system}, only", side.filter
        yield f"{system}, changed", side.modified or ""
        if side.creates:
            given = [f"{column} = {value}" for column, value in side.constants.items()]
            given += [f"{column} by the system" for column in side.left_to_system]
            given += [f"{lookup} from {path}" for lookup, path in getattr(side, "follows", {}).items()]
            yield f"{system}, new records", "created here" + (f", with {', '.join(given)}" if given else "")
    if data.sales and data.sales.if_finance_deletes == "deactivate":
        yield "Deleted in Finance", "the row of Sales is deactivated"
    if data.finance and (new := data.finance.belongs_to):
        parent = f"{new.column} is {new.gives} of the one of {new.set} whose {new.key} is {new.sales}"
        known = f"what has the same {', '.join(new.known_by)} there, or our mark in {new.mark}, is linked instead"
        yield "Finance, new records belong to", f"{parent}; {known}"
    if data.sales and data.sales.if_sales_deletes != "letter":
        yield "Deleted in Sales", _DELETED[data.sales.if_sales_deletes]
    yield "Finance, one record only", data.finance.guard if data.finance else ""
    yield "Sales, one row only", data.sales.guard if data.sales else ""
    yield "Version", data.version


def _company(data: DataMap) -> str:
    company = data.company
    if company.scope is Scope.SHARED:
        return "the same records for all companies"
    if company.scope is Scope.ONE_FOR_ALL:
        return f"one record in Sales for all companies; {(company.leads or '?').upper()}'s is shown"
    told = f", in Sales by {company.sales}" if company.sales and data.sales else ""
    return f"each company has its own; in Finance by {company.finance}{told}"


def _how(field: FieldMap) -> Iterator[str]:
    if field.required:
        yield "required"
    if field.pii:
        yield "personal data"
    if field.values:
        yield "by the list below"
    if field.refused:
        yield f"{', '.join(field.refused)} refused"
    if field.otherwise:
        yield "others refused"
    if field.normal:
        yield _NORMALS[field.normal]
    if field.decimals is not None:
        yield "with the currency's decimals" if field.decimals == "currency" else f"with {field.decimals} decimals"
    if field.tolerance:
        yield f"same within {field.tolerance}"
    if field.longer:
        yield "cut where it is too long" if field.longer == "cut" else "refused where it is too long"
    if field.note:
        yield field.note.rstrip(".")


def as_markdown(maps: tuple[DataMap, ...]) -> str:
    """Maps as one page of Markdown."""
    return "\n".join(line for data in maps for line in _markdown(described(data))).rstrip()


def _markdown(found: Described) -> Iterator[str]:
    yield from (f"# {plain(found.title)}", "", f"Entity `{found.entity}`, map `{found.hash[:12]}`.", "")
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {plain(text)} |" for name, text in found.facts)
    yield ""
    if found.fields:
        yield from (f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS))
        yield from (f"| {' | '.join(map(plain, row))} |" for row in found.fields)
        yield ""
    for name, pairs in found.values:
        yield from (f"Values of {name}:", "", "| Finance | Sales |", "|---|---|")
        yield from (f"| {plain(finance)} | {plain(sales)} |" for finance, sales in pairs)
        yield ""
    if found.unconfirmed:
        yield from ("Not confirmed:", "", *(f"- {plain(text)}" for text in found.unconfirmed), "")


def plain(text: str) -> str:
    """Text of a file as Markdown shows it: no table, no HTML, no line of its own."""
    for sign in ("\\", "|", "<", ">", "`", "*", "_", "["):
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def as_html(maps: tuple[DataMap, ...]) -> str:
    """Maps as one HTML page that loads nothing, for a screen of any width and for paper."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("policies", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return pages.get_template("maps.html").render(maps=[described(data) for data in maps], columns=COLUMNS)
