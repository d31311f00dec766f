"""Secrets and the signing key in a Key Vault: over HTTPS, with tokens of the sandbox's Entra ID by MSAL."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import KeySet
from pydantic import BaseModel, SecretStr
from temporalio.client import Client

from activities.decisions import SignedDecisionActivities
from activities.signatures import Proofs
from cli.checks import _audit_key
from domain.people import Person
from ledger.audit import AuditStore
from ledger.database import open_database
from ledger.export import verify_file
from ledger.signing import AuditVerifier, KeyAway, SignatureWrong
from runs import names
from sandbox import tls
from sandbox.entra.app import EntraId
from sandbox.entra.directory import SERVICE_CLIENT_ID, TENANT_ID, Application, Directory
from sandbox.entra.routes import build_app
from sandbox.entra.tokens import TokenAuthority
from sandbox.serving import HttpServer
from tests.keyvault import RESOURCE, KeyVault
from tests.rights import POLICY
from tests.sealing import KEYS, KEYS_FILE
from tests.unit.ledger.ledger_makers import record
from tests.webworld import scenes
from tests.webworld.browsing import SITE, at_entra
from tests.webworld.world import Stage, Tenant
from web.app import create_app
from web.config import WebConfig
from web.identity import SignedIn
from web.signing import CannotSign, DecisionSigner
from workers.audit_keys import DOWNLOADS, EXPORTS, AuditVaultKey, ensure_audit_keys_of, exports_signer
from workers.identity import Identity
from workers.sealing import codec_keys
from workers.settings import (
    AzureSettings,
    CodecSettings,
    EntraSettings,
    Settings,
    SettingsError,
    WebSettings,
    in_vault,
    secret_locations,
    variable_name,
)
from workers.vault import VaultError, VaultKey, pin, secret_url, with_secrets

SECRET = "a-session-secret-that-stands-in-the-vault"


@dataclass
class Place:
    """A vault, and the settings of a process that may use it."""

    vault: KeyVault
    url: str
    settings: Settings

    def with_session(self, reference: str) -> Settings:
        web = WebSettings(session_secret=SecretStr(reference))
        return self.settings.model_copy(update={"web": web})

    def with_key(self, name: str, version: str, algorithm: str = "ES256") -> Settings:
        key = {"vault_key": f"{self.url}/keys/{name}/{version}", "vault_algorithm": algorithm}
        return self.settings.model_copy(update={"decision": self.settings.decision.model_copy(update=key)})


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    files = tls.prepare(tmp_path, "127.0.0.1")
    entra, server = (HttpServer(name, "127.0.0.1", 0, files) for name in ("entra", "vault"))
    authority = TokenAuthority(entra.origin, TENANT_ID)
    directory = Directory()
    directory.applications = {SERVICE_CLIENT_ID: Application(SERVICE_CLIENT_ID, "Vault user", "secret-of-the-test")}
    vault = KeyVault(authority, TENANT_ID)
    await entra.start(build_app(EntraId(authority, directory, (RESOURCE,))))
    await server.start(vault.app())
    who = AzureSettings(identity="secret", client_id=SERVICE_CLIENT_ID, client_secret=SecretStr("secret-of-the-test"))
    settings = Settings(ca_file=files.ca_file, azure=who, entra=EntraSettings(url=entra.origin, tenant=TENANT_ID))
    yield Place(vault, server.origin, settings)
    await server.stop()
    await entra.stop()


async def read(settings: Settings) -> Settings:
    """As a process does before its event loop runs: the calls block, and the vault lives in this loop."""
    return await asyncio.to_thread(with_secrets, settings)


async def key_of(settings: Settings) -> VaultKey:
    return await asyncio.to_thread(VaultKey.read, settings)


# Secrets


async def test_a_secret_is_read_from_the_vault_with_and_without_its_version(place: Place) -> None:
    first = place.vault.set_secret("session", SECRET)
    url = f"{place.url}/secrets/session"
    for reference in (f"SecretUri={url}", f"SecretUri={url}/", f"SecretUri={url}/{first}"):
        found = await read(place.with_session(f"@Microsoft.KeyVault({reference})"))
        assert found.web.session_secret.get_secret_value() == SECRET
        assert SECRET not in repr(found)


async def test_after_a_rotation_the_newest_is_read_and_a_pinned_version_stays(place: Place) -> None:
    first = place.vault.set_secret("session", SECRET)
    place.vault.set_secret("session", "the-next-one")
    url = f"{place.url}/secrets/session"
    newest = await read(place.with_session(f"@Microsoft.KeyVault(SecretUri={url})"))
    pinned = await read(place.with_session(f"@Microsoft.KeyVault(SecretUri={url}/{first})"))
    assert newest.web.session_secret.get_secret_value() == "the-next-one"
    assert pinned.web.session_secret.get_secret_value() == SECRET


async def test_a_wrong_version_a_disabled_secret_and_a_missing_role_are_told_apart(place: Place) -> None:
    place.vault.set_secret("session", SECRET)
    url = f"{place.url}/secrets/session"
    wrong = place.with_session(f"@Microsoft.KeyVault(SecretUri={url}/{'0' * 32})")
    with pytest.raises(SettingsError, match=r"Q2C_WEB_SESSION_SECRET: .*404: SecretNotFound.*name and version"):
        await read(wrong)
    right = place.with_session(f"@Microsoft.KeyVault(SecretUri={url})")
    place.vault.secrets["session"][-1].enabled = False
    with pytest.raises(SettingsError, match="Q2C_WEB_SESSION_SECRET: .*SecretDisabled"):
        await read(right)
    place.vault.secrets["session"][-1].enabled = True
    place.vault.forbidden = True
    with pytest.raises(SettingsError, match="Q2C_WEB_SESSION_SECRET: .*ForbiddenByRbac.*Key Vault Secrets User"):
        await read(right)


async def test_a_vault_that_cannot_be_reached_stops_the_start_and_names_the_setting(place: Place) -> None:
    nowhere = place.with_session("@Microsoft.KeyVault(SecretUri=https://127.0.0.1:1/secrets/session)")
    with pytest.raises(SettingsError, match=r"Q2C_WEB_SESSION_SECRET: the vault 127.0.0.1:1 does not answer"):
        await read(nowhere)


async def test_a_wrong_identity_is_said_by_its_own_setting(place: Place) -> None:
    place.vault.set_secret("session", SECRET)
    azure = place.settings.azure.model_copy(update={"client_secret": SecretStr("wrong")})
    settings = place.with_session(f"@Microsoft.KeyVault(SecretUri={place.url}/secrets/session)")
    with pytest.raises(SettingsError, match="Q2C_AZURE_IDENTITY: secret: no token .*AADSTS7000215"):
        await read(settings.model_copy(update={"azure": azure}))


async def test_no_token_goes_to_a_vault_that_asks_for_another_domains(place: Place) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(
            401, headers={"WWW-Authenticate": 'Bearer authorization="x", resource="https://evil.example"'}
        )

    from workers.vault import Vault

    vault = Vault(place.settings, Identity(place.settings), transport=httpx.MockTransport(handler))
    with pytest.raises(VaultError, match="not its own domain"):
        vault.secret("https://contoso.vault.azure.net/secrets/session")


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/secrets/a)", "https://c.vault.azure.net/secrets/a"),
        (
            "@Microsoft.KeyVault(VaultName=c;SecretName=a;SecretVersion=0f)",
            "https://c.vault.azure.net/secrets/a/0f",
        ),
        ("@Microsoft.KeyVault(VaultName=c;SecretName=a)", "https://c.vault.azure.net/secrets/a"),
    ],
)
def test_references_are_written_as_app_service_writes_them(reference: str, url: str) -> None:
    assert secret_url(reference) == url


@pytest.mark.parametrize(
    "reference",
    [
        "@Microsoft.KeyVault()",
        "@Microsoft.KeyVault(SecretUri=http://c.vault.azure.net/secrets/a)",
        "@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/keys/a)",
        "@Microsoft.KeyVault(SecretUri=https://user@c.vault.azure.net/secrets/a)",
        "@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/secrets/a/b/c)",
        "@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/secrets/../keys)",
        "@Microsoft.KeyVault(VaultName=c)",
        "@Microsoft.KeyVault(VaultName=c.evil/;SecretName=a?)",
    ],
)
def test_a_reference_that_leads_elsewhere_is_refused(reference: str) -> None:
    with pytest.raises(VaultError):
        secret_url(reference)


async def test_the_secret_that_opens_the_vault_cannot_stand_in_it(place: Place) -> None:
    azure = place.settings.azure.model_copy(update={"client_secret": SecretStr("@Microsoft.KeyVault(x)")})
    with pytest.raises(SettingsError, match="Q2C_AZURE_CLIENT_SECRET"):
        await read(place.settings.model_copy(update={"azure": azure}))


async def test_a_managed_identity_gets_its_token_from_the_platform(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As App Service and Container Apps give one: over HTTP on the machine, with a header only its processes know."""
    asked: list[tuple[str, str]] = []

    class Platform(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append((query["resource"][0], self.headers["X-IDENTITY-HEADER"]))
            token = place.vault.authority.issue(RESOURCE, app_id="managed", object_id="m", claims={"idtyp": "app"})
            answer = {"access_token": token, "expires_on": str(int(time.time()) + 3600), "resource": RESOURCE}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Platform) as platform:
        threading.Thread(target=platform.serve_forever, daemon=True).start()
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{platform.server_port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "only-ours")
        place.vault.set_secret("session", SECRET)
        settings = place.with_session(f"@Microsoft.KeyVault(SecretUri={place.url}/secrets/session)")
        found = await read(settings.model_copy(update={"azure": AzureSettings()}))
        platform.shutdown()
    assert found.web.session_secret.get_secret_value() == SECRET
    assert asked == [(RESOURCE, "only-ours")]


