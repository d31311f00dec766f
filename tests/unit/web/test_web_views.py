"""Saved views: a name for the query of a list, of its person alone, checked as the address is, and none too many."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from ledger.opening import Ledger, LedgerAway
from tests.webworld import scenes
from tests.webworld.browsing import SITE, at_entra, form_of
from tests.webworld.world import Stage, Tenant
from web.app import create_app
from web.config import WebConfig
from web.saved_views import MOST

FILTERED = "/cases?status=running&sort=-amount"


@pytest.fixture
async def kept(config: WebConfig, temporal: Client, tmp_path: Path) -> AsyncIterator[Starlette]:
    """The application with a ledger, in which views outlive it."""
    made = create_app(_with_ledger(config, tmp_path), temporal)
    yield made
    await made.state.ledger.close()


def _with_ledger(config: WebConfig, folder: Path) -> WebConfig:
    return config.model_copy(update={"ledger_url": SecretStr(f"sqlite:///{folder}/ledger.db")})


async def _browser(app: Starlette, tenant: Tenant, name: str) -> httpx.AsyncClient:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE)
    await client.get(await at_entra(tenant, client, name, "/"))
    return client


async def _keep(client: httpx.AsyncClient, page: str, name: str) -> httpx.Response:
    """Save what a page shows, by the form on it."""
    shown = await client.get(page)
    key = re.search(r'action="(/views/\w+)"', shown.text)
    assert key, shown.text
    return await client.post(key[1], data=form_of(shown.text, key[1]) | {"name": name})


def _forms(page: str) -> list[str]:
    """Where the forms of the views on a page lead, view by view."""
    return list(dict.fromkeys(re.findall(r'action="(/views/\w+/\w+)"', page)))


async def _do(client: httpx.AsyncClient, action: str, do: str, **fields: str) -> httpx.Response:
    page = (await client.get("/views/deals")).text
    csrf = form_of(page, action)["csrf"]
    return await client.post(action, data={"csrf": csrf, "do": do, **fields})


async def test_a_view_is_kept_opened_renamed_first_and_removed_and_outlives_sign_out_and_restart(
    kept: Starlette, config: WebConfig, temporal: Client, tenant: Tenant, stage: Stage, tmp_path: Path
) -> None:
    await stage.deal(scenes.deal("VIEWS-1"))
    mona = await _browser(kept, tenant, "mona")
    assert "Saved views" not in (await mona.get("/cases")).text, "a list without filters and views says nothing of them"
    answer = await _keep(mona, f"{FILTERED}&cursor=", "Largest & <running>")
    assert (answer.status_code, answer.headers["location"]) == (303, FILTERED)
    shown = (await mona.get(FILTERED)).text
    assert (
        '<a href="/cases?status=running&amp;sort=-amount" aria-current="true">Largest &amp; &lt;running&gt;</a>'
        in shown
    )
    assert "Save this view" not in shown, "it is kept already"

    (form,) = _forms((await mona.get("/views/deals")).text)
    assert (await _do(mona, form, "rename", name="Largest first")).status_code == 303
    assert (await _do(mona, form, "first")).status_code == 303
    led = await mona.get("/cases")
    assert (led.status_code, led.headers["location"]) == (302, FILTERED)
    whole = (await mona.get("/cases?view=all")).text
    assert "VIEWS-1" in whole and '<a href="/cases?view=all" aria-current="true">All</a>' in whole
    assert 'href="/cases?view=all">Clear</a>' in (await mona.get(FILTERED)).text

    await mona.post("/auth/sign-out", data=form_of(whole, "/auth/sign-out"))
    again = create_app(_with_ledger(config, tmp_path), temporal)
    mona, dirk = await _browser(again, tenant, "mona"), await _browser(again, tenant, "dirk")
    assert "Largest first" in (await mona.get("/views/deals")).text
    assert "Largest first" not in (await dirk.get("/views/deals")).text + (await dirk.get(FILTERED)).text
    csrf = form_of((await dirk.get(FILTERED)).text, "/views/deals")["csrf"]
    assert (await dirk.post(form, data={"csrf": csrf, "do": "remove"})).status_code == 404, "another person's view"
    assert (await dirk.post(form, data={"do": "remove"})).status_code == 403, "no form of hers"

    assert (await _do(mona, form, "not_first")).status_code == 303
    assert (await mona.get("/cases")).status_code == 200
    assert (await _do(mona, form, "remove")).status_code == 303
    assert "Largest first" not in (await mona.get("/views/deals")).text
    await again.state.ledger.close()


@pytest.mark.parametrize(
    ("who", "page"),
    [
        ("carl", "/?sort=amount"),
        ("carl", "/late?status=settled"),
        ("carl", "/collections?overdue=1"),
        ("audra", "/audit?company=usmf&kind=decision&from=2026-11-01"),
    ],
)
async def test_every_list_has_views(kept: Starlette, tenant: Tenant, who: str, page: str) -> None:
    person = await _browser(kept, tenant, who)
    answer = await _keep(person, page, "Mine")
    assert answer.headers["location"] == page
    path = page.split("?")[0]
    listed = (await person.get(f"{path}?view=all")).text
    assert f'<a href="{html.escape(page)}">Mine</a>' in listed
    edit = re.search(r"/views/\w+", listed)
    assert edit
    (form,) = _forms((await person.get(edit[0])).text)
    csrf = form_of(listed, "/auth/sign-out")["csrf"]
    await person.post(form, data={"csrf": csrf, "do": "first"})
    assert (await person.get(path)).headers["location"] == page


async def test_what_cannot_be_kept_is_named_and_what_was_typed_stays(kept: Starlette, tenant: Tenant) -> None:
    mona = await _browser(kept, tenant, "mona")
    await _keep(mona, FILTERED, "First")
    csrf = form_of((await mona.get("/cases?stage=quote")).text, "/views/deals")["csrf"]

    async def keep(name: str, query: str = "stage=quote") -> httpx.Response:
        return await mona.post("/views/deals", data={"csrf": csrf, "name": name, "query": query})

    taken = await keep("FIRST")
    assert taken.status_code == 400 and "You have a view FIRST already" in taken.text and 'value="FIRST"' in taken.text
    assert form_of(taken.text, "/views/deals")["query"] == "stage=quote"
    for name, query, said in (
        ("", "stage=quote", "name: "),
        ("x" * 61, "stage=quote", "name: "),
        ("two\nlines", "stage=quote", "name: "),
        ("Bad", "stage=nowhere", "stage: "),
        ("Bad", "sort=margin", "sort: "),
        ("Bad", "secret=1", "secret: "),
        ("Bad", "q=" + "x" * 1_000, "too long"),
        ("Bad", "&".join(f"q={n}" for n in range(60)), "too many filters"),
    ):
        answer = await keep(name, query)
        assert answer.status_code == 400 and said in answer.text, (name, query)
    for n in range(MOST - 1):
        assert (await keep(f"View {n}")).status_code == 303
    full = await keep("One more")
    assert full.status_code == 400 and f"You keep {MOST} views" in full.text
    assert "Save this view" not in (await mona.get("/cases?stage=credit")).text
    assert (await mona.get("/views/nothing")).status_code == 404
    form = _forms((await mona.get("/views/deals")).text)[0]
    assert (await _do(mona, form, "paint")).status_code == 400
    assert (await _do(mona, form, "rename", name="view 3")).status_code == 400


async def test_a_view_that_the_list_no_longer_takes_opens_nothing(kept: Starlette, tenant: Tenant) -> None:
    mona = await _browser(kept, tenant, "mona")
    old = '{"views":[{"id":"a","name":"Of old","query":"colour=red","first":true}]}'
    await kept.state.ledger.change_views(scenes.MONA.oid.lower(), "deals", "", old)
    assert (await mona.get("/cases")).status_code == 200
    page = (await mona.get("/views/deals")).text
    assert "no longer takes these filters" in page and "Open first" not in page
    assert (await _do(mona, "/views/deals/a", "remove")).status_code == 303
    damaged = (await mona.get("/views/deals")).text
    assert "No saved views" in damaged


async def test_lists_need_no_ledger(
    kept: Starlette, app: Starlette, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, views live as long as the process; with one that is away, the list shows and says so."""
    rita = await _browser(app, tenant, "rita")
    await _keep(rita, "/cases?stage=order", "In memory")
    assert "In memory" in (await rita.get("/cases")).text
    (form,) = _forms((await rita.get("/views/deals")).text)
    await _do(rita, form, "remove")

    mona = await _browser(kept, tenant, "mona")

    async def away(*_: object) -> str:
        raise LedgerAway("gone")

    csrf = form_of((await mona.get(FILTERED)).text, "/views/deals")["csrf"]
    monkeypatch.setattr(Ledger, "views", away)
    shown = await mona.get(FILTERED)
    assert shown.status_code == 200 and "Your saved views cannot be read right now" in shown.text
    refused = await mona.post("/views/deals", data={"csrf": csrf, "name": "Lost", "query": "stage=quote"})
    assert refused.status_code == 503 and "your views cannot be read or kept" in refused.text
