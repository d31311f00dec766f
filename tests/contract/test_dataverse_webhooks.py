"""Webhooks: which messages are sent, what they hold, in which order, and how they get lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.dataverse import webhooks
from sandbox.odata.jsonio import decode
from sandbox.serving import HttpServer
from tests.contract.dataverse_world import World, bind, closing


class Receiver:
    """An endpoint that notes what it is sent and answers with the statuses it was told to, 200 after that."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.queries: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.app = Starlette(routes=[Route("/intake/dataverse", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        self.queries.append(request.url.query)
        self.bodies.append(decode(await request.body()))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    def messages(self) -> list[tuple[str, str]]:
        return [(body["PrimaryEntityName"], body["MessageName"]) for body in self.bodies]


@pytest.fixture
async def receiver(sales: World) -> AsyncIterator[Receiver]:
    found = Receiver()
    server = HttpServer("receiver", "127.0.0.1", 0, None)
    await server.start(found.app)
    sales.dataverse.set_webhook(f"{server.origin}/intake/dataverse", "s3cret")
    yield found
    await sales.dataverse.aclose()
    await server.stop()


def _attributes(entity: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in entity["Attributes"]}


async def test_the_reps_request_reaches_the_endpoint_as_documented(sales: World, receiver: Receiver) -> None:
    quote = sales.quote(sales.line("1"), quotenumber="Q-1001", expireson="2026-11-30")
    sales.dataverse.update("quotes", quote["quoteid"], {"q2c_approvalstatus": 100000001}, user=sales.rita)
    await sales.dataverse.webhooks.drain()

    assert receiver.messages() == [("quote", "Create"), ("quote", "Update")]
    headers, body = receiver.headers[1], receiver.bodies[1]
    assert headers["x-q2c-webhook-key"] == "s3cret"
    assert headers["x-ms-dynamics-organization"] == "contoso"
    assert headers["x-ms-dynamics-entity-name"] == "quote"
    assert headers["x-ms-dynamics-request-name"] == "Update"
    assert headers["x-ms-correlation-request-id"] == body["CorrelationId"]
    assert body["PrimaryEntityId"] == quote["quoteid"]
    assert (body["Stage"], body["Mode"], body["Depth"]) == (40, 1, 1)
    assert body["InitiatingUserId"] == sales.rita
    assert body["BusinessUnitId"] == sales.unit
    assert body["OperationCreatedOn"].startswith("/Date(")
    (parameter,) = body["InputParameters"]
    target = _attributes(parameter["value"])
    assert parameter["key"] == "Target"
    assert parameter["value"]["__type"] == "Entity:http://schemas.microsoft.com/xrm/2011/Contracts"
    assert target["q2c_approvalstatus"]["Value"] == 100000001
    assert target["modifiedby"]["Id"] == sales.rita
    assert int(parameter["value"]["RowVersion"]) > 0
    images = {image["key"]: _attributes(image["value"]) for image in body["PostEntityImages"]}
    assert images["AsynchronousStepPrimaryName"] == {"name": "A quote", "quoteid": quote["quoteid"]}
    row = images["PostImage"]
    assert row["quotenumber"] == "Q-1001"
    assert row["revisionnumber"] == 0
    assert row["statecode"]["Value"] == 0
    assert (row["owningbusinessunit"]["Id"], row["owningbusinessunit"]["Name"]) == (sales.unit, None)
    assert row["owningbusinessunit"]["LogicalName"] == "businessunit"
    assert row["ownerid"]["Id"] == sales.rita
    assert row["expireson"] == f"/Date({int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1000)})/"
    assert row["versionnumber"] > 0