def test_a_workload_identity_without_its_token_says_so(place: Place) -> None:
    azure = AzureSettings(identity="workload", client_id="c")
    identity = Identity(place.settings.model_copy(update={"azure": azure}), {"AZURE_FEDERATED_TOKEN_FILE": "/none"})
    with pytest.raises(SettingsError, match=r"Q2C_AZURE_IDENTITY: is workload, .*TOKEN_FILE \(/none\)"):
        identity.token(RESOURCE)


def test_without_a_reference_no_vault_is_asked(place: Place) -> None:
    assert with_secrets(place.settings) is place.settings
    assert place.vault.asked == []


# The key that signs decisions


MONA = Person(oid="oid-mona", name="Mona Meyer", roles=("sales_manager.usmf",))


@pytest.mark.parametrize(("kind", "algorithm"), [("EC", "ES256"), ("RSA", "PS256"), ("RSA", "RS256")])
async def test_what_the_vault_signs_a_deal_believes_and_nothing_else(
    place: Place, tmp_path: Path, kind: str, algorithm: str
) -> None:
    key = await key_of(place.with_key("decisions", place.vault.make_key("decisions", kind), algorithm))
    pin(key.public, jwks := tmp_path / "jwks.json")
    message = await asyncio.to_thread(
        DecisionSigner(key).sign,
        audience="approval/usmf/Q-1/1",
        message_id="m-1",
        who=SignedIn(person=MONA),
        action="decide",
        args={"decision": "approve"},
    )
    believes = SignedDecisionActivities(KeySet.import_key_set(json.loads(jwks.read_text())), POLICY)

    async def said(token: str, audience: str = "approval/usmf/Q-1/1") -> str:
        message_ = message.model_copy(update={"token": token})
        proofs = Proofs(messages=(message_,), audiences=(audience,), company="usmf")
        return (await believes.verify_messages(proofs)).said[0].refused

    assert await said(message.token) == ""
    assert await said(message.token[:-4] + "AAAA") != "" and await said(message.token, "approval/usmf/Q-2/1") != ""
    other = await key_of(place.with_key("decisions", place.vault.make_key("decisions", kind), algorithm))
    forged = await asyncio.to_thread(
        DecisionSigner(other).sign,
        audience="approval/usmf/Q-1/1",
        message_id="m-1",
        who=SignedIn(person=MONA),
        action="decide",
        args={"decision": "approve"},
    )
    assert await said(forged.token) != "", "a key that was replaced in the vault is not the pinned one"
    pin(other.public, jwks)
    assert len(json.loads(jwks.read_text())["keys"]) == 2, "while one replaces the other, both are believed"
    assert all("d" not in each for each in json.loads(jwks.read_text())["keys"])


