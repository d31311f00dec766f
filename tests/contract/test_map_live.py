"""The maps of integration data against what the sandbox says of its tables, and fifteen maps that are wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli import map_facts
from cli.main import app
from domain.entities.facts import Facts, RunningMap
from domain.entities.lint import RULES, lint
from domain.entities.model import DataMap
from dynamics.sales.metadata import read_running_maps
from policies import exact_yaml
from policies.map_files import PACKAGED, load_maps
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.setup_world import Setup
from tests.contract.test_dataverse_customization import attribute, table
from workers.settings import load_settings

SHIPPED = load_maps().all
Content = dict[str, Any]
Change = Callable[[Content], object]


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        yield opened


@pytest.fixture
async def facts(clients: Clients) -> Facts:
    finance = await map_facts.of_finance(clients.finance, SHIPPED)
    return Facts.model_validate({"finance": finance, **await map_facts.of_dataverse(clients.dataverse, SHIPPED)})


def content(entity: str) -> Content:
    file = next(file for file in PACKAGED.glob("*.yaml") if f"entity: {entity}\n" in file.read_text())
    loaded: Content = exact_yaml.loads(file.read_text())
    return loaded


def in_a_batch(data: Content) -> None:
    credit = {"finance": "CreditLimit", "sales": "creditlimit", "owner": "FINANCE", "decimals": "currency"}
    data.update(pattern="batch", frequency="nightly")
    data["fields"]["credit"] = credit


def owner(field: str, whose: str) -> Change:
    return lambda data: data["fields"][field].update(owner=whose)


def without(*path: str) -> Change:
    def remove(data: Content) -> None:
        *above, last = path
        for name in above:
            data = data[name]
        del data[last]

    return remove


BAD: dict[int, tuple[str, str, Change]] = {
    1: ("customer", "credit", in_a_batch),
    2: ("order", "", lambda data: data.update(pattern="sync", frequency="near_real_time")),
    3: ("order_line", "price", lambda data: data.update(pattern="batch", frequency="nightly")),
    4: ("stock", "", lambda data: data.update(direction="both")),
    5: ("customer", "sales.key", without("sales", "guard")),
    6: ("customer", "sales.key", lambda data: data["sales"].update(key=["accountnumber"])),
    7: ("customer", "city", owner("city", "NEWEST")),
    8: ("unit", "again", lambda data: data["fields"].update(again=data["fields"]["symbol"])),
    9: ("customer", "website", lambda data: data["fields"]["website"].update(sales="websiteaddress")),
    10: ("order", "payment_terms", without("fields", "payment_terms", "refused")),
    11: ("customer", "name", without("fields", "name", "longer")),
    12: ("price", "price", lambda data: data["fields"]["price"].update(decimals=4)),
    13: ("product", "sales", without("sales", "constants", "quantitydecimal")),
    14: ("customer", "email", without("fields", "email", "pii")),
    15: ("customer", "", lambda data: None),
}
"""Rule: a shipped map, the field a finding names, and what is done to break it."""
DUAL_WRITE = RunningMap(table="account", entity="Customers V3")


def test_there_is_a_wrong_map_for_every_rule() -> None:
    assert sorted(BAD) == [rule.number for rule in RULES] == list(range(1, 16))


async def test_the_shipped_maps_are_clean_and_each_wrong_one_breaks_its_rule_alone(facts: Facts) -> None:
    report = lint(SHIPPED, facts)
    assert report.findings == ()
    assert report.not_checked == (), "where Finance tells no length, the map does"
    for number, (entity, field, change) in BAD.items():
        data = content(entity)
        change(data)
        wrong = DataMap.model_validate(data)
        known = facts.model_copy(update={"dual_write": (DUAL_WRITE,)}) if number == 15 else facts
        found = lint([*(each for each in SHIPPED if each.entity != entity), wrong], known).findings
        assert {each.rule for each in found} == {number}, (number, found)
        assert {each.entity for each in found} == {entity}
        assert {each.field for each in found} == {field}, (number, found)
        assert all(each.remedy and each.problem and not each.problem.endswith(".") for each in found)


async def test_a_set_a_table_and_a_choice_that_are_not_there_are_named(facts: Facts) -> None:
    order = content("order")
    order["finance"]["set"] = "SalesOrderHeadersV9"
    order["sales"]["table"] = "salesorders"
    found = lint([DataMap.model_validate(order)], await _of_nothing(facts)).findings
    assert [(each.rule, each.field, each.problem) for each in found] == [
        (9, "finance", "Finance has no SalesOrderHeadersV9"),
        (9, "sales", "Dataverse has no salesorders"),
    ]
    order = content("order")
    order["finance"]["filter"] = "CurrencyCode ne 'Status eq x' and Status eq 1"
    order["sales"]["filter"] = "_customerid_value ne null and statecod eq 0"
    found = lint([DataMap.model_validate(order)], facts).findings
    assert [(each.rule, each.field, each.problem) for each in found] == [
        (9, "finance.filter", "SalesOrderHeadersV4 of Finance has no column Status"),
        (9, "sales.filter", "salesorder of Dataverse has no column statecod"),
    ]
    credit = content("customer")
    credit["fields"]["hold"] = {
        "finance": "OnHoldStatus",
        "sales": "creditonhold",
        "owner": "FINANCE",
        "values": {"No": "false", "All": "yes"},
    }
    found = lint([DataMap.model_validate(credit)], facts).findings
    assert [(each.rule, each.problem) for each in found] == [
        (10, "the value map does not say what becomes of Invoice, Payment, Requisition, Never, PurchOrder"),
        (10, "Dataverse has no value yes"),
    ]


async def _of_nothing(facts: Facts) -> Facts:
    return facts.model_copy(update={"sales": {}, "finance": {}})


async def test_a_column_that_nobody_may_write_is_refused(facts: Facts) -> None:
    data = content("customer")
    data["fields"]["changed"] = {"finance": "CredManCreditLimitDate", "sales": "modifiedon", "owner": "FINANCE"}
    found = lint([DataMap.model_validate(data)], facts).findings
    problem = "account.modifiedon of Dataverse cannot be written by an integration"
    assert [(each.rule, each.field, each.problem) for each in found] == [(9, "changed", problem)]


async def test_what_dual_write_runs_is_read_from_its_own_table(bare: Setup) -> None:
    assert await read_running_maps(bare.client) == ()
    definition = table("msdyn_DualWriteRuntimeConfig") | {"EntitySetName": "msdyn_dualwriteruntimeconfigs"}
    await bare.client.odata.post("EntityDefinitions", definition)
    attributes = "EntityDefinitions(LogicalName='msdyn_dualwriteruntimeconfig')/Attributes"
    for name in ("msdyn_InternalEntityName", "msdyn_ExternalEntityName"):
        text = attribute("String", name, MaxLength=200, FormatName={"Value": "Text"})
        await bare.client.odata.post(attributes, text)
    row = {"msdyn_internalentityname": "account", "msdyn_externalentityname": "Customers V3"}
    await bare.client.odata.post("msdyn_dualwriteruntimeconfigs", row)
    assert await read_running_maps(bare.client) == (DUAL_WRITE,)


@pytest.fixture
def run(at_the_sandbox: None) -> Callable[..., Result]:
    """`q2c map`, pointed at the sandbox."""
    return lambda *words, **more: CliRunner().invoke(app, ["map", *words], env=more)


def test_the_command_asks_both_systems(run: Callable[..., Result], tmp_path: Path) -> None:
    found = run("lint", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["ok"], told["maps"], told["findings"], told["unreachable"]) == (True, len(SHIPPED), [], [])
    wrong = content("customer")
    wrong["fields"]["website"]["sales"] = "websiteaddress"
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    found = run("lint", "--map", "wrong.yaml")
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0].startswith(
        "rule 9 (columns exist): customer.website: account of Dataverse has no column websiteaddress. To do: Correct"
    )
    assert found.stdout.splitlines()[-1].startswith("1 map, 1 finding")
    found = run("lint", "--json", Q2C_FINANCE_URL="https://localhost:1")
    told = json.loads(found.stdout)
    assert (found.exit_code, told["ok"], told["findings"]) == (1, False, [])
    assert told["unreachable"] == ["https://localhost:1: nothing listens there. To do: set Q2C_FINANCE_URL."]
    assert {row["rule"] for row in told["not_checked"]} == {5, 6, 7, 9, 10, 11, 12, 13}


async def test_a_system_that_answers_but_does_not_tell_leaves_its_rules_open(
    clients: Clients, at_the_sandbox: None
) -> None:
    refused = {"effect": {"status": 403}, "probability": 1.0, "times": 1}
    places = [("dataverse", "POST", "batch"), ("finance", "GET", "metadata")]
    faults = [{"system": system, "method": method, "path": path} | refused for system, method, path in places]
    await clients.play("PUT", "/faults", faults)
    settings = load_settings()
    facts, problems = await map_facts.ask(settings, SHIPPED)
    assert facts == Facts()
    assert [problem.partition(":")[0] for problem in problems] == ["Finance", "Dataverse"]
