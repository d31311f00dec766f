"""`q2c setup dataverse` against the sandbox: from nothing, again, and from every way in which it can be wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from dynamics.core.auth import GivenToken
from dynamics.core.errors import Refused, Unauthorized
from dynamics.sales.setup import blueprint
from dynamics.sales.setup.environment import set_up
from dynamics.sales.setup.webhook import Receiver
from sandbox.runtime import Sandbox, SandboxConfig, running
from tests.contract.setup_world import (
    CRM,
    IN_SOLUTION,
    RECEIVER,
    WEB,
    Setup,
    client_of,
    give_up_administration,
    images,
    link,
    token_of,
)


@pytest.fixture(scope="module")
async def installed_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("installed"))) as sandbox:
        yield sandbox


ADMINISTRATOR = {"application user": "it is a System Administrator"}


async def test_a_bare_environment_gets_everything_and_a_second_run_changes_nothing(bare: Setup) -> None:
    first = await bare.run()
    before = bare.fingerprint()
    again = await bare.run()

    parts = len(blueprint.COLUMNS) + len(blueprint.RELATIONSHIPS) + len(blueprint.KEYS) + len(blueprint.STEPS)
    assert sum(outcome.done for outcome in first.values()) >= parts + 4  # publisher, solution, table, role, endpoint
    assert {part: outcome.finding.problem for part, outcome in again.items()} == ADMINISTRATOR
    assert bare.fingerprint() == before


async def test_looking_changes_nothing_and_names_everything(bare: Setup) -> None:
    before = bare.fingerprint()

    found = await bare.problems()

    assert bare.fingerprint() == before
    for column in blueprint.COLUMNS:
        assert found[f"column {column.table}.{column.name}"].doing == "create it"
    for step in blueprint.STEPS:
        assert found[f"webhook step {step.message} of {step.table}"].problem == "missing"


async def test_the_sandboxs_own_solution_is_what_the_blueprint_describes(installed_sandbox: Sandbox) -> None:
    """Read with the documented role alone: that is what `q2c doctor` has."""
    installed_sandbox.dataverse.set_webhook(RECEIVER.url, "key")
    async with client_of(installed_sandbox) as client:
        assert await Setup(installed_sandbox, client).problems() == {}


async def test_what_was_set_up_is_told_to_the_web_application_with_its_key(ready: Setup) -> None:
    endpoint = ready.row("serviceendpoint", name="Quote to Cash")

    assert (endpoint["url"], endpoint["contract"], endpoint["authtype"]) == (f"{WEB}/intake/dataverse", 8, 5)
    assert f"{blueprint.KEY_HEADER}" in endpoint["authvalue"]
    with_images = {step["name"] for step in ready.environment.rows("sdkmessageprocessingstep") if images(ready, step)}
    assert with_images == {
        "Quote to Cash: Create of quote",
        "Quote to Cash: Update of quote",
        "Quote to Cash: Update of opportunity",
    }


async def test_the_role_holds_what_is_documented_and_no_more(ready: Setup) -> None:
    role = ready.row("role", name="Quote to Cash")
    held = {
        (ready.environment.get("privileges", link["privilegeid"]) or {})["name"]: link["privilegedepthmask"]
        for link in ready.environment.rows("roleprivileges", roleid=role["roleid"])
    }

    assert set(held.values()) == {8}
    assert not any(name.startswith(("prvDelete", "prvShare")) for name in held)
    assert {"prvWriteQuote", "prvCreateq2c_Deal", "prvAssignInvoice", "prvReadServiceEndpoint"} <= held.keys()
    assert "prvCreateQuote" not in held


# --- what can be wrong, and is repaired -------------------------------------------------------------------------------


async def _disable(setup: Setup) -> None:
    setup.environment.update(
        "sdkmessageprocessingsteps",
        setup.step("Win", "quote")["sdkmessageprocessingstepid"],
        {"statecode": 1, "statuscode": 2},
    )


async def _narrow_filter(setup: Setup) -> None:
    step = setup.step("Update", "quote")["sdkmessageprocessingstepid"]
    setup.environment.update("sdkmessageprocessingsteps", step, {"filteringattributes": "name"})


async def _synchronous(setup: Setup) -> None:
    step = setup.step("Revise", "quote")["sdkmessageprocessingstepid"]
    setup.environment.update("sdkmessageprocessingsteps", step, {"mode": 0})


async def _drop_image(setup: Setup) -> None:
    (image,) = images(setup, setup.step("Create", "quote"))
    setup.environment.delete("sdkmessageprocessingstepimages", image["sdkmessageprocessingstepimageid"])


async def _poor_image(setup: Setup) -> None:
    (image,) = images(setup, setup.step("Update", "quote"))
    row_id = image["sdkmessageprocessingstepimageid"]
    setup.environment.update("sdkmessageprocessingstepimages", row_id, {"attributes": "quotenumber"})


async def _drop_step(setup: Setup) -> None:
    step = setup.step("Lose", "opportunity")["sdkmessageprocessingstepid"]
    setup.environment.delete("sdkmessageprocessingsteps", step)


async def _elsewhere(setup: Setup) -> None:
    endpoint = setup.row("serviceendpoint", name="Quote to Cash")["serviceendpointid"]
    setup.environment.update("serviceendpoints", endpoint, {"url": "https://old.example/intake/dataverse"})


async def _no_key(setup: Setup) -> None:
    endpoint = setup.row("serviceendpoint", name="Quote to Cash")["serviceendpointid"]
    setup.environment.update("serviceendpoints", endpoint, {"authvalue": None})


async def _short_column(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='quote')/Attributes(LogicalName='q2c_caseid')"
    definition = await setup.client.odata.get(f"{path}/{CRM}.StringAttributeMetadata")
    await setup.client.odata.put(path, definition | {"MaxLength": 20})


async def _lost_option(setup: Setup) -> None:
    body = {"EntityLogicalName": "quote", "AttributeLogicalName": "q2c_approvalstatus", "Value": 100000004}
    await setup.client.odata.action("DeleteOptionValue", body)


async def _lost_column(setup: Setup) -> None:
    await setup.client.odata.delete("EntityDefinitions(LogicalName='quote')/Attributes(LogicalName='q2c_creditstatus')")


async def _lost_key(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='salesorder')/Keys"
    (key,) = await setup.client.odata.all_rows(path)
    await setup.client.odata.delete(f"{path}({key['MetadataId']})")


async def _untracked(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='opportunity')"
    definition = await setup.client.odata.get(path)
    await setup.client.odata.put(path, definition | {"ChangeTrackingEnabled": False})


async def _lost_relationship(setup: Setup) -> None:
    await setup.client.odata.delete("RelationshipDefinitions(SchemaName='q2c_invoice_deals')")


async def _lost_privilege(setup: Setup) -> None:
    role = setup.row("role", name="Quote to Cash")["roleid"]
    name = "prvCreateInvoice"
    privilege = setup.row("privilege", name=name)["privilegeid"]
    await setup.client.odata.action(f"roles({role})/{CRM}.RemovePrivilegeRole", {"PrivilegeId": privilege})


async def _shallow_privilege(setup: Setup) -> None:
    role = setup.row("role", name="Quote to Cash")["roleid"]
    privilege = setup.row("privilege", name="prvReadQuote")["privilegeid"]
    body = {"Privileges": [{"PrivilegeId": privilege, "Depth": "Local"}]}
    await setup.client.odata.action(f"roles({role})/{CRM}.AddPrivilegesRole", body)


async def _role_taken_away(setup: Setup) -> None:
    link(setup, "Quote to Cash", add=False)


async def _outside_the_solution(setup: Setup) -> None:
    role = setup.row("role", name="Quote to Cash")["roleid"]
    setup.environment.components.remove(role)


async def _column_outside(setup: Setup) -> None:
    entity = setup.environment.schema.by_name["quote"]
    setup.environment.components.remove(entity.column_metadata_id("q2c_caseid"))


async def _nothing_audited(setup: Setup) -> None:
    environment = setup.environment
    (organization,) = environment.rows("organization")
    environment.update("organizations", organization["organizationid"], {"isauditenabled": False})


async def _table_not_audited(setup: Setup) -> None:
    await _not_audited(setup, "EntityDefinitions(LogicalName='quotedetail')", "")


async def _column_not_audited(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='quotedetail')/Attributes(LogicalName='manualdiscountamount')"
    await _not_audited(setup, path, f"/{CRM}.MoneyAttributeMetadata")


async def _not_audited(setup: Setup, path: str, kind: str) -> None:
    definition = await setup.client.odata.get(path + kind)
    body = {**definition, "IsAuditEnabled": {**definition["IsAuditEnabled"], "Value": False}}
    await setup.client.odata.put(path, body)
    await setup.client.odata.action("PublishAllXml", {})


REPAIRED = [
    (_disable, "webhook step Win of quote", "disabled"),
    (_narrow_filter, "webhook step Update of quote", "its filtering attributes are name, not"),
    (_synchronous, "webhook step Revise of quote", "does not run asynchronously"),
    (_drop_image, "webhook step Create of quote", "no image of afterwards"),
    (_poor_image, "webhook step Update of quote", "its image lacks revisionnumber"),
    (_drop_step, "webhook step Lose of opportunity", "missing"),
    (_elsewhere, "webhook endpoint", "it sends to https://old.example/intake/dataverse"),
    (_no_key, "webhook endpoint", "shows no key"),
    (_short_column, "column quote.q2c_caseid", "takes 20 characters, not 200"),
    (_lost_option, "column quote.q2c_approvalstatus", "lacks 100000004 (Rejected)"),
    (_lost_column, "column quote.q2c_creditstatus", "missing"),
    (_lost_key, "alternate key of salesorder", "no key over q2c_financeordernumber"),
    (_untracked, "change tracking of opportunity", "off"),
    (_lost_relationship, "relationship q2c_invoice_deals", "missing"),
    (_lost_privilege, "role Quote to Cash", "lacks Create of invoice"),
    (_shallow_privilege, "role Quote to Cash", "lacks Read of quote"),
    (_role_taken_away, "application user", "does not hold the role"),
    (_outside_the_solution, "role Quote to Cash", "not in the solution"),
    (_column_outside, "column quote.q2c_caseid", "not in the solution"),
    (_nothing_audited, "auditing of the organization", "off"),
    (_table_not_audited, "auditing of quotedetail", "off"),
    (_column_not_audited, "auditing of quotedetail", "off for manualdiscountamount"),
]


@pytest.mark.parametrize(("spoil", "part", "said"), REPAIRED, ids=[spoil.__name__ for spoil, _, _ in REPAIRED])
async def test_a_difference_is_named_and_repaired(ready: Setup, spoil: Any, part: str, said: str) -> None:
    await spoil(ready)

    found = await ready.problems()
    outcomes = await ready.run()

    wrong = {name: finding for name, finding in found.items() if finding.problem != ADMINISTRATOR.get(name)}
    assert set(wrong) == {part}
    assert said in wrong[part].problem
    assert wrong[part].repair is not None and wrong[part].doing
    assert outcomes[part].done or part == "application user"
    give_up_administration(ready)
    assert await ready.problems() == {}


# --- what can be wrong, and is left to a person -----------------------------------------------------------------------


async def _other_type(setup: Setup) -> None:
    await _lost_column(setup)
    column = {"@odata.type": f"{CRM}.StringAttributeMetadata", "SchemaName": "q2c_CreditStatus"}
    await setup.client.odata.post("EntityDefinitions(LogicalName='quote')/Attributes", column, headers=IN_SOLUTION)


async def _other_lookup(setup: Setup) -> None:
    await _lost_relationship(setup)
    body = {
        "@odata.type": f"{CRM}.OneToManyRelationshipMetadata",
        "SchemaName": "q2c_account_deals",
        "ReferencedEntity": "account",
        "ReferencingEntity": "q2c_deal",
        "Lookup": {"SchemaName": "q2c_InvoiceId"},
    }
    await setup.client.odata.post("RelationshipDefinitions", body, headers=IN_SOLUTION)


async def _other_key(setup: Setup) -> None:
    await _lost_key(setup)
    body = {"SchemaName": "q2c_FinanceOrderNumber_key", "KeyAttributes": ["ordernumber"]}
    await setup.client.odata.post("EntityDefinitions(LogicalName='salesorder')/Keys", body, headers=IN_SOLUTION)


async def _deletes(setup: Setup) -> None:
    role = setup.row("role", name="Quote to Cash")["roleid"]
    privilege = setup.row("privilege", name="prvDeleteQuote")["privilegeid"]
    body = {"Privileges": [{"PrivilegeId": privilege, "Depth": "Global"}]}
    await setup.client.odata.action(f"roles({role})/{CRM}.AddPrivilegesRole", body)


async def _twice(setup: Setup) -> None:
    step = setup.step("Win", "quote")
    made = setup.environment.create(
        "sdkmessageprocessingsteps",
        {
            "name": "another",
            **{name: step[name] for name in ("mode", "stage", "rank")},
            "sdkmessageid@odata.bind": f"/sdkmessages({step['_sdkmessageid_value']})",
            "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({step['_sdkmessagefilterid_value']})",
            "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({step['_eventhandler_value']})",
        },
    )
    setup.environment.components.add("QuoteToCash", 92, made["sdkmessageprocessingstepid"])


async def _other_prefix(setup: Setup) -> None:
    publisher = setup.row("publisher", uniquename="q2c")["publisherid"]
    setup.environment.update("publishers", publisher, {"customizationprefix": "abc"})


async def _other_format(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='q2c_deal')/Attributes"
    await setup.client.odata.delete(f"{path}(LogicalName='q2c_link')")
    column = {"@odata.type": f"{CRM}.StringAttributeMetadata", "SchemaName": "q2c_Link", "MaxLength": 500}
    await setup.client.odata.post(path, column, headers=IN_SOLUTION)


async def _days_only(setup: Setup) -> None:
    path = "EntityDefinitions(LogicalName='q2c_deal')/Attributes"
    await setup.client.odata.delete(f"{path}(LogicalName='q2c_waitingsince')")
    behavior = {"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}
    column = {"@odata.type": f"{CRM}.DateTimeAttributeMetadata", "SchemaName": "q2c_WaitingSince", **behavior}
    await setup.client.odata.post(path, column, headers=IN_SOLUTION)


async def _disabled_user(setup: Setup) -> None:
    """Looked at by somebody else: who is disabled cannot look."""
    user = setup.row("systemuser", applicationid=setup.application)["systemuserid"]
    setup.environment.update("systemusers", user, {"isdisabled": True})
    setup.client.odata._tokens = GivenToken(token_of(setup.sandbox, "ada"))


REFUSED = [
    (_other_type, "column quote.q2c_creditstatus", "its type is String, not Picklist", "delete the column"),
    (_other_lookup, "relationship q2c_invoice_deals", "does not lead to invoice", "delete the column q2c_deal"),
    (_other_key, "alternate key of salesorder", "is over ordernumber", "delete the key"),
    (_deletes, "role Quote to Cash", "also allows Delete of quote", "take it away from the role"),
    (_twice, "webhook step Win of quote", "registered 2 times", "delete all but one"),
    (_other_prefix, "publisher q2c", "its prefixes are abc", "correct the prefixes"),
    (_other_format, "column q2c_deal.q2c_link", "its format is Text, not Url", "set the column's format"),
    (_days_only, "column q2c_deal.q2c_waitingsince", "its behavior is DateOnly", "time zone adjustment"),
    (_disabled_user, "application user", "disabled", "activate it"),
]


@pytest.mark.parametrize(("spoil", "part", "said", "todo"), REFUSED, ids=[spoil.__name__ for spoil, *_ in REFUSED])
async def test_what_is_not_safe_to_repair_is_left_with_what_to_do(
    ready: Setup, spoil: Any, part: str, said: str, todo: str
) -> None:
    await spoil(ready)
    before = ready.fingerprint()

    outcomes = await ready.run()

    found = outcomes[part].finding
    assert said in found.problem
    assert found.repair is None
    assert todo in found.remedy
    assert not outcomes[part].settled
    assert ready.fingerprint() == before


async def test_a_key_over_numbers_that_occur_twice_is_refused_by_dataverse_and_said(ready: Setup) -> None:
    await _lost_key(ready)
    account = ready.environment.rows("account")[0]["accountid"]
    for _ in range(2):
        bound = {"customerid_account@odata.bind": f"/accounts({account})"}
        ready.environment.create("salesorders", {"name": "x", "q2c_financeordernumber": "1", **bound})

    outcomes = await ready.run()

    assert "q2c_financeordernumber_key" in outcomes["alternate key of salesorder"].error.lower()


async def test_an_application_nobody_made_a_user_of_gets_one_with_the_role(bare: Setup) -> None:
    application = "5f0e8a49-0d8c-4e1f-9a01-b5a4c0de6f1d"

    outcomes = [outcome async for outcome in set_up(bare.client.odata, application, RECEIVER)]

    (user,) = [outcome for outcome in outcomes if outcome.finding.part == "application user"]
    assert user.done
    made = bare.row("systemuser", applicationid=application)["systemuserid"]
    held = bare.row("systemuserroles", systemuserid=made)
    assert (bare.environment.get("roles", held["roleid"]) or {})["name"] == "Quote to Cash"


async def test_the_key_is_sent_again_only_when_asked(ready: Setup) -> None:
    renewed = await ready.run(Receiver(WEB, "another key", renew=True))
    unknown = await ready.problems(Receiver("https://other.example", None))

    assert renewed["webhook endpoint"].done
    assert "another key" in ready.row("serviceendpoint", name="Quote to Cash")["authvalue"]
    assert "set Q2C_DATAVERSE_WEBHOOK_KEY" in unknown["webhook endpoint"].remedy


async def test_a_port_that_webhooks_are_not_sent_to_is_named(ready: Setup) -> None:
    found = await ready.problems(Receiver("https://approvals.contoso.example:8000", "key"))

    assert "ports 80 and 443 only" in found["webhook endpoint"].problem
    assert "Q2C_WEB_URL" in found["webhook endpoint"].remedy


async def test_who_may_not_change_the_schema_is_told_so_and_nothing_is_half_done(bare: Setup) -> None:
    before = bare.fingerprint()
    async with client_of(bare.sandbox, token_of(bare.sandbox, "rita")) as client:
        outcomes = await Setup(bare.sandbox, client).run()

    assert "prvReadPublisher" in outcomes["solution"].finding.problem
    assert outcomes["everything else"].finding.unknown
    assert bare.fingerprint() == before


async def test_the_product_s_own_role_looks_and_cannot_set_up(installed_sandbox: Sandbox) -> None:
    environment = installed_sandbox.dataverse
    environment.set_webhook(RECEIVER.url, "key")
    quote = environment.schema.by_name["quote"]
    environment.tables.delete_column(quote, quote.columns["q2c_creditstatus"])
    async with client_of(installed_sandbox) as client:
        setup = Setup(installed_sandbox, client)
        assert list(await setup.problems()) == ["column quote.q2c_creditstatus"]
        with pytest.raises(Refused, match="is missing prvCreateAttribute"):
            await setup.run()
    await installed_sandbox.desk.reset()


async def test_a_part_the_role_may_not_read_is_unknown_and_not_wrong(ready: Setup) -> None:
    role = ready.row("role", name="Quote to Cash")["roleid"]
    privilege = ready.row("privilege", name="prvReadServiceEndpoint")["privilegeid"]
    await ready.client.odata.action(f"roles({role})/{CRM}.RemovePrivilegeRole", {"PrivilegeId": privilege})
    give_up_administration(ready)

    found = await ready.problems()

    assert found["webhook"].unknown and "prvReadServiceEndpoint" in found["webhook"].problem
    assert "lacks Read of serviceendpoint" in found["role Quote to Cash"].problem


async def test_a_given_token_that_is_refused_is_said_to_be_it(bare: Setup) -> None:
    async with client_of(bare.sandbox, "not a token") as client:
        with pytest.raises(Unauthorized, match="the given token was refused"):
            UUID(str(await client.who_am_i()))


def test_every_value_the_product_writes_is_an_option_of_its_column() -> None:
    for column in blueprint.COLUMNS:
        if column.options is not None:
            members = next(iter(column.options))
            assert set(column.options) == set(type(members)), column.name


def test_only_messages_that_have_images_ask_for_one() -> None:
    """Microsoft Learn, "Register a plug-in": of those we use only these have an image of afterwards."""
    assert {step.message for step in blueprint.STEPS if step.image} == {"Create", "Update"}