@pytest.mark.parametrize(
    ("make", "algorithm", "why"),
    [
        ({"kind": "RSA"}, "ES256", "does not sign by ES256"),
        ({"kind": "EC"}, "PS256", "does not sign by PS256"),
        ({"kind": "EC", "curve": ec.SECP384R1()}, "ES256", "does not sign by ES256"),
    ],
)
async def test_a_key_of_the_wrong_kind_is_refused_at_the_start(
    place: Place, make: dict[str, Any], algorithm: str, why: str
) -> None:
    version = place.vault.make_key("decisions", **make)
    with pytest.raises(SettingsError, match=f"Q2C_DECISION_VAULT_KEY: .*{why}"):
        await key_of(place.with_key("decisions", version, algorithm))


async def test_a_key_is_named_with_its_version(place: Place) -> None:
    decision = place.settings.decision.model_copy(update={"vault_key": f"{place.url}/keys/decisions"})
    with pytest.raises(SettingsError, match="Q2C_DECISION_VAULT_KEY: .*name/version"):
        await key_of(place.settings.model_copy(update={"decision": decision}))


async def test_a_vault_that_stops_answering_is_503_and_nothing_is_decided(
    place: Place, config: WebConfig, temporal: Client, stage: Stage, tenant: Tenant
) -> None:
    """The web process holds no private key: its file is not there at all."""
    version = place.vault.make_key("decisions")
    key = await key_of(place.with_key("decisions", version))
    web = config.model_copy(update={"decision_private_key_file": Path("/nowhere/key.json")})
    transport = httpx.ASGITransport(app=create_app(web, temporal, key))
    request = scenes.request("VAULT-1")
    approval = await stage.approval(request)
    body = {"decision": "approve", "comment": "fine", "step": 1, "seen_hash": scenes.HASH}
    body |= {"message_id": str(uuid.uuid4())}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        address = f"/api/v1/approvals/usmf/VAULT-1/{request.n}/decision"
        place.vault.keys["decisions"][-1].enabled = False
        refused = await http.post(address, json=body, headers=tenant.bearer("mona"))
        assert (refused.status_code, refused.json()["code"]) == (503, "SIGNING_UNAVAILABLE")
        place.vault.keys["decisions"][-1].enabled = True
        taken = await http.post(address, json=body, headers=tenant.bearer("mona"))
        assert (taken.status_code, taken.json()["accepted"]) == (200, True)
    assert place.vault.signatures == 1
    assert names.approval_id("usmf", "VAULT-1", request.n) == approval.id


