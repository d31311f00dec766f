"""Policies written for a data set are policies the product can load."""

from __future__ import annotations

from pathlib import Path

import yaml

import policies
from demo.policies import policy_files

UNIT = "c26b8e8e-1f40-5bd6-9a2c-0e4d5a3f7b11"
PEOPLE = [
    {"name": "davolio", "oid": "1" * 8, "upn": "davolio@contoso.example", "display_name": "Nancy Davolio",
     "company": "nwnd", "business_unit": UNIT, "roles": ["sales_rep.nwnd"]},
    {"name": "buchanan", "oid": "2" * 8, "upn": "buchanan@contoso.example", "display_name": "Steven Buchanan",
     "company": "nwnd", "business_unit": UNIT, "roles": ["sales_rep.nwnd", "sales_manager.nwnd"]},
    {"name": "fuller", "oid": "3" * 8, "upn": "fuller@contoso.example", "display_name": "Andrew Fuller",
     "company": "nwnd", "business_unit": UNIT, "roles": ["sales_rep.nwnd", "sales_director.nwnd"]},
    {"name": "cfo", "oid": "4" * 8, "upn": "cfo@contoso.example", "display_name": "The CFO",
     "company": "nwnd", "business_unit": UNIT, "roles": ["cfo.nwnd"]},
]  # fmt: skip


def test_the_people_of_the_data_decide_by_their_roles(tmp_path: Path) -> None:
    for name, content in policy_files(PEOPLE).items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    policy = policies.load(tmp_path)
    assert policy.entity_map.company_of("NWND") == "nwnd"
    assert policy.entity_map.company_of(UNIT) == "nwnd", "a webhook names a unit by its id alone"
    assert [person.name for person in policy.authority.holders("nwnd", "sales_manager")] == ["Steven Buchanan"]
    assert [person.name for person in policy.authority.holders("nwnd", "sales_director")] == ["Andrew Fuller"]
    assert [person.name for person in policy.authority.holders("nwnd", "cfo")] == ["The CFO"]
    assert policy.authority.holders("nwnd", "legal") == ()
    assert policy.entity_map.order_numbers == {"nwnd": "automatic"}


def test_the_rules_themselves_stay_as_shipped(tmp_path: Path) -> None:
    assert "discount.yaml" not in policy_files(PEOPLE)
    assert "tolerances.yaml" not in policy_files(PEOPLE)
