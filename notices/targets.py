"""The targets of messages: names from the policy, addresses and secrets from a setting.

A target is a URL of Apprise. One that holds ``{address}`` leads to a person's own mail address; every other leads where
it says, for whoever is told. What is wrong with one is said by its name: its URL is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from apprise import Apprise, AppriseAsset
from apprise.plugins import NotifyBase
from apprise.plugins.email import NotifyEmail

from domain.notices_policy import is_target_name

PLACE: Final = "{address}"
SOMEBODY: Final = "somebody@example.com"
"""Stands for a person where nothing is sent."""
_ASSET: Final = AppriseAsset(app_id="Quote to Cash", app_desc="Quote to Cash", secure_logging=True)
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 20.0


class TargetError(ValueError):
    """A target that cannot be used; the text names it and says what to do, and nothing secret."""


@dataclass(frozen=True)
class Target:
    """Where messages go.

    Attributes:
        name: as the policy names it.
        url: of Apprise, with what is secret in it.
    """

    name: str
    url: str = field(repr=False)

    @property
    def personal(self) -> bool:
        """Whether it leads to a person's own address."""
        return PLACE in self.url

    def service(self, address: str = "") -> NotifyBase:
        """What sends to it.

        Args:
            address: of the person, one plain mail address; needed where the target is personal.

        Raises:
            TargetError: Apprise makes nothing of its URL.
        """
        service = Apprise.instantiate(self.url.replace(PLACE, quote(address, safe="@")), asset=_ASSET)
        if service is None:
            raise TargetError(f"target {self.name}: is no address that Apprise understands; correct its URL")
        service.socket_connect_timeout = CONNECT_SECONDS
        service.socket_read_timeout = ANSWER_SECONDS
        return service


def read_targets(text: str, is_here: Callable[[str], bool]) -> dict[str, Target]:
    """The targets of a setting.

    Args:
        text: a JSON object of names and URLs; empty: none.
        is_here: tells of a host whether it is this machine, where nothing need be encrypted.

    Raises:
        TargetError: one of them cannot be used.
    """
    if not text.strip():
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise TargetError(f'is not JSON: {error}; write {{"mail": "mailtos://…"}}') from None
    if not isinstance(content, dict):
        raise TargetError('must be an object of names and URLs: {"mail": "mailtos://…"}')
    found = {}
    for name, url in content.items():
        if not is_target_name(name):
            raise TargetError(f"target {name[:40]!r}: is no name; use small letters, digits and hyphens, e.g. mail")
        if not isinstance(url, str) or not url:
            raise TargetError(f"target {name}: must be a URL as text")
        found[name] = Target(name, url)
        _check(found[name], is_here)
    return found


def _check(target: Target, is_here: Callable[[str], bool]) -> None:
    service = target.service(SOMEBODY)
    if target.personal and not isinstance(service, NotifyEmail):
        raise TargetError(f"target {target.name}: {PLACE} is for mail; other targets lead to one place")
    if not service.verify_certificate:
        raise TargetError(f"target {target.name}: verify=no is not allowed: certificates are always checked; remove it")
    if isinstance(service, NotifyEmail):
        host, encrypted = service.smtp_host, service.secure_mode != "insecure"
    else:
        host, encrypted = service.host, bool(service.secure or not service.protocol)
    if not encrypted and not is_here(str(host or "")):
        raise TargetError(
            f"target {target.name}: would be sent in clear; use the encrypted form of its URL, e.g. mailtos:// or jsons://"
        )


def unknown(named: Collection[str], targets: Collection[str]) -> list[str]:
    """Targets that the policy names and nobody configured."""
    return sorted(set(named) - set(targets))
