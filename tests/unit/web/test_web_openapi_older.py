"""The API as Azure's gateways and connectors read it: the files are today's, and what a flow does by them works."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.core.result import Ok

from tests.webworld import scenes
from tests.webworld.world import Stage, Tenant, until
from web.api.older_documents import as_2_0, as_3_0
from web.app import api_document
from web.config import WebConfig
from workers.settings import load_settings
from workers.web import web_config

FOLDER = Path(__file__).parents[3] / "deploy" / "azure"
FORMS = {"3.0": as_3_0, "2.0": as_2_0}
EXAMPLE = {
    "Q2C_MODE": "production",
    "Q2C_WEB_URL": "https://q2c.contoso.com",
    "Q2C_ENTRA_URL": "https://login.microsoftonline.com",
    "Q2C_ENTRA_TENANT": "11111111-2222-3333-4444-555555555555",
    "Q2C_WEB_CLIENT_ID": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
}


def rendered(form: str) -> str:
    return json.dumps(FORMS[form](api_document(web_config(load_settings()))), indent=2, ensure_ascii=False) + "\n"


@pytest.fixture
def contoso(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    for name, value in EXAMPLE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_the_file_is_todays_and_says_nothing_its_form_does_not_know(contoso: None, form: str) -> None:
    text = (FOLDER / f"openapi-{form}.json").read_text(encoding="utf-8")
    assert text == rendered(form), f"write them again: python {__file__}"
    kept, newest = json.loads(text), api_document(web_config(load_settings()))
    unknown = {"3.0": ("const",), "2.0": ("const", "anyOf", "oneOf", "nullable", "requestBody", "content")}[form]
    assert {name for name in words(kept) if name in unknown} == set()
    assert operations(kept) == operations(newest)
    found = [each for each in schemathesis.openapi.from_dict(kept).get_all_operations() if isinstance(each, Ok)]
    assert len(found) == len(operations(newest))


def words(value: Any) -> Iterator[str]:
    """Every word of a document; names of properties are no words of it."""
    if isinstance(value, list):
        for item in value:
            yield from words(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            of_properties = name in ("properties", "definitions", "schemas") and isinstance(item, dict)
            yield from (word for each in (item.values() if of_properties else [item]) for word in words(each))


def operations(of: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(path, verb, told["operationId"]) for path, verbs in of["paths"].items() for verb, told in verbs.items()}


async def test_what_is_exported_is_what_the_site_serves(http: httpx.AsyncClient, config: WebConfig) -> None:
    assert (await http.get("/api/v1/openapi.json")).json() == json.loads(json.dumps(api_document(config)))


async def test_a_flow_waits_for_a_decision_by_the_exported_contract(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, config: WebConfig
) -> None:
    """As docs/azure.md tells Power Automate to: *Do until* the request is pending no more."""
    contract = as_2_0(api_document(config))
    where = {each["operationId"]: path for path, of in contract["paths"].items() for each in of.values()}
    await stage.approval(scenes.request("FLOW-1"))
    place = {"company": "usmf", "quote": "FLOW-1", "n": 1}
    asked = contract["basePath"] + where["readApproval"].format(**place)

    async def status() -> str:
        body = (await http.get(asked, headers=tenant.bearer("audra"))).raise_for_status().json()
        assert set(body) <= set(contract["definitions"]["ApprovalDetail"]["properties"])
        return str(body["status"])

    assert await status() == "pending"
    decision = {"decision": "reject", "comment": "too low", "step": 1, "seen_hash": scenes.HASH}
    said = contract["basePath"] + where["decideApproval"].format(**place)
    body = decision | {"message_id": str(uuid.uuid4())}
    assert set(body) <= set(contract["definitions"]["DecisionBody"]["properties"])
    assert (await http.post(said, json=body, headers=tenant.bearer("mona"))).status_code == 200

    async def decided() -> bool:
        return await status() != "pending"

    await until(decided)


if __name__ == "__main__":
    os.environ.update(EXAMPLE)
    for name in FORMS:
        (FOLDER / f"openapi-{name}.json").write_text(rendered(name), encoding="utf-8")
