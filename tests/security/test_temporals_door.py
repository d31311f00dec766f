"""Temporal's own door in the reference deployment: who may do what without a payload, which no codec can keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOOR = yaml.safe_load((ROOT / "deploy" / "temporal" / "authorization.compose.yaml").read_text())["services"]


def environment(services: dict[str, Any], name: str) -> dict[str, str]:
    found: dict[str, str] = services[name]["environment"]
    return found


def test_the_server_asks_its_authorizer_and_takes_rights_from_app_roles_of_the_tenant() -> None:
    server = environment(DOOR, "temporal")
    assert (server["TEMPORAL_AUTH_AUTHORIZER"], server["TEMPORAL_AUTH_CLAIM_MAPPER"]) == ("default", "default")
    assert server["TEMPORAL_JWT_PERMISSIONS_CLAIM"] == "roles"
    assert server["TEMPORAL_JWT_KEY_SOURCE1"].startswith("https://login.microsoftonline.com/${Q2C_TENANT:?}/")


def test_temporal_web_signs_people_in_and_hands_their_token_to_the_codec_server() -> None:
    page = environment(DOOR, "temporal-ui")
    assert page["TEMPORAL_AUTH_ENABLED"] == page["TEMPORAL_CODEC_PASS_ACCESS_TOKEN"] == "true"
    assert "/access_as_user" in page["TEMPORAL_AUTH_SCOPES"]


def test_write_actions_of_temporal_web_are_off_with_or_without_the_authorizer() -> None:
    assert environment(COMPOSE, "temporal-ui")["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"
    assert "TEMPORAL_DISABLE_WRITE_ACTIONS" not in environment(DOOR, "temporal-ui")


def test_every_process_of_the_product_that_speaks_to_temporal_shows_a_token_there() -> None:
    speaking = {name for name, of in COMPOSE.items() if ("command" in of and "worker" in name) or name == "web"}
    assert speaking <= DOOR.keys()
    for name in speaking:
        assert environment(DOOR, name)["TEMPORAL_API_KEY"] == "${TEMPORAL_API_KEY:?}"
