"""Sessions: kept on this side, ended by time, by sign-out and by the directory; and fresh sign-ins where asked for."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from temporalio.client import Client

from ledger.opening import Ledger
from tests.webworld import scenes
from tests.webworld.browsing import SITE, Browser, at_entra, browser, form_of
from tests.webworld.world import Stage, Tenant
from web.app import create_app
from web.config import WebConfig
from web.entra import Redeemed
from web.session import Sessions
from web.session_store import LedgerSessions, MemorySessions, SessionStore

__all__ = ["browser"]
COOKIE = "q2c_session"


@pytest.fixture
def sessions(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The sessions of the application under a clock that can be moved."""
    yield Clock(app.state.sessions, monkeypatch)


class Clock:
    def __init__(self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
        self.later = 0.0
        self.sessions = sessions
        monkeypatch.setattr(sessions, "_now", lambda: time.time() + self.later)

    def move(self, *, minutes: float) -> None:
        self.later += minutes * 60


async def signed_in(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/cases")
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


async def test_the_browser_holds_nothing_but_a_number(browser: Browser) -> None:
    mona = await browser("mona")
    token = mona.cookies[COOKIE]
    assert len(token) == 43 and token.isascii()
    other = await browser("mona")
    assert other.cookies[COOKIE] != token


async def test_a_cookie_that_was_copied_ends_with_the_sign_out(browser: Browser) -> None:
    """The former session lived in the browser alone: a copy of its cookie outlived the sign-out by hours."""
    mona = await browser("mona")
    copied = mona.cookies[COOKIE]
    page = await mona.get("/")
    assert (await mona.post("/auth/sign-out", data=form_of(page.text, "/auth/sign-out"))).status_code == 303
    mona.cookies.clear()
    mona.cookies.set(COOKIE, copied)
    assert not await signed_in(mona)


async def test_signing_out_everywhere_ends_the_sessions_of_other_browsers(browser: Browser) -> None:
    one, other, dirk = await browser("mona"), await browser("mona"), await browser("dirk")
    form = form_of((await one.get("/")).text, "/auth/sign-out")
    await one.post("/auth/sign-out", data={**form, "everywhere": "1"})
    assert not await signed_in(other)
    assert await signed_in(dirk)


async def test_signing_in_again_ends_the_session_before(browser: Browser, tenant: Tenant) -> None:
    mona = await browser("mona")
    before = mona.cookies[COOKIE]
    await mona.get(await at_entra(tenant, mona, "mona", "/"))
    assert mona.cookies[COOKIE] != before
    mona.cookies.clear()
    mona.cookies.set(COOKIE, before)
    assert not await signed_in(mona)


async def test_a_session_nobody_uses_ends(browser: Browser, sessions: Clock) -> None:
    mona = await browser("mona")
    for _ in range(3):
        sessions.move(minutes=50)
        assert await signed_in(mona)
    sessions.move(minutes=61)
    assert not await signed_in(mona)


async def test_a_page_that_refreshes_itself_is_nobody_who_uses_it(browser: Browser, sessions: Clock) -> None:
    mona = await browser("mona")
    for _ in range(2):
        sessions.move(minutes=31)
        answer = await mona.get("/cases", headers={"sec-fetch-dest": "empty"})
    assert answer.status_code == 302


async def test_a_session_ends_hours_after_the_sign_in_however_busy(browser: Browser, sessions: Clock) -> None:
    mona = await browser("mona")
    for _ in range(15):
        sessions.move(minutes=31)
        assert await signed_in(mona)
    sessions.move(minutes=20)
    assert not await signed_in(mona)


@pytest.fixture
def changing(tenant: Tenant) -> Iterator[Tenant]:
    """The tenant, whose people are as before when the test is over."""
    before = dict(tenant.directory.people)
    yield tenant
    tenant.directory.people = before


async def test_a_role_that_was_taken_away_counts_no_more_after_ten_minutes(
    browser: Browser, sessions: Clock, changing: Tenant
) -> None:
    mona = await browser("mona")
    assert "Sales manager (USMF)" in (await mona.get("/")).text
    changing.directory.people["mona"] = replace(changing.directory.people["mona"], roles=())
    assert await signed_in(mona), "for some minutes the roles read last count"
    sessions.move(minutes=11)
    with structlog.testing.capture_logs() as logs:
        assert (await mona.get("/cases")).status_code == 403
    (line,) = [line for line in logs if line.get("security") == "roles_changed"]
    assert (line["roles_before"], line["roles"]) == (["sales_manager.usmf"], [])


async def test_who_left_the_directory_is_signed_out_after_ten_minutes(
    browser: Browser, sessions: Clock, changing: Tenant
) -> None:
    mona = await browser("mona")
    del changing.directory.people["mona"]
    sessions.move(minutes=11)
    assert not await signed_in(mona)


async def test_a_session_ended_while_a_request_reads_its_roles_stays_ended(
    browser: Browser, sessions: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_again = sessions.sessions._read_again

    async def meanwhile(token: str) -> Redeemed:
        found = await read_again(token)
        assert await sessions.sessions.end_all(found.who.person.oid) >= 1
        return found

    mona = await browser("mona")
    monkeypatch.setattr(sessions.sessions, "_read_again", meanwhile)
    sessions.move(minutes=15)
    assert not await signed_in(mona)
    assert not await signed_in(mona)


async def test_an_outage_of_the_directory_is_bridged_once(
    browser: Browser, sessions: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web.entra import EntraAway

    async def away(_token: str) -> None:
        raise EntraAway("no answer")

    mona = await browser("mona")
    monkeypatch.setattr(sessions.sessions, "_read_again", away)
    sessions.move(minutes=15)
    assert await signed_in(mona)
    sessions.move(minutes=6)
    assert not await signed_in(mona)


async def test_an_administrator_of_every_company_signs_somebody_out(
    browser: Browser, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    mona = await browser("mona")
    path = f"/api/v1/people/{scenes.MONA.oid.upper()}/sign-out"
    for name, roles in (("otto", ["ops"]), ("otto", ["admin.usmf"]), ("nemo", [])):
        headers = {"Authorization": f"Bearer {tenant.token(name, roles=roles)}"}
        assert (await http.post(path, headers=headers)).status_code == 403
    assert await signed_in(mona)
    headers = {"Authorization": f"Bearer {tenant.token('otto', roles=['admin'])}"}
    answer = await http.post(path, headers=headers)
    assert answer.status_code == 200 and answer.json()["sessions"] >= 1
    assert not await signed_in(mona)


# Where they are kept


@pytest.fixture(params=["memory", "ledger"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    if request.param == "memory":
        yield MemorySessions()
        return
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield LedgerSessions(ledger)
    await ledger.close()


async def test_a_store_keeps_until_the_end_and_ends_by_owner(store: SessionStore) -> None:
    now = time.time()
    for key, owner in (("a", "mona"), ("b", "mona"), ("c", "dirk")):
        await store.begin(key, owner, f"content of {key}", now + 60)
    assert await store.read("a", now) == "content of a"
    assert await store.read("a", now + 61) is None
    assert await store.renew("a", "changed")
    assert await store.read("a", now) == "changed"
    assert await store.remove_all("mona") == 2
    assert (await store.read("a", now), await store.read("b", now)) == (None, None)
    assert not await store.renew("a", "brought back"), "no request brings back a session that was ended"
    assert await store.read("a", now) is None
    assert await store.read("c", now) == "content of c"
    await store.remove("c")
    assert await store.read("c", now) is None


async def test_sessions_in_the_ledger_are_shared_and_hold_nothing_in_clear(
    config: WebConfig, temporal: Client, tenant: Tenant, tmp_path: Path
) -> None:
    shared = config.model_copy(update={"sessions": "ledger", "ledger_url": _secret(f"sqlite:///{tmp_path}/ledger.db")})
    one, other = create_app(shared, temporal), create_app(shared, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=one), base_url=SITE) as first:
        await first.get(await at_entra(tenant, first, "mona", "/"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=other), base_url=SITE) as second:
            second.cookies.set(COOKIE, first.cookies[COOKIE])
            assert await signed_in(second)
        token = first.cookies[COOKIE]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240
    for secret in (token, "Mona Meyer", "mona@contoso", "sales_manager", scenes.MONA.oid):
        assert secret.encode() not in stored
    for app in (one, other):
        await app.state.ledger.close()


def _secret(text: str) -> object:
    from pydantic import SecretStr

    return SecretStr(text)


# Fresh sign-ins


async def test_a_release_asks_for_a_fresh_sign_in(
    browser: Browser, stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, app: Starlette
) -> None:
    handle = await stage.deal(scenes.held("FRESH-1"))
    carl = await browser("carl")
    page = (await carl.get("/cases/usmf/FRESH-1")).text
    form = form_of(page, "/cases/usmf/FRESH-1/commands/credit_release") | {"reason": "known well"}
    _age(app, monkeypatch, minutes=16)
    page = (await carl.get("/cases/usmf/FRESH-1")).text
    assert "Sign in again to release the credit hold" in page
    assert "/commands/credit_release" not in page and "/commands/credit_reject" in page
    answer = await carl.post("/cases/usmf/FRESH-1/commands/credit_release", data=form)
    assert answer.status_code == 401 and "fresh sign-in" in answer.text
    left = await carl.get("/auth/sign-in", params={"fresh": "1", "next": "/cases/usmf/FRESH-1"})
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert asked["max_age"] == ["900"]
    assert await handle.query("received") == []
    monkeypatch.undo()
    await carl.get(await at_entra(tenant, carl, "carl", "/"))
    page = (await carl.get("/cases/usmf/FRESH-1")).text
    form = form_of(page, "/cases/usmf/FRESH-1/commands/credit_release") | {"reason": "known well"}
    assert (await carl.post("/cases/usmf/FRESH-1/commands/credit_release", data=form)).status_code == 303
    assert len(await handle.query("received")) == 1


def _age(app: Starlette, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Every sign-in so far was so long ago."""
    from datetime import UTC, datetime, timedelta

    import web.access
    import web.decisions
    import web.pages.deals

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(minutes=minutes)

    for module in (web.decisions, web.pages.deals):
        monkeypatch.setattr(module, "datetime", Later)


@pytest.mark.parametrize(("minutes", "status"), [(1, 200), (16, 401), (None, 401)])
async def test_a_program_is_told_how_fresh_a_token_it_needs(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, minutes: int | None, status: int
) -> None:
    quote = f"FRESH-API-{minutes}"
    await stage.deal(scenes.held(quote))
    token = tenant.token("carl", auth_time=None if minutes is None else int(time.time()) - minutes * 60)
    answer = await http.post(
        f"/api/v1/cases/usmf/{quote}/commands/credit_release",
        json={"args": {"reason": "known well"}},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.json()["code"] == "SIGN_IN_TOO_OLD"
        assert answer.headers["www-authenticate"] == ('Bearer error="insufficient_user_authentication", max_age="900"')


@pytest.fixture
def strict(config: WebConfig) -> WebConfig:
    """A policy that asks for an authentication context as well."""
    asking = config.policy.rights.fresh_sign_in.model_copy(update={"context": "c1"})
    rights = config.policy.rights.model_copy(update={"fresh_sign_in": asking})
    return config.model_copy(update={"policy": config.policy.model_copy(update={"rights": rights})})


async def test_a_context_that_the_policy_asks_for_is_asked_of_entra(strict: WebConfig, temporal: Client) -> None:
    app = create_app(strict, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as client:
        fresh = await client.get("/auth/sign-in", params={"fresh": "1", "next": "/"})
        usual = await client.get("/auth/sign-in", params={"next": "/"})
    asked = parse_qs(urlsplit(fresh.headers["location"]).query)
    assert json.loads(asked["claims"][0]) == {"id_token": {"acrs": {"essential": True, "value": "c1"}}}
    assert "claims" not in parse_qs(urlsplit(usual.headers["location"]).query)


@pytest.mark.parametrize(("acrs", "status"), [(["c1", "c2"], 200), ("c1", 200), (["c2"], 401), (None, 401)], ids=str)
async def test_a_program_is_told_which_context_it_needs_and_its_strength_is_signed(
    strict: WebConfig, temporal: Client, tenant: Tenant, stage: Stage, acrs: object, status: int
) -> None:
    quote = f"CONTEXT-{status}-{len(str(acrs))}"
    handle = await stage.deal(scenes.held(quote))
    token = tenant.token("carl", acrs=acrs, amr=["pwd", "mfa"])
    app = create_app(strict, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as client:
        answer = await client.post(
            f"/api/v1/cases/usmf/{quote}/commands/credit_release",
            json={"args": {"reason": "known well"}},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == status, answer.text
    assert len(await handle.query("received")) == (1 if status == 200 else 0)
    if status == 401:
        assert answer.headers["www-authenticate"].endswith('max_age="900", acr_values="c1"')


@pytest.mark.parametrize("auth_time", ["yesterday", True, 10**30, -(10**30), 1.5, [1], {}])
async def test_an_odd_time_of_a_sign_in_is_no_token_of_ours(
    http: httpx.AsyncClient, tenant: Tenant, auth_time: object
) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('carl', auth_time=auth_time)}"}
    assert (await http.get("/api/v1/cases", headers=headers)).status_code == 401
