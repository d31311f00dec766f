"""What a check of a rule is in SQL: which records of a view break it, in which field, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, assert_never

from cleansing import forms
from cleansing.normal import normal
from cleansing.relations import Relations, literal, named
from domain.entities.model import SideName
from domain.entities.quality import (
    Missing,
    NoCompany,
    NotOfForm,
    NotTranslated,
    OnHold,
    OutOfRange,
    Past,
    QualityRule,
    Repeated,
    TooLong,
    Unknown,
)

LONGEST_VALUE: Final = 200
"""Characters of a value that are kept."""
_NO_DAY: Final = "1900-01-01"
"""What Finance writes where there is no day."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Records that break a rule.

    Attributes:
        where: condition on a record, which stands as `r`.
        field: SQL, the field or fields it breaks.
        value: SQL, what stands there.
        why: SQL, what is wrong with it; empty where the rule's name says it.
        join: SQL after the view.
    """

    where: str
    field: str
    value: str
    why: str = "''"
    join: str = ""


class CannotCheck(Exception):
    """A rule needs what is not given; the text says what."""


@dataclass(frozen=True, slots=True)
class Given:
    """What rules are held against.

    Attributes:
        relations: the records.
        companies: legal entities of the installation, lower case.
        today: what is before it is past.
    """

    relations: Relations
    companies: frozenset[str]
    today: date

    def require(self, entity: str, side: SideName, columns: Iterable[str]) -> None:
        """Refuse a rule that asks for what is not there.

        Raises:
            CannotCheck: a view or a column is missing.
        """
        there = self.relations.columns(entity, side)
        if not there:
            raise CannotCheck(f"no {entity} of {side.title()} was read")
        if lacking := [column for column in columns if column not in there]:
            raise CannotCheck(f"{entity} of {side.title()} was read without {', '.join(lacking)}")


def broken(rule: QualityRule, side: SideName, given: Given) -> Broken:
    """What breaks a rule on a side.

    Raises:
        CannotCheck: it cannot be answered by what is given.
    """
    check = rule.check
    given.require(rule.entity, side, check.fields)
    columns = {field: f"r.{named(field)}" for field in check.fields}
    match check:
        case Missing():
            return _of_fields({field: f"trim({column}) = ''" for field, column in columns.items()}, columns)
        case TooLong():
            return _too_long(rule, columns, given)
        case Repeated():
            return _repeated(rule, side, check, given)
        case NoCompany():
            known = ", ".join(map(literal, sorted(given.companies))) or "''"
            return Broken(f"r.company NOT IN ({known})", "'company'", "r.company")
        case OnHold():
            return _on_hold(rule, side, check, given)
    ((field, column),) = columns.items()
    filled = f"trim({column}) <> ''"
    match check:
        case NotOfForm():
            return _not_of_form(check, column, rule, side, given)
        case NotTranslated():
            known = ", ".join(map(literal, _translated(rule, side, field, given)))
            return Broken(f"{filled} AND trim({column}) NOT IN ({known})", literal(field), column)
        case OutOfRange():
            number = f"TRY_CAST({column} AS DECIMAL(38, 10))"
            limit = f"{number} < {check.least}" if check.least is not None else f"{number} <= {check.above}"
            return Broken(f"{filled} AND coalesce({limit}, true)", literal(field), column)
        case Past():
            day = f"TRY_CAST(left(trim({column}), 10) AS DATE)"
            where = f"{filled} AND {day} < DATE '{given.today}' AND {day} > DATE '{_NO_DAY}'"
            return Broken(where, literal(field), column)
        case Unknown():
            given.require(check.entity, check.side, (check.field,))
            return Broken(f"{filled} AND {_nobody(check, column, given)}", literal(field), column)
        case _:
            assert_never(check)


def _of_fields(wrong: dict[str, str], columns: dict[str, str]) -> Broken:
    """Of several fields: one line a record, with the fields that are wrong and the first of their values."""
    names = ", ".join(f"CASE WHEN {condition} THEN {literal(field)} END" for field, condition in wrong.items())
    values = " ".join(f"WHEN {condition} THEN {columns[field]}" for field, condition in wrong.items())
    return Broken(
        " OR ".join(f"({condition})" for condition in wrong.values()), f"concat_ws(', ', {names})", f"CASE {values} END"
    )


def _too_long(rule: QualityRule, columns: dict[str, str], given: Given) -> Broken:
    wrong = {}
    for field, column in columns.items():
        most = given.relations.field(rule.entity, field).finance_length
        if most is None:
            raise CannotCheck(f"the map does not say how long {field} may be in Finance (finance_length)")
        beyond = f"length(regexp_replace({column}, '[^\\x{{10000}}-\\x{{10FFFF}}]', '', 'g'))"
        wrong[field] = f"length({column}) + {beyond} > {most}"
    return _of_fields(wrong, columns)


def _normal(given: Given, entity: str, field: str, column: str) -> str:
    """A field in the form in which it is compared; keys without regard to case, as Finance does."""
    data = given.relations.maps[entity]
    of = data.fields[field]
    if data.finance is not None and of.finance in data.finance.key:
        return normal(column, "upper")
    return normal(column, of.normal)


def _repeated(rule: QualityRule, side: SideName, check: Repeated, given: Given) -> Broken:
    view = given.relations.view(rule.entity, side)
    own = [_normal(given, rule.entity, field, named(field)) for field in check.fields]
    mine = [_normal(given, rule.entity, field, f"r.{named(field)}") for field in check.fields]
    named_own = ", ".join(f"{form} AS v{number}" for number, form in enumerate(own))
    filled = " AND ".join(f"trim({value}) <> ''" for value in (*map(named, check.fields), *own))
    same = " AND ".join(f"twice.v{number} = {form}" for number, form in enumerate(mine))
    join = (
        f"JOIN (SELECT company, {named_own}, count(*) AS many FROM {view} WHERE {filled} GROUP BY ALL"
        f" HAVING count(*) > 1) AS twice ON twice.company = r.company AND {same}"
    )
    value = f"concat_ws(' ', {', '.join(f'r.{named(field)}' for field in check.fields)})"
    why = "'stands in ' || twice.many || ' records'"
    return Broken("true", literal(", ".join(check.fields)), value, why, join)


def _not_of_form(check: NotOfForm, column: str, rule: QualityRule, side: SideName, given: Given) -> Broken:
    field = literal(check.fields[0])
    filled = f"trim({column}) <> ''"
    match check.form:
        case "email":
            return Broken(f"{filled} AND NOT regexp_matches(trim({column}), {literal(forms.EMAIL)})", field, column)
        case "tidy":
            return Broken(f"{filled} AND regexp_matches({column}, {literal(forms.TIDY)})", field, column)
        case "e164":
            where, value = f"{filled} AND NOT regexp_matches({column}, {literal(forms.E164)})", column
            return Broken(where, field, value, "coalesce(judged.why, '')", _judged(check, column, rule, side, given))
        case "tax_number" | "country" | "currency":
            return Broken("judged.why <> ''", field, column, "judged.why", _judged(check, column, rule, side, given))
        case _:
            assert_never(check.form)


def country_of(rule: QualityRule, side: SideName, given: Given) -> str:
    """SQL for the country of a record `r`; empty text where it has none."""
    return "r.country" if "country" in given.relations.columns(rule.entity, side) else "''"


def _judged(check: NotOfForm, column: str, rule: QualityRule, side: SideName, given: Given) -> str:
    country = country_of(rule, side, given)
    form = literal(check.form)
    return f"LEFT JOIN judged ON judged.form = {form} AND judged.value = {column} AND judged.country = {country}"


def _translated(rule: QualityRule, side: SideName, field: str, given: Given) -> list[str]:
    values = given.relations.field(rule.entity, field).values or {}
    return sorted(values) if side == "finance" else sorted(set(values.values()))


def _nobody(check: Unknown | OnHold, column: str, given: Given, where: str = "true") -> str:
    other, field = given.relations.view(check.entity, check.side), check.field
    theirs, mine = normal(f"o.{named(field)}", "upper"), normal(column, "upper")
    return f"NOT EXISTS (SELECT 1 FROM {other} o WHERE o.company = r.company AND {theirs} = {mine} AND {where})"


def _on_hold(rule: QualityRule, side: SideName, check: OnHold, given: Given) -> Broken:
    given.require(rule.entity, side, (check.by,))
    given.require(check.entity, check.side, (check.field, check.state))
    column = f"r.{named(check.fields[0])}"
    free = ", ".join(map(literal, ("", *check.free)))
    ended = ", ".join(map(literal, check.ended))
    nobody = _nobody(check, f"r.{named(check.by)}", given, f"o.{named(check.state)} NOT IN ({ended})")
    return Broken(f"trim({column}) NOT IN ({free}) AND NOT {nobody}", literal(check.fields[0]), column)
