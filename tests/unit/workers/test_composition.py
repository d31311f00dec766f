"""What a worker is made of: each system's client has the budget of that system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from dynamics.core.budget import Budget
from workers import composition
from workers.keys import ensure_decision_keys
from workers.settings import load_settings

NOWHERE = cast(Client, object())
"""Nothing is asked of Temporal while a process is put together."""


def test_each_client_holds_this_process_s_share_of_its_system_s_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: the setting of Dataverse was read by nobody, and its requests had no limit."""
    shares: list[float] = []

    class Seen(Budget):
        def __init__(self, requests_per_second: float) -> None:
            shares.append(requests_per_second)
            super().__init__(requests_per_second)

    monkeypatch.setattr(composition, "Budget", Seen)
    monkeypatch.setenv("Q2C_CA_FILE", "")
    monkeypatch.setenv("Q2C_WORKER_PROCESSES", "5")
    monkeypatch.setenv("Q2C_DATAVERSE_REQUESTS_PER_SECOND", "15")
    monkeypatch.setenv("Q2C_FINANCE_REQUESTS_PER_SECOND", "20")
    settings = load_settings()
    clients = composition.dataverse(settings), composition.finance(settings)
    assert shares == [3.0, 4.0]
    assert all(isinstance(client.odata._budget, Seen) for client in clients)


async def test_the_work_of_all_queues_goes_through_one_client_of_each_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Finance's queue reads Dataverse as well: with a client of its own it would spend a budget of its own."""
    made: list[str] = []

    def counted(name: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def makes(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            return make(*args, **kwargs)

        return makes

    for name in ("Dataverse", "Finance"):
        monkeypatch.setattr(composition, name, counted(name, getattr(composition, name)))
    keys = tmp_path / "private.json", tmp_path / "public.json"
    ensure_decision_keys(*keys)
    given = {"CA_FILE": "", "DECISION_PUBLIC_KEYS_FILE": str(keys[1]), "LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"}
    for setting, value in given.items():
        monkeypatch.setenv(f"Q2C_{setting}", value)
    work = composition.compose(load_settings(), NOWHERE)
    await work.connections.aclose()
    assert sorted(made) == ["Dataverse", "Finance"]
