"""Auditing by `q2c setup dataverse`: turned on for who asks for it, named to everybody else, and enough of it."""

from __future__ import annotations

from dynamics.sales import queries
from dynamics.sales.setup import blueprint
from tests.contract.setup_world import Setup


async def test_auditing_is_turned_on_for_who_asks_and_named_to_everybody_else(bare: Setup) -> None:
    parts = {"auditing of the organization", "auditing of quote", "auditing of quotedetail"}

    left = await bare.run(auditing=False)

    assert not any(left[part].settled for part in parts)
    assert all("--enable-auditing" in left[part].finding.remedy for part in parts)
    done = await bare.run(auditing=True)
    assert {part for part, outcome in done.items() if outcome.done} == parts
    audited = await bare.client.odata.all_rows(
        "EntityDefinitions?$select=LogicalName&$filter=IsAuditEnabled/Value eq true and IsPrivate eq false"
    )
    assert {"quote", "quotedetail"} <= {row["LogicalName"] for row in audited}


async def test_after_the_set_up_who_changes_a_line_is_in_the_audit(ready: Setup) -> None:
    bound = {"customerid_account@odata.bind": f"/accounts({ready.environment.rows('account')[0]['accountid']})"}
    quote = ready.environment.create("quotes", {"name": "x", **bound})

    ready.environment.update("quotes", quote["quoteid"], {"name": "y"})

    path = f"audits?$select=operation&$filter=_objectid_value eq {quote['quoteid']}"
    assert sorted(row["operation"] for row in await ready.client.odata.all_rows(path)) == [1, 2]


async def test_what_a_person_enters_and_the_product_reads_of_a_quote_is_audited(ready: Setup) -> None:
    """Every column of quotes and lines that is read, may be written by a person, and is not the product's own."""
    ours = {"q2c_approvalreason", "q2c_caseid", "q2c_creditstatus"}
    platform = {"quoteid", "quotedetailid", "quotenumber", "statecode", "statuscode", "closedon", "pricingerrorcode"}
    platform |= {"volumediscountamount"}
    for table, select in (("quote", queries._QUOTE_SELECT), ("quotedetail", queries._QUOTE_LINE_SELECT)):
        columns = [ready.environment.schema.by_name[table].named(name) for name in select.split(",")]
        entered = {column.name for column in columns if column and not (column.read_only or column.computed)}
        assert entered - ours - platform <= set(blueprint.AUDITED[table])
