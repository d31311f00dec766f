"""Signs what a signed-in person says, so that a deal can tell a person's word from anything else.

A signal can be typed into Temporal Web or sent by any client of the namespace; the deal believes only what carries the
signature of this process, which has seen the person's Entra token.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from domain.messages import SIGNATURE_ISSUER, SignedMessage
from web import security_log
from web.identity import SignedIn

LIFETIME_SECONDS = 86_400


class DecisionSigner:
    """Holds the private key of decisions."""

    def __init__(self, key: OKPKey, *, now: Callable[[], float] = time.time) -> None:
        """Sign with an Ed25519 key.

        Args:
            key: the private key; its ``kid`` goes into every token, so that keys can be replaced.
            now: seconds since the epoch, UTC.

        Raises:
            ValueError: the key has no private part or no ``kid``.
        """
        if not key.is_private or not key.kid:
            raise ValueError("the decision key needs a private part (d) and a kid")
        self._key = key
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
        self, *, audience: str, message_id: str, who: SignedIn, action: str, args: Mapping[str, Any]
    ) -> SignedMessage:
        """Put a person's words under the signature.

        Args:
            audience: id of the workflow they are meant for; no other will take them.
            message_id: id of the message; the same id said twice counts once.
            who: who says it, and how they signed in.
            action: name of the decision or command.
            args: its arguments, of JSON types only (money as text).

        Returns:
            The signal's payload: a compact JWS that holds for a day, so that it still counts where no worker ran
            meanwhile.
        """
        issued_at, person = int(self._now()), who.person
        claims = {
            "iss": SIGNATURE_ISSUER,
            "aud": audience,
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
        header = {"alg": "EdDSA", "typ": "JWT", "kid": self._key.kid}
        payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False)
        with warnings.catch_warnings():
            # RFC 9864 prefers the name Ed25519; EdDSA is what the deals' verifier and older libraries know, and the
            # key itself fixes the curve.
            warnings.simplefilter("ignore", SecurityWarning)
            token = jws.serialize_compact(header, payload, self._key, algorithms=["EdDSA"])
        security_log.key_used(person, key_id=str(self._key.kid), action=action, about=audience, message_id=message_id)
        return SignedMessage(message_id=message_id, token=token)
