"""What a worker is made of: each system's client has the budget of that system."""

from __future__ import annotations

import pytest

from dynamics.core.budget import Budget
from workers import composition
from workers.settings import load_settings


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
