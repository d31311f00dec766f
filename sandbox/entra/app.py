"""Entra ID's endpoints: discovery, keys, sign-in page, tokens, sign-out.

Enough of the identity platform for MSAL to work unchanged: client credentials, authorization code with PKCE, refresh
token and, for tests, resource-owner password. Resources get v1.0 access tokens, our own web API v2.0 ones.
Source: Microsoft Learn, "Microsoft identity platform and the OAuth 2.0 authorization code flow" and "… client
credentials flow".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox.entra import errors, legacy
from sandbox.entra.directory import Application, Directory, Person
from sandbox.entra.errors import EntraError
from sandbox.entra.tokens import LIFETIME_SECONDS, TokenAuthority

_OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_GRAPH = "00000003-0000-0000-c000-000000000000"
_CODE_SECONDS = 600
_REFRESH_SECONDS = 90 * 24 * 3600
_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class _Grant:
    """What a person allowed: stands behind an authorization code or a refresh token."""

    client_id: str
    person: Person
    scopes: tuple[str, ...]
    expires_at: float
    redirect_uri: str = ""
    challenge: str = ""
    challenge_method: str = ""
    nonce: str = ""
    signed_in_at: int = 0
    says_when: bool = False


class EntraId:
    """The tenant as its clients see it."""

    def __init__(
        self, authority: TokenAuthority, directory: Directory, resources: tuple[str, ...], *, browser_base: str = ""
    ) -> None:
        """Serve a tenant.

        Args:
            authority: signs the tokens.
            directory: people and applications.
            resources: origins of Dataverse and Finance, without trailing slash: the audiences one may ask for.
            browser_base: origin whose pages people see, where that is another one (`page_routes`).
        """
        self._browser_base = browser_base or authority.issuer_base
        self.authority = authority
        self.directory = directory
        self.resources = frozenset(resources)
        self._codes: dict[str, _Grant] = {}
        self._redeemed: set[str] = set()
        self._refresh: dict[str, _Grant] = {}
        self._pages = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape()
        )

    def kept(self) -> Any:
        """Codes and refresh tokens that were given out: what lasts."""
        return self._codes, self._redeemed, self._refresh

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self._codes, self._redeemed, self._refresh = kept

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        return self.authority.tenant_id

    def application(self, client_id: str) -> Application:
        """The registration of a client id, or AADSTS700016."""
        found = self.directory.applications.get(client_id)
        if found is None:
            raise errors.unknown_application(client_id, self.tenant)
        return found

    # --- discovery -------------------------------------------------------------------------------------------------

    async def configuration(self, request: Request) -> Response:
        """`/.well-known/openid-configuration` of the v2.0 endpoint."""
        base = f"{self.authority.issuer_base}/{self.tenant}"
        pages = f"{self._browser_base}/{self.tenant}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": self.authority.issuer_v2,
                "authorization_endpoint": f"{pages}/oauth2/v2.0/authorize",
                "end_session_endpoint": f"{pages}/oauth2/v2.0/logout",
                "code_challenge_methods_supported": ["plain", "S256"],
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid"],
                "tenant_region_scope": "NA",
            }
        )

    async def keys(self, request: Request) -> Response:
        """The JWKS document."""
        return JSONResponse(self.authority.jwks())

    async def user_realm(self, request: Request) -> Response:
        """MSAL asks this before a password grant: every user here is managed, none federated."""
        domain = request.path_params["login"].rpartition("@")[2]
        return JSONResponse({"ver": "1.0", "account_type": "Managed", "domain_name": domain})

    # --- sign-in ---------------------------------------------------------------------------------------------------

    async def authorize(self, request: Request) -> Response:
        """GET shows the page to pick a user; POST with `user` signs that user in and returns the code."""
        form = dict(request.query_params)
        if request.method == "POST":
            form |= {key: str(value) for key, value in (await request.form()).items()}
        if form.get("resource") and not form.get("scope"):
            form["scope"] = legacy.scope_of(form)
        try:
            application = self.application(form.get("client_id", ""))
            redirect_uri = form.get("redirect_uri", "")
            if not _redirect_allowed(redirect_uri, application):
                raise errors.wrong_redirect(redirect_uri, application.client_id)
        except EntraError as error:
            # An address that is not registered is never redirected to: the person sees the error here.
            page = self._pages.get_template("error.html").render(error=error, body=error.body())
            return HTMLResponse(page, error.status)
        problem = self._authorize_problem(form)
        if problem:
            return _return_to(form, problem)
        person = self.directory.find(form.get("user", "")) if request.method == "POST" else None
        if person is None:
            return self._account_picker(form, application, unknown=request.method == "POST")
        return _return_to(form, {"code": self._issue_code(form, person), "session_state": str(uuid.uuid4())})

    def _authorize_problem(self, form: Mapping[str, str]) -> dict[str, str] | None:
        if form.get("response_type") != "code":
            return {
                "error": "unsupported_response_type",
                "error_description": "AADSTS70005: response_type is not supported for this application.",
            }
        if form.get("prompt") == "none":
            return {
                "error": "login_required",
                "error_description": "AADSTS50058: A silent sign-in request was sent but no user is signed in.",
            }
        try:
            self._resource(form.get("scope", "").split())
        except EntraError as error:
            body = error.body()
            return {"error": body["error"], "error_description": body["error_description"]}
        return None

    def _account_picker(self, form: Mapping[str, str], application: Application, unknown: bool) -> Response:
        hint = self.directory.find(form.get("login_hint", ""))
        people = sorted(self.directory.people.values(), key=lambda person: person != hint)
        hidden = {key: value for key, value in form.items() if key != "user"}
        page = self._pages.get_template("authorize.html").render(
            application=application, people=people, hidden=hidden, unknown=unknown
        )
        return HTMLResponse(page, 400 if unknown else 200, {"Cache-Control": "no-store"})

    def _issue_code(self, form: Mapping[str, str], person: Person) -> str:
        now = time.time()
        self._codes = {code: grant for code, grant in self._codes.items() if grant.expires_at > now}
        code = "1." + secrets.token_urlsafe(48)
        self._codes[code] = _Grant(
            client_id=form["client_id"],
            person=person,
            scopes=tuple(form.get("scope", "").split()),
            expires_at=now + _CODE_SECONDS,
            redirect_uri=form["redirect_uri"],
            challenge=form.get("code_challenge", ""),
            challenge_method=form.get("code_challenge_method", "plain"),
            nonce=form.get("nonce", ""),
            signed_in_at=int(now),
            says_when=form.get("max_age", "").isdecimal(),
        )
        return code

    async def logout(self, request: Request) -> Response:
        """Sign-out: back to `post_logout_redirect_uri` when it is a loopback address, else a page that says so."""
        target = request.query_params.get("post_logout_redirect_uri", "")
        if urlsplit(target).hostname in _LOOPBACK:
            return RedirectResponse(target, 302)
        return HTMLResponse(self._pages.get_template("signed_out.html").render())

    # --- tokens ----------------------------------------------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        """The v2.0 token endpoint: one of the four grants, or an AADSTS error."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            answer = self._grant(request, form)
        except EntraError as error:
            return error.response(request)
        return JSONResponse(answer, headers=_NOT_STORED)

    async def token_v1(self, request: Request) -> Response:
        """The v1.0 token endpoint: the same grants, with `resource` in place of `scope`."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            form["scope"] = legacy.scope_of(form)
            answer = legacy.token_answer(self._grant(request, form), form["resource"])
        except EntraError as error:
            return error.response(request)
        return JSONResponse(answer, headers=_NOT_STORED)

    async def configuration_v1(self, request: Request) -> Response:
        """`/.well-known/openid-configuration` of the v1.0 endpoint."""
        return legacy.configuration(self.authority)

    async def instance(self, request: Request) -> Response:
        """Instance discovery."""
        return legacy.instance_discovery(self.authority, request)

    def _grant(self, request: Request, form: dict[str, str]) -> dict[str, Any]:
        grant_type = _required(form, "grant_type")
        grants: dict[str, Callable[[Application, dict[str, str]], dict[str, Any]]] = {
            "client_credentials": self._client_credentials,
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "password": self._password,
        }
        if grant_type not in grants:
            raise errors.unknown_grant(grant_type)
        return grants[grant_type](self._authenticate_client(request, form, grant_type), form)

    def _authenticate_client(self, request: Request, form: dict[str, str], grant_type: str) -> Application:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise errors.missing_secret(grant_type == "client_credentials") from error
            form |= {"client_id": unquote(name), "client_secret": unquote(secret)}
        application = self.application(_required(form, "client_id"))
        secret = form.get("client_secret", "")
        if not secret:
            raise errors.missing_secret(grant_type == "client_credentials")
        if not hmac.compare_digest(secret, application.secret):
            raise errors.wrong_secret(application.client_id)
        return application

    def _client_credentials(self, application: Application, form: dict[str, str]) -> dict[str, Any]:
        scope = _required(form, "scope")
        if not scope.endswith("/.default") or " " in scope:
            raise errors.scope_not_default(scope)
        resource = self._resource([scope])
        if resource == self._own_api(resource):
            token = self.authority.issue(
                resource,
                app_id=application.client_id,
                object_id=application.object_id,
                version="2.0",
                claims={"idtyp": "app"},
            )
        else:
            token = self.authority.issue(
                resource,
                app_id=application.client_id,
                object_id=application.object_id,
                claims={"idtyp": "app"},
            )
        return _answer(token)

    def _authorization_code(self, application: Application, form: dict[str, str]) -> dict[str, Any]:
        code = _required(form, "code")
        grant = self._codes.pop(code, None)
        if code in self._redeemed:
            raise errors.code_redeemed()
        if grant is None or grant.expires_at < time.time():
            raise errors.code_unknown()
        if grant.client_id != application.client_id or grant.redirect_uri != form.get("redirect_uri", ""):
            raise errors.code_of_another_client(application.client_id)
        if grant.challenge and not _verifier_fits(form.get("code_verifier", ""), grant):
            raise errors.wrong_verifier()
        self._redeemed.add(code)
        scopes = tuple(form.get("scope", "").split()) or grant.scopes
        return self._sign_in(application, grant.person, scopes, replace(grant, scopes=scopes))

    def _refresh_token(self, application: Application, form: dict[str, str]) -> dict[str, Any]:
        grant = self._refresh.get(_required(form, "refresh_token"))
        if grant is None or grant.expires_at < time.time() or grant.client_id != application.client_id:
            raise errors.code_unknown()
        person = self.directory.find(grant.person.name)
        if person is None:
            raise errors.unknown_user(grant.person.upn, self.tenant)
        # A refreshed token tells when the person signed in, not when it was refreshed; it has no nonce.
        scopes = tuple(form.get("scope", "").split()) or grant.scopes
        return self._sign_in(application, person, scopes, replace(grant, nonce=""))

    def _password(self, application: Application, form: dict[str, str]) -> dict[str, Any]:
        login = _required(form, "username")
        person = self.directory.find(login)
        if person is None:
            raise errors.unknown_user(login, self.tenant)
        if _required(form, "password") != person.name:
            raise errors.wrong_password()
        scopes, now = tuple(_required(form, "scope").split()), time.time()
        grant = _Grant(application.client_id, person, scopes, expires_at=now, signed_in_at=int(now))
        return self._sign_in(application, person, scopes, grant)

    def _sign_in(
        self, application: Application, person: Person, scopes: tuple[str, ...], grant: _Grant
    ) -> dict[str, Any]:
        resource = self._resource(scopes)
        names = {"name": person.display_name, "preferred_username": person.upn}
        subject = _pairwise_subject(person, application.client_id)
        if resource == self._own_api(resource):
            claims: dict[str, Any] = names | {"scp": "access_as_user", "sub": subject, "roles": list(person.roles)}
            if "auth_time" in application.optional_claims:
                claims["auth_time"] = grant.signed_in_at
            token = self.authority.issue(
                resource, app_id=application.client_id, object_id=person.oid, version="2.0", claims=_no_empty(claims)
            )
        else:
            claims = {"name": person.display_name, "upn": person.upn, "unique_name": person.upn, "sub": subject}
            claims["scp"] = "User.Read" if resource == _GRAPH else "user_impersonation"
            token = self.authority.issue(resource, app_id=application.client_id, object_id=person.oid, claims=claims)
        answer = _answer(token) | {"scope": " ".join(scopes)}
        if "openid" in scopes:
            answer["id_token"] = self._id_token(application, person, grant)
        if "offline_access" in scopes:
            answer["refresh_token"] = refresh = "1." + secrets.token_urlsafe(64)
            self._refresh[refresh] = replace(
                grant, person=person, scopes=scopes, expires_at=time.time() + _REFRESH_SECONDS
            )
        if "openid" in scopes or "profile" in scopes:
            info = urlsafe(f'{{"uid":"{person.oid}","utid":"{self.tenant}"}}'.encode())
            answer["client_info"] = info
        return answer

    def _id_token(self, application: Application, person: Person, grant: _Grant) -> str:
        says_when = grant.says_when or "auth_time" in application.optional_claims
        claims = {
            "sub": _pairwise_subject(person, application.client_id),
            "name": person.display_name,
            "preferred_username": person.upn,
            "nonce": grant.nonce,
            "auth_time": grant.signed_in_at if says_when else None,
            "sid": str(uuid.uuid4()),
            "aio": secrets.token_urlsafe(48),
            "roles": list(person.roles),
        }
        return self.authority.issue(
            application.client_id, object_id=person.oid, version="2.0", claims=_no_empty(claims)
        )

    def _own_api(self, resource: str) -> str | None:
        return resource if resource in self.directory.applications else None

    def _resource(self, scopes: list[str] | tuple[str, ...]) -> str:
        """The audience the scopes ask for: a resource's origin, our own application's client id, else Graph."""
        asked = [scope for scope in scopes if scope not in _OIDC_SCOPES]
        found = {self._resource_of(scope) for scope in asked}
        if len(found) > 1:
            raise errors.malformed_scope(" ".join(asked))
        return found.pop() if found else _GRAPH

    def _resource_of(self, scope: str) -> str:
        identifier, _, name = scope.rpartition("/")
        if not name:
            raise errors.malformed_scope(scope)
        if not identifier:
            return _GRAPH
        if identifier.removesuffix("/") in self.resources:
            return identifier
        client_id = identifier.removeprefix("api://")
        if client_id in self.directory.applications:
            return client_id
        raise errors.unknown_resource(identifier, self.tenant)


def urlsafe(data: bytes) -> str:
    """Base64url without padding, as JOSE and PKCE use it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise errors.missing_parameter(name)
    return value


