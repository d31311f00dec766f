"""Holds records against the rules of quality: every record that breaks one, and what that makes the score.

All rules run in one pass over the views, in DuckDB. Nothing is sampled: what breaks a rule stands in the table
`failures`, with personal data masked as the map tags it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from cleansing import forms
from cleansing.checks import LONGEST_VALUE, Broken, CannotCheck, Given, broken, country_of
from cleansing.relations import Relations, literal, named
from domain.entities.model import SideName
from domain.entities.quality import NotOfForm, Outcome, QualityRule, QualityRules, Score, scores

MOST_JUDGED: Final = 50_000
"""Phone numbers in another form whose reason is looked up, one by one; the others are listed without."""
_SHOWN: Final = 2
"""Characters of personal data that are shown."""


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A rule that could not be answered on a side; it never counts as kept."""

    rule: int
    name: str
    entity: str
    side: SideName
    why: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that breaks a rule."""

    rule: int
    entity: str
    side: str
    company: str
    key: str
    field: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a run came to.

    Attributes:
        outcomes: one for each rule, side and company.
        scores: one for each entity and company.
        not_checked: rules without an answer.
        relations: whose database has the table `failures`.
    """

    outcomes: tuple[Outcome, ...]
    scores: tuple[Score, ...]
    not_checked: tuple[NotChecked, ...]
    relations: Relations

    def failures(self, rules: Iterable[int] | None = None) -> Iterator[Failure]:
        """Every record that breaks a rule, by rule, side, company and key.

        Args:
            rules: numbers of those that are wanted; None: all.
        """
        wanted = "" if rules is None else f"WHERE rule IN ({', '.join(map(str, rules)) or 'NULL'})"
        cursor = self.relations.database.cursor()
        cursor.execute(f"SELECT * FROM failures {wanted} ORDER BY rule, side, company, key")
        while rows := cursor.fetchmany(10_000):
            for row in rows:
                yield Failure(*row)


def run(
    rules: QualityRules,
    relations: Relations,
    *,
    companies: Iterable[str],
    today: date,
    countries: Mapping[str, str] | None = None,
) -> Found:
    """Hold all records against all rules.

    Args:
        rules: in force.
        relations: the records.
        companies: legal entities of the installation, lower case.
        today: the day on which records are looked at.
        countries: code of Finance by name, as the installation translates them; in any case.
    """
    given = Given(relations, frozenset(companies), today)
    database = relations.database
    database.execute("CREATE OR REPLACE TABLE judged (form VARCHAR, value VARCHAR, country VARCHAR, why VARCHAR)")
    database.execute(
        "CREATE OR REPLACE TABLE failures (rule INTEGER, entity VARCHAR, side VARCHAR, company VARCHAR, key VARCHAR,"
        " field VARCHAR, value VARCHAR, why VARCHAR)"
    )
    names = {name.strip().casefold(): code for name, code in (countries or {}).items()}
    checked: list[tuple[QualityRule, SideName]] = []
    not_checked: list[NotChecked] = []
    for rule in rules.rules:
        for side in rule.sides:
            try:
                found = broken(rule, side, given)
            except CannotCheck as problem:
                not_checked.append(NotChecked(rule.number, rule.name, rule.entity, side, str(problem)))
                continue
            _judge(rule, side, given, names)
            database.execute(_insert(rule, side, found, given))
            checked.append((rule, side))
    outcomes = tuple(_outcomes(checked, relations))
    return Found(outcomes, scores(outcomes), tuple(not_checked), relations)


def _insert(rule: QualityRule, side: SideName, found: Broken, given: Given) -> str:
    fields = given.relations.maps[rule.entity].fields
    personal = any(fields[field].pii for field in rule.check.fields)
    value = f"coalesce({found.value}, '')"
    shown = f"CASE WHEN length({value}) > {2 * _SHOWN} THEN left({value}, {_SHOWN}) ELSE '' END || '…'"
    kept = f"CASE WHEN {value} = '' THEN '' ELSE {shown} END" if personal else f"left({value}, {LONGEST_VALUE})"
    return (
        f"INSERT INTO failures SELECT {rule.number}, {literal(rule.entity)}, {literal(side)}, r.company, r.key,"
        f" {found.field}, {kept}, {found.why} FROM {given.relations.view(rule.entity, side)} r {found.join}"
        f" WHERE {found.where}"
    )


def _judge(rule: QualityRule, side: SideName, given: Given, countries: Mapping[str, str]) -> None:
    """Look at the values of a field that only a library can tell, each once."""
    if not isinstance(rule.check, NotOfForm) or (judge := forms.JUDGES.get(rule.check.form)) is None:
        return
    database, form = given.relations.database, rule.check.form
    column = f"r.{named(rule.check.fields[0])}"
    regular = f"AND NOT regexp_matches({column}, {literal(forms.E164)}) LIMIT {MOST_JUDGED}" if form == "e164" else ""
    values = database.sql(
        f"SELECT DISTINCT {column}, {country_of(rule, side, given)} AS country"
        f" FROM {given.relations.view(rule.entity, side)} r ANTI JOIN judged ON judged.form = {literal(form)}"
        f" AND judged.value = {column} AND judged.country = {country_of(rule, side, given)}"
        f" WHERE trim({column}) <> '' {regular}"
    ).to_arrow_table()
    found, places = (column.to_pylist() for column in values.columns)
    if form == "country":
        reasons = ["" if value.strip().casefold() in countries else judge(value, "") for value in found]
    else:
        known = [countries.get(place.strip().casefold(), place) for place in places]
        reasons = [judge(value, place) for value, place in zip(found, known, strict=True)]
    if any(reasons) or form == "e164":
        wrong = values.append_column("why", [reasons])
        database.register("looked_at", wrong)
        database.execute(f"INSERT INTO judged SELECT {literal(form)}, * FROM looked_at")
        database.unregister("looked_at")


def _outcomes(checked: Iterable[tuple[QualityRule, SideName]], relations: Relations) -> Iterator[Outcome]:
    database = relations.database
    failing = {
        (rule, side, company): count
        for rule, side, company, count in database.execute(
            "SELECT rule, side, company, count(*) FROM failures GROUP BY ALL"
        ).fetchall()
    }
    counted: dict[tuple[str, SideName], list[tuple[str, int]]] = {}
    for rule, side in checked:
        place = (rule.entity, side)
        if place not in counted:
            view = relations.view(*place)
            counted[place] = database.execute(
                f"SELECT company, count(*) FROM {view} GROUP BY company ORDER BY company"
            ).fetchall()
        for company, records in counted[place]:
            yield Outcome(
                rule=rule.number,
                severity=rule.severity,
                entity=rule.entity,
                side=side,
                company=company,
                records=records,
                failing=failing.get((rule.number, side, company), 0),
            )