async def test_a_signer_says_why_the_vault_does_not_sign(place: Place) -> None:
    key = await key_of(place.with_key("decisions", place.vault.make_key("decisions")))
    place.vault.forbidden = True
    with pytest.raises(CannotSign, match="Crypto User"):
        await asyncio.to_thread(key.sign, b"content")


# Keys of the audit


def with_audit_keys(place: Place, public: Path) -> Settings:
    keys = {"vault_key": place.vault.make_key("exports"), "web_vault_key": place.vault.make_key("downloads")}
    kept_as = {"vault_key": "exports", "web_vault_key": "downloads"}
    named = {setting: f"{place.url}/keys/{name}/{keys[setting]}" for setting, name in kept_as.items()}
    update = {"public_keys_file": public, "private_key_file": Path("/nowhere"), "web_key_file": Path("/nowhere")}
    audit = place.settings.audit.model_copy(update=named | update)
    return place.settings.model_copy(update={"audit": audit})


@pytest.mark.parametrize(("kind", "algorithm"), [("EC", "ES256"), ("RSA", "PS256"), ("RSA", "RS256")])
async def test_a_key_in_the_vault_signs_exports_that_verify(
    place: Place, tmp_path: Path, kind: str, algorithm: str
) -> None:
    url = f"{place.url}/keys/exports/{place.vault.make_key('exports', kind)}"
    update = {"vault_key": url, "vault_algorithm": algorithm, "public_keys_file": tmp_path / "jwks.json"}
    update |= {"web_key_file": tmp_path / "web.json", "private_key_file": Path("/nowhere")}
    settings = place.settings.model_copy(update={"audit": place.settings.audit.model_copy(update=update)})
    await asyncio.to_thread(ensure_audit_keys_of, settings)
    signer = await asyncio.to_thread(exports_signer, settings)
    signature = await asyncio.to_thread(signer.sign, {"kind": "q2c audit export"})
    verifier = AuditVerifier.from_file(tmp_path / "jwks.json")
    assert verifier.read(signature) == {"kind": "q2c audit export"}
    with pytest.raises(SignatureWrong):
        verifier.read(signature[:-6] + "AAAAAA")
    assert len(json.loads((tmp_path / "jwks.json").read_text())["keys"]) == 2, "the web's own, of a file, is beside it"
    place.vault.forbidden = True
    with pytest.raises(KeyAway, match="Crypto User"):
        await asyncio.to_thread(signer.sign, {"kind": "q2c audit export"})


