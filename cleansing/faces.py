"""Customers as matching looks at them: each way in which one is written, once, with the records that write it so.

Finance's record and its account in Sales mostly say the same. What says the same under the same number is one face, so
that two million records are a million faces, and a pair of faces is never a customer and its own account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from cleansing.normal import normal
from cleansing.relations import SIDES, Relations, RelationsError, literal, named
from domain.customers_policy import CustomerPolicy
from domain.entities.model import Normal, SideName
from domain.likeness import normal_form

ENTITY: Final = "customer"
TRACES: Final = ("name", "tax_number", "phone", "email", "street", "postal_code")
"""Fields by which customers are told apart; what was not read of them is blank."""
BLOCKS: Final = ("tax_number", "phone", "email", "name", "address")
"""What two faces must have in common, at least one of them, to be compared."""
_INTERNATIONAL: Final = "^00[1-9][0-9]{6,14}$"
"""A phone number that is the same everywhere, in its normal form; another one is known in its own country alone."""
MOST_OF_A_BLOCK: Final = 50
"""Faces that may share a value; what more of them share tells nobody apart (`N/A`, the number of a switchboard)."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A kind of value that too many faces share to be compared by it."""

    block: str
    values: int
    faces: int


def make_faces(relations: Relations, policy: CustomerPolicy) -> tuple[LeftOut, ...]:
    """Make the table `face`; what is too common to compare by.

    Args:
        relations: with customers of one side or both.
        policy: legal forms that are no part of a name, and mail domains that are nobody's.

    Raises:
        RelationsError: no customers were read, or without a name.
    """
    database = relations.database
    sides = [side for side in SIDES if relations.columns(ENTITY, side)]
    if not sides:
        raise RelationsError("no customers were read, so there is nothing to match")
    _name_forms(relations, sides, policy)
    rows = " UNION ALL ".join(_rows(relations, side) for side in sides)
    public = ", ".join(map(literal, sorted({each.casefold() for each in policy.public_mail}))) or "''"
    database.execute(f"""
        CREATE OR REPLACE TABLE face AS
        WITH written AS (
            SELECT company, number, form AS name, tax_number, phone, email, street, postal_code,
                   CASE WHEN number = '' THEN side || key END AS alone,
                   list({{'side': side, 'key': key, 'name': rows.name}} ORDER BY side, key) AS members
            FROM ({rows}) rows JOIN name_form ON name_form.name = rows.name
            GROUP BY ALL
        ), numbered AS (
            SELECT row_number() OVER (ORDER BY company, number, members[1].side, members[1].key) AS unique_id, *
            FROM written
        )
        SELECT unique_id,
               CASE WHEN number = '' THEN unique_id ELSE min(unique_id) OVER same_number END AS customer,
               company, number, nullif(name, '') AS name, nullif(tax_number, '') AS tax_number,
               CASE WHEN regexp_matches(phone, {literal(_INTERNATIONAL)}) THEN phone END AS phone,
               nullif(email, '') AS email,
               CASE WHEN split_part(email, '@', 2) NOT IN ('', {public}) THEN split_part(email, '@', 2) END
                   AS mail_domain,
               CASE WHEN street <> '' AND postal_code <> '' THEN street || '|' || postal_code END AS address,
               nullif(postal_code, '') AS postal_code, members
        FROM numbered WINDOW same_number AS (PARTITION BY company, number)
    """)
    return tuple(_block(relations, block) for block in BLOCKS)


def _name_forms(relations: Relations, sides: list[SideName], policy: CustomerPolicy) -> None:
    database = relations.database
    if any("name" not in relations.columns(ENTITY, side) for side in sides):
        raise RelationsError("customers were read without a name")
    names = " UNION ".join(f"SELECT DISTINCT name FROM {relations.view(ENTITY, side)}" for side in sides)
    found = [str(row[0]) for row in database.execute(names).fetchall()]
    forms = [normal_form(name, policy.legal_forms) for name in found]
    database.register(
        "name_forms", pa.table({"name": pa.array(found, pa.string()), "form": pa.array(forms, pa.string())})
    )
    database.execute("CREATE OR REPLACE TABLE name_form AS SELECT * FROM name_forms")
    database.unregister("name_forms")


def _rows(relations: Relations, side: SideName) -> str:
    there = relations.columns(ENTITY, side)

    def column(field: str, form: Normal | None = "trim") -> str:
        given = named(field) if field in there else "''"
        return normal(given, form)

    # Punctuation, case and accents tell no streets apart.
    street = f"trim(regexp_replace(lower(strip_accents({column('street')})), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"
    return (
        f"SELECT {literal(side)} AS side, company, key, {column('account_number', 'upper')} AS number, name,"
        f" {column('tax_number', 'vat')} AS tax_number, {column('phone', 'e164')} AS phone,"
        f" {column('email', 'email')} AS email, {street} AS street, {column('postal_code', 'vat')} AS postal_code"
        f" FROM {relations.view(ENTITY, side)}"
    )


def _block(relations: Relations, block: str) -> LeftOut:
    """Add the column by which faces are brought together: the value, unless too many share it."""
    database = relations.database
    common = f"SELECT {block} AS value, count(*) AS many FROM face GROUP BY 1 HAVING count(*) > {MOST_OF_A_BLOCK}"
    database.execute(f"CREATE OR REPLACE TABLE common AS {common} AND {block} IS NOT NULL")
    database.execute(f"ALTER TABLE face ADD COLUMN {block}_block VARCHAR")
    database.execute(f"UPDATE face SET {block}_block = {block} WHERE {block} NOT IN (SELECT value FROM common)")
    ((values, faces),) = database.execute("SELECT count(*), coalesce(sum(many), 0) FROM common").fetchall()
    return LeftOut(block, values, int(faces))
