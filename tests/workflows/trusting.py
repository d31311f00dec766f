"""The people of these tests, and a verifier that takes their word: the real proof is tested with real keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from temporalio import activity

from activities import signatures as s
from domain.messages import SignedMessage, VerifiedMessage
from domain.people import Person
from tests.rights import naming, said

RITA, MONA, DIRK, OTTO, CARL, CLEO, AMY, CFO = (
    Person(oid=f"oid-{name}", name=name) for name in ("rita", "mona", "dirk", "otto", "carl", "cleo", "amy", "cfo")
)
ROLES = {"oid-mona": "sales_manager.usmf", "oid-dirk": "sales_director.usmf", "oid-otto": "ops"}
ROLES |= {"oid-carl": "credit_manager.usmf", "oid-rita": "sales_rep.usmf"}
ROLES |= {"oid-cleo": "credit_clerk.usmf", "oid-amy": "ar_manager.usmf", "oid-cfo": "cfo.usmf"}
RIGHTS = naming(("credit_manager", CARL))


class TrustingVerifier(s.DecisionActivities):
    """Reads ``person|name|k=v;…`` in place of a token; the real proof is tested with real keys."""

    @activity.defn(name="verify_messages")
    async def verify_messages(self, proofs: s.Proofs) -> s.Verified:
        return s.Verified(said=tuple(self._said(message, proofs.company) for message in proofs.messages))

    def _said(self, message: SignedMessage, company: str) -> VerifiedMessage:
        try:
            oid, name, rest = message.token.split("|")
            pairs = dict(pair.split("=", 1) for pair in rest.split(";") if pair)
            args = {name: json.loads(text) if text.startswith("[") else text for name, text in pairs.items()}
        except ValueError:
            return VerifiedMessage(message_id=message.message_id, person=Person(oid=""), name="", refused="unsigned")
        signed_at = datetime.fromisoformat(args.pop("signed_at", datetime.now(UTC).isoformat()))
        person = Person(oid=oid, name=oid.removeprefix("oid-"), roles=(ROLES.get(oid, ""),))
        return said(person, name, args, policy=RIGHTS, company=company, at=signed_at, message_id=message.message_id)