async def test_the_context_holds_what_the_platform_adds(sales: World, receiver: Receiver) -> None:
    quote = sales.quote(sales.line("1"), quotenumber="Q-1001", expireson="2026-11-30")
    await sales.dataverse.webhooks.drain()

    (body,) = receiver.bodies
    assert body["OutputParameters"] == [{"key": "id", "value": quote["quoteid"]}]
    assert body["RequestId"] and body["RequestId"] != body["CorrelationId"]
    parent = body["ParentContext"]
    assert (parent["Stage"], parent["ParentContext"], parent["RequestId"]) == (30, None, body["RequestId"])
    sent, stored = (context["InputParameters"][0]["value"] for context in (parent, body))
    assert "statecode" not in _attributes(sent) and "statecode" in _attributes(stored)
    assert sent["FormattedValues"] == []
    formatted = {item["key"]: item["value"] for item in stored["FormattedValues"]}
    assert formatted["statecode"] == "Draft"
    assert formatted["expireson"] == "2026-11-30T00:00:00-00:00"
    (image,) = [image["value"] for image in body["PostEntityImages"] if image["key"] == "PostImage"]
    assert {"key": "q2c_approvalstatus", "value": "None"} in image["FormattedValues"]


async def test_updates_of_other_columns_are_not_sent(sales: World, receiver: Receiver) -> None:
    quote = sales.quote(sales.line("1"))
    sales.dataverse.update("quotes", quote["quoteid"], {"description": "x"}, user=sales.rita)
    sales.dataverse.create("accounts", {"name": "Not registered"})
    await sales.dataverse.webhooks.drain()

    assert receiver.messages() == [("quote", "Create")]


async def test_the_life_of_a_quote_is_told_in_order(sales: World, receiver: Receiver) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    sales.close_quote("CloseQuote", quote, 7)
    revised = sales.dataverse.action("ReviseQuote", {"QuoteId": quote["quoteid"]}, user=sales.rita)
    assert revised is not None
    await sales.dataverse.webhooks.drain()
    sales.activate(revised)
    sales.close_quote("WinQuote", revised, 4)
    await sales.dataverse.webhooks.drain()
    sales.dataverse.delete("quotes", quote["quoteid"], user=sales.rita)
    await sales.dataverse.webhooks.drain()

    of_first = [body["MessageName"] for body in receiver.bodies if body["PrimaryEntityId"] == quote["quoteid"]]
    of_second = [body["MessageName"] for body in receiver.bodies if body["PrimaryEntityId"] == revised["quoteid"]]
    assert of_first == ["Create", "Update", "Close", "Revise", "Delete"]
    assert of_second == ["Create", "Update", "Win"]
    created = next(body for body in receiver.bodies if body["PrimaryEntityId"] == revised["quoteid"])
    assert _attributes(created["PostEntityImages"][0]["value"])["revisionnumber"] == 1


@pytest.mark.parametrize(("action", "message", "status"), [("WinQuote", "Win", 4), ("CloseQuote", "Close", 5)])
async def test_the_end_of_a_quote_carries_its_request_and_no_images(
    sales: World, receiver: Receiver, action: str, message: str, status: int
) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    sales.close_quote(action, quote, status)
    await sales.dataverse.webhooks.drain()

    body = receiver.bodies[-1]
    assert body["MessageName"] == message
    parameters = {item["key"]: item["value"] for item in body["InputParameters"]}
    assert parameters.keys() == {"QuoteClose", "Status"}
    assert parameters["Status"]["Value"] == status
    assert parameters["QuoteClose"]["LogicalName"] == "quoteclose"
    assert _attributes(parameters["QuoteClose"])["quoteid"]["Id"] == quote["quoteid"]
    assert body["PostEntityImages"] == body["PreEntityImages"] == []


@pytest.mark.parametrize(
    ("action", "message", "status"), [("WinOpportunity", "Win", 3), ("LoseOpportunity", "Lose", 5)]
)
async def test_the_end_of_an_opportunity_carries_its_request_and_no_images(
    sales: World, receiver: Receiver, action: str, message: str, status: int
) -> None:
    opportunity = sales.dataverse.create(
        "opportunities", {"name": "Deal", **bind("ownerid", "systemusers", sales.rita)}
    )
    sales.dataverse.action(action, {"Status": status, "OpportunityClose": closing("opportunity", opportunity)})
    await sales.dataverse.webhooks.drain()

    assert receiver.messages() == [("opportunity", message)]
    (body,) = receiver.bodies
    parameters = {item["key"]: item["value"] for item in body["InputParameters"]}
    assert parameters.keys() == {"OpportunityClose", "Status"}
    assert parameters["Status"]["Value"] == status
    assert _attributes(parameters["OpportunityClose"])["opportunityid"]["Id"] == opportunity["opportunityid"]
    assert body["PostEntityImages"] == body["PreEntityImages"] == []


