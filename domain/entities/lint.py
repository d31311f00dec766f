"""The fifteen rules of maps, as a table: what each demands, what to do where it is broken, and who finds out.

A rule that needs to ask a system and cannot is reported as not checked, never as kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.entities import checks_of_facts as live
from domain.entities import checks_of_maps as maps_only
from domain.entities.facts import NOTHING_KNOWN, Facts
from domain.entities.findings import Break, Finding, Known, NotChecked, Report, Rule
from domain.entities.model import DataMap

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        1,
        "credit never in a batch",
        "A credit limit or a hold is never moved by a batch or by the hour: so old a value decides nothing of credit.",
        "Choose the pattern virtual to show it and orchestrated to decide by it, or take the field out.",
        live=False,
        check=maps_only.credit_never_batch,
    ),
    Rule(
        2,
        "quotes and orders orchestrated",
        "Quotes and orders are never moved by sync or dual_write: they are steps of a deal, not values to be compared.",
        "Choose the pattern orchestrated, or none where only one side has them.",
        live=False,
        check=maps_only.transactions_never_sync,
    ),
    Rule(
        3,
        "prices never towards Finance",
        "Prices are made in Finance; a map never writes one there. An order's price goes with its approved deal.",
        "Set the owner of the field to FINANCE, or take the field out.",
        live=False,
        check=maps_only.price_never_to_finance,
    ),
    Rule(
        4,
        "virtual never writes",
        "What is shown by a virtual table is read from Finance each time, and nothing is written through it.",
        "Set the direction to to_sales and every owner to FINANCE, or choose another pattern.",
        live=False,
        check=maps_only.virtual_never_writes,
    ),
    Rule(
        5,
        "a key that is unique",
        "Each side's key finds one record at most: a key of the system itself, or a stated guard.",
        "Name the columns of a unique key, create an alternate key in Dataverse, or say in guard what stops a second"
        " one.",
        live=True,
        check=live.unique_keys,
    ),
    Rule(
        6,
        "the company in the key",
        "A record of a company is found by its company as well, on both sides; numbers repeat between companies.",
        "Put the company's column into both keys, or set company.scope to what is true of these records.",
        live=True,
        check=live.companies_live,
    ),
    Rule(
        7,
        "NEWEST needs times",
        "The newest value wins only where both sides say when a record was changed.",
        "Name the columns in finance.modified and sales.modified, or choose FINANCE, SALES or MANUAL as the owner.",
        live=True,
        check=live.newest_live,
    ),
    Rule(
        8,
        "one owner for each column",
        "A column has one owner and is written by one field, in all maps together.",
        "Keep the column in one map and one field, or give all of its fields the same owner and let one write it.",
        live=False,
        check=maps_only.one_owner,
    ),
    Rule(
        9,
        "columns exist",
        "Every table and column that a map names exists, and can be written where the map writes it.",
        "Correct the name, install what brings the column, or take the field out.",
        live=True,
        check=live.columns_live,
    ),
    Rule(
        10,
        "value maps are total",
        "A choice is translated value by value: every value of the owner has its counterpart or is refused by name.",
        "Add the missing values to values or refused; of a text, say otherwise: refuse.",
        live=True,
        check=live.values_total,
    ),
    Rule(
        11,
        "texts fit",
        "A text that the owner can hold fits into the other side, or the map says what becomes of a longer one.",
        "Make the column longer, or set longer to refuse or cut; where Finance's length is known, set finance_length.",
        live=True,
        check=live.texts_fit,
    ),
    Rule(
        12,
        "decimals fit",
        "A number is moved with no more decimals than the other side keeps, and the map says with how many.",
        "Set decimals to what both sides keep, or to currency for an amount of money.",
        live=True,
        check=live.decimals_fit,
    ),
    Rule(
        13,
        "what is required is filled",
        "A record that is created gets every column its system requires, and its key.",
        "Map the column with required: true, give it a constant, or list it in left_to_system if the system fills it.",
        live=True,
        check=live.required_filled,
    ),
    Rule(
        14,
        "personal data tagged",
        "A column that holds personal data says so, so that it is kept out of logs and can be erased.",
        "Set pii: true on the field.",
        live=False,
        check=maps_only.personal_data_tagged,
    ),
    Rule(
        15,
        "no second writer",
        "A column that a map writes is not written by a running Dual-Write map as well.",
        "Stop the Dual-Write map, or choose the pattern dual_write and let it do the work.",
        live=True,
        check=live.no_other_writer,
    ),
)


def lint(maps: Iterable[DataMap], facts: Facts = NOTHING_KNOWN) -> Report:
    """All that is wrong with maps, and what could not be looked at.

    Args:
        maps: those of an installation, in the order in which findings are to be told.
        facts: what the systems say; nothing known leaves every live rule not checked.
    """
    known = Known(tuple(maps), facts)
    findings: dict[Finding, None] = {}
    unknown: dict[NotChecked, None] = {}
    for rule in RULES:
        for found in rule.check(known):
            if isinstance(found, Break):
                about = Finding(rule.number, rule.name, found.entity, found.field, found.problem, rule.remedy)
                findings[about] = None
            else:
                unknown[NotChecked(rule.number, rule.name, found.entity, found.field, found.why)] = None
    return Report(tuple(findings), tuple(unknown))
