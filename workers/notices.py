"""Telling people, as settings and policy say: whom, by which targets, and what a worker does for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

import policies
from activities.notices import MessageDesk, PeopleDesk
from domain.policy import Policy
from dynamics.core.network import is_loopback
from notices import targets as known
from notices.rendering import Pages, Templates
from notices.sending import Sender
from notices.targets import Target, TargetError
from runs.approvals import Approvals
from runs.notices import NoticeBoxes
from workers.pages import account_pages, deal_pages, late_pages, parallel_pages, request_pages
from workers.settings import Settings, SettingsError, variable_name

_VARIABLE = variable_name(("notice", "targets"))


@dataclass(frozen=True)
class NoticeWork:
    """What a worker does so that people are told.

    Attributes:
        told: kinds of notices that anybody is told; none where no target is configured.
        deal_activities: for the queue `q2c`.
        notice_activities: for the queue `q2c-notices`; none where no target is configured.
    """

    told: tuple[str, ...]
    deal_activities: Sequence[Callable[..., Any]]
    notice_activities: Sequence[Callable[..., Any]]


def notice_targets(settings: Settings) -> dict[str, Target]:
    """The targets that are configured; none: nobody is told.

    Raises:
        PolicyError: notices.yaml cannot be used.
        SettingsError: a target cannot be used, or the policy names one that is not configured.
    """
    secret = settings.notice.targets
    try:
        found = known.read_targets(secret.get_secret_value() if secret else "", is_loopback)
    except TargetError as error:
        raise SettingsError(f"{_VARIABLE}: {error}") from error
    missing = known.unknown(policies.notices(settings.policies).targets, found)
    if found and missing:
        raise SettingsError(f"{_VARIABLE}: notices.yaml names {', '.join(missing)}; add it, or take it out there")
    return found


def notice_work(settings: Settings, client: Client, policy: Policy) -> NoticeWork:
    """What a worker does so that people are told. Raises as ``notice_targets``."""
    targets = notice_targets(settings)
    wanted = policies.notices(settings.policies)
    personal = {name: target.personal for name, target in targets.items()}
    people = PeopleDesk(NoticeBoxes(client), Approvals(client), policy, wanted, personal)
    url = settings.web.url
    pages = Pages(
        home=f"{url}/",
        deal=deal_pages(url),
        request=request_pages(url),
        account=account_pages(url),
        late=late_pages(url),
        parallel=parallel_pages(url),
    )
    sending = MessageDesk(Sender(targets, Templates(pages)))
    return NoticeWork(
        told=tuple(sorted(wanted.chosen)) if targets else (),
        deal_activities=[people.tell_people, people.find_waiting],
        notice_activities=[sending.send_message] if targets else [],
    )
