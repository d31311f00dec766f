"""What a signed message says; the stand-ins believe it unseen."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from domain.messages import SignedMessage, VerifiedMessage
from domain.people import Person
from tests import rights


def claims(message: SignedMessage) -> dict[str, Any]:
    """What a signed message says; the stand-ins believe it unseen."""
    body = message.token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return said


def verified(message: SignedMessage, company: str, at: datetime) -> VerifiedMessage:
    """What a signed message says, with what the shipped table of rights grants for it."""
    content = claims(message)
    person = Person(oid=content["sub"], name=content["name"], roles=tuple(content["roles"]))
    name, args = content["act"]["name"], content["act"]["args"]
    return rights.said(person, name, args, company=company, at=at, message_id=message.message_id)