async def test_both_keys_of_the_audit_may_stay_in_the_vault_and_no_file_is_made(place: Place, tmp_path: Path) -> None:
    settings = with_audit_keys(place, public := tmp_path / "jwks.json")
    for _ in range(2):  # again changes nothing
        await asyncio.to_thread(ensure_audit_keys_of, settings)
        known = [key["kid"] for key in json.loads(public.read_text())["keys"]]
        assert len(known) == len(set(known)) == 2
    for where in (EXPORTS, DOWNLOADS):
        assert (await asyncio.to_thread(_audit_key, settings, where)).status == "ok"
    public.write_text('{"keys": []}')
    check = await asyncio.to_thread(_audit_key, settings, EXPORTS)
    assert check.status == "failed" and "q2c keys" in check.remedy


async def test_a_download_is_signed_in_the_vault_and_503_while_it_does_not_sign(
    place: Place, config: WebConfig, tenant: Tenant, temporal: Client, tmp_path: Path
) -> None:
    """The web process holds no private key of the audit: its file is not there at all."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    database = await open_database(url)
    await AuditStore(database).append([record(1)])
    await database.close()
    settings = with_audit_keys(place, public := tmp_path / "jwks.json")
    await asyncio.to_thread(ensure_audit_keys_of, settings)
    key = await asyncio.to_thread(AuditVaultKey.read, settings, DOWNLOADS)
    web = config.model_copy(update={"audit_url": SecretStr(url), "audit_key_file": Path("/nowhere/key.json")})
    app = create_app(web, temporal, audit_key=key)
    day = datetime.now(UTC).date()
    address = f"/audit/export?company=usmf&from={day}&to={day}"
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=SITE) as browser:
        await browser.get(await at_entra(tenant, browser, "audra", "/"))
        place.vault.forbidden = True
        refused = await browser.get(address)
        assert refused.status_code == 503 and "does not sign at the moment" in refused.text
        place.vault.forbidden = False
        taken = await browser.get(address)
        assert taken.status_code == 200, taken.text
    with zipfile.ZipFile(io.BytesIO(taken.content)) as archive:
        archive.extractall(tmp_path / "got")
    file = next(path for path in (tmp_path / "got").iterdir() if path.suffix == ".csv")
    assert verify_file(file, AuditVerifier.from_file(public)).holds


# Every secret


@pytest.mark.parametrize("where", secret_locations(), ids=".".join)
def test_every_secret_may_stand_in_a_file_or_in_a_vault(
    where: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the variable's own value, as a file it names, and as a reference, also where the file holds one."""
    name, (group, field) = variable_name(where), where
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/name)")
    assert where in in_vault(Settings())
    monkeypatch.delenv(name)
    (tmp_path / "secret").write_text("of-the-file\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    assert getattr(getattr(Settings(), group), field).get_secret_value() == "of-the-file"
    (tmp_path / "secret").write_text("@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/name)\n")
    assert where in in_vault(Settings())


def test_every_file_with_a_private_key_has_a_vault_in_its_place() -> None:
    """By the names of the settings: a new file of keys needs a place in the vault as well."""
    instead = {"private_key_file": "vault_key", "web_key_file": "web_vault_key", "keys_file": "key_set"}
    found = 0
    for group in ("decision", "audit", "codec"):
        fields = set(type(getattr(Settings(), group)).model_fields)
        for file in instead.keys() & fields:
            found += 1
            assert instead[file] in fields, f"{group}.{file}"
    everywhere = {
        field
        for group in Settings.model_fields.values()
        if isinstance(group.annotation, type) and issubclass(group.annotation, BaseModel)
        for field in group.annotation.model_fields
        if field.endswith("_file") and "key" in field
    }
    assert everywhere - instead.keys() == {"public_keys_file"} and found == 4


async def test_the_codecs_keys_come_from_the_vault(place: Place) -> None:
    place.vault.set_secret("codec", KEYS_FILE.read_text())
    codec = CodecSettings(
        keys_file=Path("/nowhere"), key_set=SecretStr(f"@Microsoft.KeyVault(SecretUri={place.url}/secrets/codec)")
    )
    found = await read(place.settings.model_copy(update={"codec": codec}))
    assert codec_keys(found.codec) == KEYS
    with pytest.raises(SettingsError, match="Q2C_CODEC_KEY_SET is not a JSON Web Key Set"):
        codec_keys(CodecSettings(key_set=SecretStr("nonsense")))