@pytest.mark.parametrize(
    ("message", "kind"), [("Win", 1), ("Close", 1), ("Lose", 0), ("Create", 0), ("Create", 2), ("Delete", 1)]
)
def test_an_image_is_refused_where_the_message_has_none(sales: World, message: str, kind: int) -> None:
    table = "opportunity" if message == "Lose" else "quote"
    (step,) = sales.dataverse.rows("sdkmessageprocessingstep", name=f"Quote to Cash: {message} of {table}")
    of_step = bind("sdkmessageprocessingstepid", "sdkmessageprocessingsteps", step["sdkmessageprocessingstepid"])
    image = {"name": "image", "entityalias": "image", "imagetype": kind, "messagepropertyname": "Target", **of_step}

    assert sales.refused("POST", "sdkmessageprocessingstepimages", image)[0] == 400
    assert sales.dataverse.rows("sdkmessageprocessingstepimage", name="image") == []


async def test_what_is_rolled_back_is_never_sent(sales: World, receiver: Receiver) -> None:
    with pytest.raises(RuntimeError), sales.dataverse.db.transaction():
        sales.quote(sales.line("1"))
        raise RuntimeError
    await sales.dataverse.webhooks.drain()

    assert receiver.bodies == []


@pytest.mark.parametrize(
    ("statuses", "attempts", "lost"),
    [([503], 2, 0), ([502, 504], 2, 1), ([503, 503, 503], 2, 1), ([500], 1, 1), ([429], 1, 1), ([404], 1, 1)],
)
async def test_only_502_503_and_504_are_retried_and_only_once(
    sales: World,
    receiver: Receiver,
    statuses: list[int],
    attempts: int,
    lost: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "_RETRY_AFTER_SECONDS", 0.0)
    receiver.statuses = list(statuses)

    sales.quote()
    await sales.dataverse.webhooks.drain()

    assert len(receiver.bodies) == attempts
    assert len(sales.dataverse.webhooks.failures) == lost
    assert sales.dataverse.webhooks.sent == 1 - lost


async def test_an_endpoint_that_is_down_loses_the_message_and_blocks_nobody(sales: World, receiver: Receiver) -> None:
    sales.dataverse.set_webhook("http://127.0.0.1:9/nobody", "key")

    quote = sales.quote(sales.line("1"))
    assert sales.again(quote)["totalamount"] == 100
    await sales.dataverse.webhooks.drain()

    (failure,) = sales.dataverse.webhooks.failures
    assert (failure.entity, failure.message, failure.row_id) == ("quote", "Create", quote["quoteid"])


