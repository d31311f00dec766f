"""Signs what a signed-in person says, so that a deal can tell a person's word from anything else.

A signal can be typed into Temporal Web or sent by any client of the namespace; the deal believes only what carries the
signature of this process, which has seen the person's Entra token.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from domain.messages import SIGNATURE_ISSUER, SignedMessage
from web import security_log
from web.identity import SignedIn

LIFETIME_SECONDS = 86_400


class CannotSign(Exception):
    """The key does not sign at the moment, e.g. because it is in a vault that does not answer; the text says why."""


class SigningKey(Protocol):
    """A key that signs, wherever its private part is."""

    kid: str
    """Names the public key that verifies."""
    algorithm: str
    """Of JSON Web Signatures, e.g. `EdDSA`."""

    def sign(self, content: bytes) -> bytes:
        """The signature, as a JSON Web Signature holds it; may block. Raises CannotSign."""
        ...


class LocalKey:
    """An Ed25519 key of this process."""

    algorithm = "EdDSA"  # RFC 9864 prefers Ed25519; EdDSA is what the deals' verifier and older libraries know

    def __init__(self, key: OKPKey) -> None:
        """Sign with ``key``.

        Raises:
            ValueError: it has no private part or no ``kid``, or it is no key that signs.
        """
        private = key.private_key
        if not isinstance(private, Ed25519PrivateKey) or not key.kid:
            raise ValueError("the decision key needs a private part (d) and a kid")
        self._private = private
        self.kid = key.kid

    def sign(self, content: bytes) -> bytes:
        """The signature of some content."""
        return self._private.sign(content)


class DecisionSigner:
    """Puts what people say under the signature of decisions."""

    def __init__(self, key: OKPKey | SigningKey, *, now: Callable[[], float] = time.time) -> None:
        """Sign with a key.

        Args:
            key: its ``kid`` goes into every token, so that keys can be replaced.
            now: seconds since the epoch, UTC.

        Raises:
            ValueError: an Ed25519 key without a private part or a ``kid``.
        """
        self._key: SigningKey = LocalKey(key) if isinstance(key, OKPKey) else key
        self._now = now

    @classmethod
    def from_file(cls, path: Path) -> DecisionSigner:
        """Read the key from a JSON Web Key file.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a private Ed25519 key with a ``kid``.
        """
        key = OKPKey.import_key(json.loads(path.read_text()))
        return cls(key)

    def sign(
        self, *, audience: str | Sequence[str], message_id: str, who: SignedIn, action: str, args: Mapping[str, Any]
    ) -> SignedMessage:
        """Put a person's words under the signature; blocks for as long as the key takes.

        Args:
            audience: id of the workflow they are meant for, or of each of several; no other will take them.
            message_id: id of the message; the same id said twice counts once.
            who: who says it, and how they signed in.
            action: name of the decision or command.
            args: its arguments, of JSON types only (money as text).

        Returns:
            The signal's payload: a compact JWS that holds for a day, so that it still counts where no worker ran
            meanwhile.

        Raises:
            CannotSign: the key does not sign at the moment.
        """
        issued_at, person = int(self._now()), who.person
        claims = {
            "iss": SIGNATURE_ISSUER,
            "aud": audience if isinstance(audience, str) else list(audience),
            "jti": message_id,
            "iat": issued_at,
            "exp": issued_at + LIFETIME_SECONDS,
            "sub": person.oid,
            "name": person.name,
            "upn": person.upn,
            "roles": list(person.roles),
            **who.sign_in.claims(),
            "act": {"name": action, "args": dict(args)},
        }
        header = {"alg": self._key.algorithm, "typ": "JWT", "kid": self._key.kid}
        content = f"{_base64url(header)}.{_base64url(claims)}"
        signature = base64.urlsafe_b64encode(self._key.sign(content.encode())).rstrip(b"=").decode()
        token = f"{content}.{signature}"
        about = audience if isinstance(audience, str) else f"{audience[0]} and {len(audience) - 1} more"
        security_log.key_used(person, key_id=self._key.kid, action=action, about=about, message_id=message_id)
        return SignedMessage(message_id=message_id, token=token)


def _base64url(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
