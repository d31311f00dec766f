"""The table of rights, cell by cell: through the API, through the pages, and by messages sent past the web.

What every cell expects is written out in ``tests.rights``. A message that the web refuses is refused by the deal with
the same code, should it reach it by another way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from joserfc.jwk import KeySet, OKPKey
from starlette.applications import Starlette
from temporalio.client import Client

from activities.decisions import SignedDecisionActivities
from activities.signatures import Proofs
from domain import facts
from domain.commands import fact_of
from domain.messages import CommandName
from domain.payments import Refund
from domain.people import Person
from domain.policy import Policy
from domain.rights import Action
from domain.sign_in import SignIn
from domain.views import DealView, DocumentView
from sandbox.entra.directory import Person as User
from tests.deals import T0, TO_ORDER, decision, new_deal, put
from tests.rights import ANY, ARGS, CELLS, COMPANY, ROLES, TABLE, Cell, naming
from tests.webworld import scenes
from tests.webworld.browsing import Browser, browser
from tests.webworld.world import Stage, Tenant
from tests.workflows.scripted_customers import TWIN, unknown
from web.app import create_app
from web.config import WebConfig
from web.identity import SignedIn
from web.signing import DecisionSigner

__all__ = ["browser"]

QUOTE = "RIGHTS-1"
ROLE_NAMES = [role for name in (*ROLES, "superuser") for role in (f"{name}.usmf", f"{name}.demf", name)]


def user(role: str, *, own: bool = False) -> User:
    """Somebody with one role. Who owns the deal is told by their object id, which is made of their name."""
    return User(f"{role}-{'own' if own else 'any'}".lower(), f"Holder of {role}", (role,))


USERS = {(role, own): user(role, own=own) for role in ROLE_NAMES for own in (True, False)}


def person(role: str, *, own: bool = False) -> Person:
    return Person(oid=USERS[role, own].oid, name=f"Holder of {role}", roles=(role,))


def deal_of(owner: Person, quote: str = QUOTE) -> DealView:
    """A deal in which all fits but what is of an order: held, parked, customer unknown, with a request, overpaid."""
    held, parked = scenes.held(quote), scenes.parked(quote).parked
    over: dict[str, object] = {
        "unapplied": Decimal(55),
        "exceptions": ("UNAPPLIED_CREDIT: 55.00 USD settle nothing",),
        "refunds": (Refund(n=1, of="PAY-1", amount=Decimal(55), reason="r", proposed_by=Person(oid="cleo")),),
        "documents": (DocumentView(kind="payment", system="Finance", number="PAY-1", open_amount=Decimal(55)),),
    }
    asked = {"approvals": scenes.deal(quote).approvals, "unknown_customer": unknown(TWIN)}
    return held.model_copy(update={"owner": owner, "parked": parked, **asked, **over})


def ordered(quote: str) -> str:
    """The quote number of the same person's deal that has an order."""
    return f"{quote}-ORDER"


def order_of(owner: Person, quote: str) -> DealView:
    """A deal whose order can be changed and cancelled."""
    return scenes.shipping(ordered(quote)).model_copy(update={"owner": owner, "sales_order_id": "so"})


@pytest.fixture(scope="module")
def everybody(tenant: Tenant) -> Iterator[Tenant]:
    """A tenant with somebody for every role of the table, of the deal's company, another one and none."""
    before = dict(tenant.directory.people)
    tenant.directory.people |= {each.name: each for each in USERS.values()}
    yield tenant
    tenant.directory.people = before


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The shipped policy, with all of them named for their role: the table alone is what is tested."""
    return naming(*((role.partition(".")[0], person(role, own=own)) for role, own in USERS))


@pytest.fixture(scope="module")
def app(config: WebConfig, temporal: Client, policy: Policy) -> Starlette:
    """The application under that policy, with no limit to what a person may send."""
    return create_app(config.model_copy(update={"policy": policy}), temporal)


@pytest.fixture(scope="module")
async def deals(stage: Stage) -> dict[tuple[str, bool], str]:
    """A deal for each role that owns one, and one that is nobody's; their quote numbers."""
    found: dict[tuple[str, bool], str] = {}
    await stage.deal(deal_of(scenes.RITA))
    await stage.deal(order_of(scenes.RITA, QUOTE))
    for role in ROLE_NAMES:
        quote = f"RIGHTS-{role}"
        if role.startswith(("sales_rep", "ops")):
            await stage.deal(deal_of(person(role, own=True), quote))
            await stage.deal(order_of(person(role, own=True), quote))
            found[role, True] = quote
        found[role, False] = QUOTE
    return found


def quote_of(cell: Cell, deals: dict[tuple[str, bool], str]) -> str | None:
    return deals.get((cell.role, cell.own))