async def test_a_body_over_the_limit_loses_its_parameters_and_images(
    sales: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhooks._MAX_BYTES == 256 * 1024
    monkeypatch.setattr(webhooks, "_MAX_BYTES", 2000)

    quote = sales.quote(quotenumber="Q-1")
    await sales.dataverse.webhooks.drain()

    (body,) = receiver.bodies
    assert receiver.headers[0]["x-ms-dynamics-msg-size-exceeded"] == "true"
    assert {"InputParameters", "PostEntityImages", "PreEntityImages", "ParentContext"}.isdisjoint(body)
    assert body["PrimaryEntityId"] == quote["quoteid"]


async def test_the_size_counts_the_parents_context_and_escaped_slashes(sales: World, receiver: Receiver) -> None:
    for sign in "x/":
        sales.quote(quotenumber=f"Q-{ord(sign)}", description=sign * 1000)
        await sales.dataverse.webhooks.drain()

    plain, escaped = (int(headers["content-length"]) for headers in receiver.headers)
    assert plain > 2000
    assert escaped - plain == pytest.approx(2000, abs=10)


async def _register(sales: World, url: str, auth: dict[str, object], message: str, image: dict[str, object]) -> None:
    """What a setup sends to register one step of accounts, as the Plug-in Registration Tool does."""
    endpoint = {"name": "Mine", "url": url, "contract": 8, "messageformat": 2, **auth}
    made = sales.dataverse.create("serviceendpoints", endpoint)
    (found,) = sales.dataverse.query(
        "sdkmessagefilters", f"primaryobjecttypecode eq 'account' and sdkmessageid/name eq '{message}'"
    )
    step = sales.dataverse.create(
        "sdkmessageprocessingsteps",
        {
            "name": f"{message} of account",
            "mode": 1,
            "stage": 40,
            "rank": 1,
            "filteringattributes": "name,telephone1" if message == "Update" else None,
            **bind("sdkmessageid", "sdkmessages", found["_sdkmessageid_value"]),
            **bind("sdkmessagefilterid", "sdkmessagefilters", found["sdkmessagefilterid"]),
            **bind("eventhandler_serviceendpoint", "serviceendpoints", made["serviceendpointid"]),
        },
    )
    if image:
        of_step = bind("sdkmessageprocessingstepid", "sdkmessageprocessingsteps", step["sdkmessageprocessingstepid"])
        sales.dataverse.create("sdkmessageprocessingstepimages", {"name": "img", **image, **of_step})


@pytest.mark.parametrize(
    ("auth", "header", "query"),
    [
        (
            {"authtype": 5, "authvalue": '<settings><setting name="x-key" value="a&amp;b"/></settings>'},
            ("x-key", "a&b"),
            "",
        ),
        ({"authtype": 4, "authvalue": "s/ecret"}, None, "code=s%2Fecret"),
        ({"authtype": 6, "authvalue": '<settings><setting name="k" value="v"/></settings>'}, None, "k=v"),
    ],
    ids=["HttpHeader", "WebhookKey", "HttpQueryString"],
)
async def test_steps_that_a_setup_registers_are_sent(
    sales: World, receiver: Receiver, auth: dict[str, object], header: tuple[str, str] | None, query: str
) -> None:
    image = {"entityalias": "both", "messagepropertyname": "Target", "imagetype": 2, "attributes": "name,telephone1"}
    url = str(sales.dataverse.rows("serviceendpoint")[0]["url"])
    await _register(sales, url, auth, "Update", image)

    sales.dataverse.update("accounts", sales.account, {"websiteurl": "https://not.filtered.example"})
    sales.dataverse.update("accounts", sales.account, {"name": "Renamed"})
    await sales.dataverse.webhooks.drain()

    (body,) = receiver.bodies
    assert body["PrimaryEntityName"] == "account"
    before, after = (
        {image["key"]: _attributes(image["value"]) for image in body[name]}
        for name in ("PreEntityImages", "PostEntityImages")
    )
    assert before.keys() == {"both"} and after.keys() == {"both", "AsynchronousStepPrimaryName"}
    assert (before["both"]["name"], after["both"]["name"]) == ("Contoso Retail", "Renamed")
    assert header is None or receiver.headers[0][header[0]] == header[1]
    assert receiver.queries == [query]


async def test_a_disabled_step_is_not_sent(sales: World, receiver: Receiver) -> None:
    url = str(sales.dataverse.rows("serviceendpoint")[0]["url"])
    await _register(sales, url, {"authtype": 4, "authvalue": "x"}, "Update", {})
    (step,) = sales.dataverse.rows("sdkmessageprocessingstep", name="Update of account")
    change = {"statecode": 1, "statuscode": 2}
    sales.dataverse.update("sdkmessageprocessingsteps", step["sdkmessageprocessingstepid"], change)

    sales.dataverse.update("accounts", sales.account, {"name": "Renamed"})
    await sales.dataverse.webhooks.drain()

    assert receiver.bodies == []


def test_an_endpoints_secret_can_be_written_but_not_read(sales: World) -> None:
    sales.dataverse.set_webhook("https://example.com/hook", "s3cret")

    answer = sales.request("GET", "serviceendpoints")

    assert "s3cret" not in answer.text
    assert '"isauthvalueset":true' in answer.text
    assert sales.refused("GET", "serviceendpoints?$select=authvalue")[0] == 400