def _answer(token: str) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "ext_expires_in": LIFETIME_SECONDS,
        "access_token": token,
    }


def _no_empty(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what has no value: Entra sends no empty `roles` and no empty `nonce`."""
    return {name: value for name, value in claims.items() if value}


def _pairwise_subject(person: Person, client_id: str) -> str:
    return urlsafe(hashlib.sha256(f"{person.oid}{client_id}".encode()).digest())


def _verifier_fits(verifier: str, grant: _Grant) -> bool:
    presented = verifier
    if grant.challenge_method == "S256":
        presented = urlsafe(hashlib.sha256(verifier.encode()).digest())
    return bool(verifier) and hmac.compare_digest(presented, grant.challenge)


def _redirect_allowed(redirect_uri: str, application: Application) -> bool:
    asked = urlsplit(redirect_uri)
    if asked.scheme not in ("http", "https") or not asked.hostname:
        return False
    if not application.redirect_uris:
        return asked.hostname in _LOOPBACK
    for registered in application.redirect_uris:
        known = urlsplit(registered)
        if asked == known:
            return True
        if asked.hostname in _LOOPBACK and (asked.scheme, asked.hostname, asked.path) == (
            known.scheme,
            known.hostname,
            known.path,
        ):
            return True
    return False


def _return_to(form: Mapping[str, str], answer: dict[str, str]) -> Response:
    """Send the browser back to the application, in the query or as a posted form."""
    if form.get("state"):
        answer = answer | {"state": form["state"]}
    redirect_uri = form["redirect_uri"]
    if form.get("response_mode") == "form_post":
        return HTMLResponse(_FORM_POST.render(action=redirect_uri, fields=answer))
    joiner = "&" if urlsplit(redirect_uri).query else "?"
    return RedirectResponse(f"{redirect_uri}{joiner}{urlencode(answer)}", 302)


_FORM_POST = Environment(autoescape=True).from_string(
    """<!doctype html><html lang="en"><title>Working…</title><body onload="document.forms[0].submit()">
<form method="post" action="{{ action }}">{% for name, value in fields.items() %}
<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}
<noscript><p>Your sign-in is ready.</p></noscript><button>Continue</button></form></body></html>"""
)