# Through the API


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_the_api_keeps_the_table(
    http: httpx.AsyncClient, everybody: Tenant, deals: dict[tuple[str, bool], str], role: str
) -> None:
    for cell in (cell for cell in CELLS if cell.role == role):
        quote = quote_of(cell, deals)
        if quote is None:
            continue
        answer = await http.post(
            f"/api/v1/cases/{COMPANY}/{quote}/commands/{cell.command}",
            json={"args": ARGS[cell.command]},
            headers=everybody.bearer(USERS[cell.role, cell.own].name),
        )
        assert answer.json().get("code", "") == cell.code, (cell, answer.text)
        assert answer.status_code == (403 if cell.code else 200), cell


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_the_api_shows_deals_and_margins_to_who_may_see_them(
    http: httpx.AsyncClient, everybody: Tenant, deals: dict[tuple[str, bool], str], role: str
) -> None:
    answer = await http.get(f"/api/v1/cases/{COMPANY}/{QUOTE}", headers=everybody.bearer(USERS[role, False].name))
    reads, sees = (_covered(role, action) for action in (Action.READ_DEAL, Action.READ_MARGIN))
    assert answer.status_code == (200 if reads else 403)
    if reads:
        assert (answer.json()["margin_pct"] is not None) is sees
        assert ("margin 23.08" in answer.text) is sees


def _covered(role: str, action: Action) -> bool:
    """Whether a role, as a token writes it, covers an action in the company of the deals."""
    name, _, company = role.partition(".")
    counts = company == COMPANY or (not company and name in ("ops", "admin", "auditor"))
    return counts and TABLE[action].get(name, "") == ANY


# Through the pages


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_the_pages_keep_the_table(
    browser: Browser, everybody: Tenant, deals: dict[tuple[str, bool], str], role: str
) -> None:
    for own in (True, False):
        quote = deals.get((role, own))
        if quote is None:
            continue
        client = await browser(USERS[role, own].name)
        answer = await client.get(f"/cases/{COMPANY}/{quote}")
        assert answer.status_code == (200 if _covered(role, Action.READ_DEAL) else 403)
        with_order = (await client.get(f"/cases/{COMPANY}/{ordered(quote)}")).text
        for cell in (cell for cell in CELLS if (cell.role, cell.own) == (role, own)):
            of_order = cell.command in (CommandName.CANCEL_ORDER, CommandName.CHANGE_ORDER)
            place = ordered(quote) if of_order else quote
            form = f'action="/cases/{COMPANY}/{place}/commands/{cell.command}"'
            # Offered where Finance has no customer like it (tests/unit/web/test_web_customers.py).
            later = cell.command is CommandName.CREATE_CUSTOMER
            assert (form in (with_order if of_order else answer.text)) is (cell.code == "" and not later), cell
        assert ("<dt>Margin</dt>" in answer.text) is _covered(role, Action.READ_MARGIN)
        assert ("margin 23.08" in answer.text.lower()) is _covered(role, Action.READ_MARGIN)


@pytest.mark.parametrize(("name", "sees"), [("mona", True), ("rita", False)])
async def test_a_request_shows_cost_floor_and_margin_to_who_may_see_them_and_to_its_rep_without(
    browser: Browser, stage: Stage, name: str, sees: bool
) -> None:
    from tests.webworld.standins import REVIEWED

    quote = f"MARGIN-{name}"
    REVIEWED[quote] = (scenes.finding(1, "P250", "100", "195", "250", "150"),)
    await stage.approval(scenes.request(quote))
    page = (await (await browser(name)).get(f"/approvals/usmf/{quote}/1")).text
    for word in (">Floor<", ">Cost<", ">Margin<", "150.00", "165.00", "23.08"):
        assert (word in page) is sees, word
    assert "195.00" in page and "22 %" in page


# Past the web


@pytest.fixture(scope="module")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "k1", "use": "sig"})


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_a_signal_sent_past_the_web_is_refused_with_the_same_code(key: OKPKey, policy: Policy, role: str) -> None:
    """Signed as the web signs, checked by the activity that the deal asks, and judged by the deal."""
    verifier = SignedDecisionActivities(KeySet([key]), policy)
    signer, deal_id = DecisionSigner(key), "q2c/usmf/Q-1"
    held = put(new_deal(), *TO_ORDER[:4], facts.CreditDecided(decision=decision(False)))
    found = held.assessment
    assert found is not None
    for cell in (cell for cell in CELLS if cell.role == role):
        speaker = person(role, own=cell.own)
        owner = speaker if cell.own else found.owner
        state = replace(held, assessment=found.model_copy(update={"owner": owner}))
        message = signer.sign(
            audience=deal_id,
            message_id=str(uuid.uuid4()),
            who=SignedIn(person=speaker, sign_in=SignIn(at=datetime.now(UTC))),
            action=cell.command,
            args=ARGS[cell.command],
        )
        proofs = Proofs(messages=(message,), audiences=(deal_id,), company=COMPANY)
        (said,) = (await verifier.verify_messages(proofs)).said
        fact = fact_of(said, state, deal_id=deal_id, at=T0)
        assert (fact.code if isinstance(fact, facts.Refused) else "") == cell.code, cell


def test_every_command_is_in_the_cells() -> None:
    assert {cell.command for cell in CELLS} == set(CommandName)
    assert {cell.role.partition(".")[0] for cell in CELLS} >= set(ROLES)
