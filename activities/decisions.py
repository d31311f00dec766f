"""Checks who said it: the signature, audience and expiry of a person's message."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from temporalio import activity

from activities.signatures import DecisionActivities, Proofs, Verified
from domain.messages import SignedMessage, VerifiedMessage
from domain.people import Person

ISSUER = "q2c-web"
LEEWAY_SECONDS = 30
"""How far the clocks of web and worker may differ."""


class DecisionVerifier(DecisionActivities):
    """Holds the public keys of those who may sign for people."""

    def __init__(self, keys: KeySet) -> None:
        """Believe signatures of ``keys`` (Ed25519), found by their ``kid``."""
        self._keys = keys

    @activity.defn(name="verify_messages")
    async def verify_messages(self, proofs: Proofs) -> Verified:
        """What each message says; ``refused`` is set where its proof does not hold.

        A message lives for a day, so that one that was stored while no worker ran still counts. It can be replayed
        meanwhile to no effect: it holds for one workflow and one message id only.
        """
        return Verified(said=tuple(self._verified(message, proofs.audiences) for message in proofs.messages))

    def _verified(self, message: SignedMessage, audiences: tuple[str, ...]) -> VerifiedMessage:
        """One message; whatever it holds, it harms none of the others."""
        try:
            return self._said(message, audiences)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            return _refused(message.message_id, f"the signature does not hold: {error}"[:500])

    def _said(self, message: SignedMessage, audiences: tuple[str, ...]) -> VerifiedMessage:
        claims = self._claims(message.token)
        problem = _problem(claims, message.message_id, audiences)
        if problem:
            return _refused(message.message_id, problem)
        act = claims["act"]
        return VerifiedMessage(
            message_id=message.message_id,
            person=Person(
                oid=claims["sub"], name=str(claims.get("name") or ""), roles=tuple(claims.get("roles") or ())
            ),
            name=str(act["name"]),
            args=dict(act.get("args") or {}),
            signed_at=datetime.fromtimestamp(claims["iat"], UTC),
        )

    def _claims(self, token: str) -> dict[str, Any]:
        signed = jws.deserialize_compact(token, self._keys, algorithms=["EdDSA", "Ed25519"])
        claims: dict[str, Any] = json.loads(signed.payload)
        return claims


def _problem(claims: Mapping[str, Any], message_id: str, audiences: tuple[str, ...]) -> str:
    if claims.get("iss") != ISSUER:
        return "signed by somebody else than the web application"
    if claims.get("aud") not in audiences:
        return "signed for another deal"
    if claims.get("jti") != message_id:
        return "the message id is not the one that was signed"
    if not claims.get("sub") or not isinstance(claims.get("act"), dict) or "name" not in claims["act"]:
        return "it does not say who did what"
    now = time.time()
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int) or not isinstance(expires_at, int) or issued_at > now + LEEWAY_SECONDS:
        return "the time it was signed at is missing or in the future"
    if now > expires_at + LEEWAY_SECONDS:
        return "it has expired: decide again"
    return ""


def _refused(message_id: str, why: str) -> VerifiedMessage:
    return VerifiedMessage(message_id=message_id, person=Person(oid=""), name="", refused=why)
