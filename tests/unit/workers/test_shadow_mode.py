"""Who passes on what Sales reports knows which companies are in shadow mode; without a reader no company can be."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import cast

import pytest
from temporalio.client import Client

import policies
from activities.sales_feed import SalesFeedWork
from domain.policy import PolicyError
from workers import bus, composition
from workers.keys import ensure_decision_keys
from workers.rules import load_policy
from workers.settings import Settings, SettingsError, load_settings

NOWHERE = cast(Client, object())
"""Nothing is asked of Temporal while a process is put together."""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Of an installation with USMF in shadow mode."""
    folder = tmp_path / "policies"
    copytree(Path(policies.__file__).parent, folder, ignore=ignore_patterns("*.py", "__pycache__"))
    named(folder, "[usmf]")
    keys = tmp_path / "private.json", tmp_path / "public.json"
    ensure_decision_keys(*keys)
    given = {"CA_FILE": "", "POLICIES": str(folder), "DECISION_PUBLIC_KEYS_FILE": str(keys[1])}
    for name, value in (given | {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"}).items():
        monkeypatch.setenv(f"Q2C_{name}", value)
    monkeypatch.chdir(tmp_path)
    return load_settings()


def named(folder: Path, companies: str) -> None:
    file = folder / "entity_map.yaml"
    file.write_text(re.sub(r"(?m)^shadow: .*$", f"shadow: {companies}", file.read_text(encoding="utf-8")))


async def test_feed_and_intake_begin_no_deal_of_a_company_in_shadow_mode(settings: Settings) -> None:
    work = composition.compose(settings, NOWHERE)
    feeds = {each.__self__ for each in work.dataverse_activities if isinstance(each.__self__, SalesFeedWork)}  # type: ignore[attr-defined]
    (feed,) = feeds
    intake = bus.reports_of(settings, NOWHERE)
    assert feed._deals._shadow == intake._deals._shadow == {"usmf"}
    assert [each.__name__ for each in work.shadow_activities] == ["look_in_shadow", "find_order_in_shadow"]
    await work.connections.aclose()


async def test_in_production_shadow_mode_needs_the_application_that_reads(settings: Settings) -> None:
    production = settings.model_copy(update={"mode": "production"})
    with pytest.raises(SettingsError, match="Q2C_READER_CLIENT_SECRET: is missing; shadow mode"):
        composition.compose(production, NOWHERE)
    assert settings.policies
    named(settings.policies, "[]")
    work = composition.compose(production, NOWHERE)
    assert work.shadow_activities == []
    await work.connections.aclose()


def test_a_company_that_is_none_is_named(settings: Settings) -> None:
    assert settings.policies
    named(settings.policies, "[usmf, usmg]")
    with pytest.raises(PolicyError, match="shadow: no business unit is mapped to usmg"):
        load_policy(settings)
