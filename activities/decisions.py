"""Checks who said it: the signature, audience and expiry of a person's message; and looks up what they may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ValidationError, model_validator
from temporalio import activity

from activities.signatures import DecisionActivities, Proofs, Verified
from domain.commands import RIGHT_OF
from domain.delegations import Delegations
from domain.messages import SIGNATURE_ISSUER, SignedMessage, VerifiedMessage
from domain.people import Person
from domain.policy import Policy
from domain.rights import Granted
from domain.sign_in import SignIn
from runs.calls import NoAnswer, Unreadable
from runs.delegations import DelegationDesk

ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]
"""A file's key signs by the first, a vault's by one of the last; a public key says itself which of them is its own."""
LEEWAY_SECONDS = 30
"""How far the clocks of web and worker may differ."""

_WORDS = {
    "iss": "signed by someone other than the web application",
    "aud": "signed for another deal",
    "jti": "the message id is not the one that was signed",
    "iat": "the time it was signed at is missing or in the future",
    "exp": "the time it expires at is missing",
}

_MALFORMED = (JoseError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What reading something that only looks like a token may raise."""


class _Act(BaseModel):
    """What the person said."""

    name: str
    args: dict[str, Any] = {}


class _Said(BaseModel):
    """Who said what, in the claims of a signed message."""

    sub: str
    name: str = ""
    roles: tuple[str, ...] = ()
    iat: datetime
    exp: datetime
    sign_in: SignIn
    act: _Act

    @model_validator(mode="before")
    @classmethod
    def _with_sign_in(cls, claims: dict[str, Any]) -> dict[str, Any]:
        return {**claims, "sign_in": SignIn.from_claims(claims)}


class _WithoutExpiry(jwt.JWTClaimsRegistry):
    """What a message must say that was in time when it counted."""

    def validate_exp(self, value: object) -> None:
        """It may have expired since."""


class SignedDecisionActivities(DecisionActivities):
    """Holds the public keys of those who may sign for people, and the table of their rights."""

    def __init__(self, keys: KeySet, policy: Policy, standing_in: DelegationDesk | None = None) -> None:
        """Believe signatures of ``keys``, found by their ``kid``; grant what ``policy`` grants.

        ``standing_in`` tells who stands in for whom; None: whoever wants to know asks on their own.
        """
        self._keys = keys
        self._policy = policy
        self._standing_in = standing_in

    @activity.defn(name="verify_messages")
    async def verify_messages(self, proofs: Proofs) -> Verified:
        """What each message says; ``refused`` is set where its proof does not hold.

        A message lives for a day, so that one that was stored while no worker ran still counts. It can be replayed
        meanwhile to no effect: it holds for one workflow and one message id only.
        """
        said = tuple(self._verified(message, proofs) for message in proofs.messages)
        delegations = await self._delegations(proofs.company) if proofs.with_delegations else None
        return Verified(said=said, delegations=delegations)

    async def _delegations(self, company: str) -> Delegations | None:
        """Who stands in for whom; None where it cannot be read now: then it is a step of its own, which tries again."""
        if self._standing_in is None:
            return None
        try:
            return await self._standing_in.read(company)
        except (NoAnswer, Unreadable) as error:
            activity.logger.info("who stands in for whom in %s is not known yet: %s", company, error)
            return None

    def _verified(self, message: SignedMessage, proofs: Proofs) -> VerifiedMessage:
        """One message; whatever it holds, it harms none of the others."""
        registry = (_WithoutExpiry if proofs.counted else jwt.JWTClaimsRegistry)(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": SIGNATURE_ISSUER},
            aud={"essential": True, "values": list(proofs.audiences)},
            jti={"essential": True, "value": message.message_id},
            iat={"essential": True},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            token = jwt.decode(message.token, self._keys, algorithms=ALGORITHMS)
            registry.validate(token.claims)
            said = _Said.model_validate(token.claims)
        except ExpiredTokenError:
            return _refused(message.message_id, "it has expired: decide again")
        except ClaimError as error:
            return _refused(message.message_id, _WORDS.get(error.claim, "it does not say who did what"))
        except ValidationError:
            return _refused(message.message_id, "it does not say who did what")
        except _MALFORMED as error:
            return _refused(message.message_id, f"the signature does not hold: {error}"[:500])
        person = Person(oid=said.sub, name=said.name, roles=said.roles)
        right = RIGHT_OF.get(said.act.name)
        return VerifiedMessage(
            message_id=message.message_id,
            person=person,
            name=said.act.name,
            args=said.act.args,
            signed_at=said.iat,
            expires_at=said.exp,
            sign_in=said.sign_in,
            granted=self._policy.granted(person, right, proofs.company) if right else Granted(),
        )


def _refused(message_id: str, why: str) -> VerifiedMessage:
    return VerifiedMessage(message_id=message_id, person=Person(oid=""), name="", refused=why)
