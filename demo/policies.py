"""Policies that fit a data set the sandbox was loaded with.

The shipped policies speak of the sample companies. Another data set brings another company and other people; the demo
writes the files that name them, in the form an installation would, and leaves the rules themselves as they are shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import policies
from demo.desk import Desk

VERSION = "2026-11-01#1"
TIMEZONE = "America/New_York"
TAX_PCT = 10
# Authority of a company, in the order of its levels; sales reps need none.
_DECIDING = ("sales_manager", "sales_director", "cfo", "legal", "credit_manager")


async def write_policies(desk_origin: str, state_dir: Path) -> Path:
    """Write a folder of policies for the companies and people the sandbox knows.

    Args:
        desk_origin: where the people are asked for.
        state_dir: the folder is made below it.

    Returns:
        The folder; files it does not hold are taken from the package.
    """
    async with Desk(desk_origin) as desk:
        people = await desk.get("/people")
    folder = state_dir / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in policy_files(people).items():
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return folder


def policy_files(people: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Content of the files by name.

    Args:
        people: as the desk's `GET /people` lists them.
    """
    shipped = policies.load()
    units = {person["company"]: person["business_unit"] for person in people}
    companies = sorted(units)
    # A role that nobody holds in the data is said to be held by nobody: the rules that ask for it stay as shipped.
    authority: dict[str, dict[str, list[str]]] = {company: {role: [] for role in _DECIDING} for company in companies}
    deciders: dict[str, dict[str, str]] = {}
    for person in people:
        for role in person["roles"]:
            name, _, suffix = role.partition(".")
            if name in _DECIDING:
                authority[suffix or person["company"]][name].append(person["name"])
                deciders[person["name"]] = {
                    "oid": person["oid"],
                    "name": person["display_name"],
                    "upn": person["upn"],
                }
    return {
        "approvers.yaml": {
            "version": VERSION,
            "people": deciders,
            "companies": {company: dict(roles) for company, roles in authority.items()},
        },
        "calendars.yaml": {
            "version": VERSION,
            "companies": {
                company: {
                    "timezone": TIMEZONE,
                    "workdays": [0, 1, 2, 3, 4],
                    "opens": "09:00",
                    "closes": "17:00",
                }
                for company in companies
            },
        },
        "credit.yaml": {
            **shipped.credit.model_dump(mode="json", exclude={"customers", "groups"}, exclude_none=True),
            "customers": {},
            "tax_rate_pct": dict.fromkeys(companies, TAX_PCT),
        },
        "entity_map.yaml": {
            **shipped.entity_map.model_dump(mode="json"),
            # By name as people say it, and by id as webhooks do.
            "business_units": {unit: company for company in companies for unit in (company.upper(), units[company])},
            "order_numbers": dict.fromkeys(companies, "automatic"),
        },
    }
