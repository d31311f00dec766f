"""Who may do what, as the web application asks the table of rights before it shows or sends anything.

The deal asks the same table again before anything counts; what the web can know to be refused never becomes a message.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from domain.approvals import ApprovalState
from domain.authority import subject_of
from domain.calendar import local_date
from domain.commands import DECIDE, RIGHT_OF
from domain.credit import most_released
from domain.entities.map_change_rules import MapChangeRules
from domain.messages import CommandName
from domain.people import Person
from domain.phrases import phrase
from domain.policy import Policy
from domain.refusals import Refusal
from domain.rights import Action, Granted, Subject, Verdict, judge, weak_sign_in
from domain.sign_in import SignIn
from domain.views import DealView
from web import security_log
from web.commands import CreditReleaseArgs
from web.identity import SignedIn
from web.problems import Problem


class Access:
    """The table of rights, asked by pages and API."""

    def __init__(self, policy: Policy) -> None:
        """Ask the rules in force."""
        self._policy = policy

    def readable(self, person: Person) -> tuple[str, ...] | None:
        """The companies whose deals a person may read, for the lists; None: all.

        Raises:
            Problem: 403, none at all.
        """
        companies = self.covered(person, Action.READ_DEAL)
        if companies is not None and not companies:
            security_log.denied(person.oid, Refusal.NO_AUTHORITY, "")
            raise Problem(
                Refusal.NO_AUTHORITY,
                "Your account has no role in this application. Ask an administrator to assign one.",
            )
        return companies

    def covered(self, person: Person, action: Action) -> tuple[str, ...] | None:
        """The companies in which a person may do something; None: all; empty: none."""
        companies = self._policy.rights.companies_of(person, action)
        return None if companies is None else tuple(sorted(companies))

    def check_readable(self, person: Person, company: str) -> None:
        """Refuse who may not read a company's deals.

        Raises:
            Problem: 403.
        """
        self.readable(person)
        if not self._policy.rights.may(person, Action.READ_DEAL, company):
            security_log.denied(person.oid, Refusal.NO_AUTHORITY, company)
            raise Problem(
                Refusal.NO_AUTHORITY, phrase("Your roles do not cover the company {company}.", company=company.upper())
            )

    def check_shown(self, person: Person, state: ApprovalState) -> None:
        """Refuse who may not see a request: it is shown to who is asked or made its quote, and who reads deals.

        Raises:
            Problem: 403.
        """
        asked = any(assignee.is_same(person) for step in state.pending for assignee in step.assignees)
        if not asked and not state.request.is_made_by(person):
            self.check_readable(person, state.request.company)

    def collecting(self, person: Person) -> tuple[str, ...] | None:
        """The companies of which a person may see what is collected; None: all.

        Raises:
            Problem: 403, none at all.
        """
        return self._covered_at_all(person, Action.READ_COLLECTIONS, "Collections are")

    def check_collecting(self, person: Person, company: str) -> None:
        """Refuse who may not see what is collected in a company.

        Raises:
            Problem: 403.
        """
        _check_among(self.collecting(person), person, company, "collections")

    def auditing(self, person: Person) -> tuple[str, ...] | None:
        """The companies whose audit a person may read; None: all.

        Raises:
            Problem: 403, none at all.
        """
        return self._covered_at_all(person, Action.READ_AUDIT, "The audit is")

    def check_auditing(self, person: Person, company: str) -> None:
        """Refuse who may not read a company's audit.

        Raises:
            Problem: 403.
        """
        _check_among(self.auditing(person), person, company, "the audit")

    def seeing_data(self, person: Person) -> tuple[str, ...] | None:
        """The companies of which a person may see what both systems hold; None: all.

        Raises:
            Problem: 403, none at all.
        """
        return self._covered_at_all(person, Action.READ_DATA, "Data of both systems is")

    def check_seeing_data(self, person: Person, company: str) -> None:
        """Refuse who may not see what both systems hold of a company.

        Raises:
            Problem: 403.
        """
        _check_among(self.seeing_data(person), person, company, "the data")

    def _covered_at_all(self, person: Person, action: Action, what: str) -> tuple[str, ...] | None:
        companies = self.covered(person, action)
        if companies is not None and not companies:
            security_log.denied(person.oid, Refusal.NO_AUTHORITY, "")
            raise Problem(Refusal.NO_AUTHORITY, f"{what} for who holds {self._roles(action)}.")
        return companies

    def _roles(self, action: Action) -> str:
        """The roles that a right belongs to, in words."""
        rights = self._policy.rights.rights
        names = dict.fromkeys(right.role for right in rights if action in right.may)
        return f"the role {' or '.join(names)}" if names else "a role that no policy gives"

    def may(self, person: Person, action: Action, company: str) -> bool:
        """Whether a person may do what is about no deal of its own, e.g. see margins of a company."""
        return self._policy.rights.may(person, action, company)

    def deciding(self, person: Person, company: str) -> Granted:
        """What the table says of a person's decisions in a company."""
        return self._policy.granted(person, RIGHT_OF[DECIDE], company)

    def commanding(self, person: Person, name: CommandName, company: str) -> Granted:
        """What the table says of a person's command in a company."""
        return self._policy.granted(person, RIGHT_OF[name], company)

    def saying(self, person: Person, name: str, company: str) -> Granted:
        """What the table says of any message of a person, by its name, in a company."""
        return self._policy.granted(person, RIGHT_OF[name], company)

    def too_old_to_say(self, who: SignedIn, name: str, company: str, subject: Subject) -> str:
        """Why somebody has to sign in again before they say something; empty where they have not."""
        granted = self.saying(who.person, name, company)
        return weak_sign_in(granted, subject, sign_in=who.sign_in, said_at=datetime.now(UTC))

    def approvers(self, company: str) -> tuple[Person, ...]:
        """Who is named for a role that decides approvals of a company."""
        return self._policy.approvers(company)

    def today(self, company: str) -> date:
        """The day in the calendar of a company; in UTC for one that is none of ours."""
        calendar = self._policy.calendars.companies.get(company)
        return local_date(datetime.now(UTC), calendar.timezone if calendar else "UTC")

    @property
    def companies(self) -> tuple[str, ...]:
        """The legal entities that have approvers."""
        return tuple(sorted(company for company, roles in self._policy.authority.companies.items() if roles))

    def verdict(
        self, person: Person, name: CommandName, view: DealView, release: CreditReleaseArgs | None = None
    ) -> Verdict:
        """Whether a person may give a command to a deal as it stands; ``release`` is what they want to release."""
        return judge(self.commanding(person, name, view.company), command_subject(person, name, view, release))

    def too_old(
        self, who: SignedIn, name: CommandName, view: DealView, at: datetime, release: CreditReleaseArgs | None = None
    ) -> str:
        """Why somebody has to sign in again before they give a command; empty where they have not."""
        granted = self.commanding(who.person, name, view.company)
        subject = command_subject(who.person, name, view, release)
        return weak_sign_in(granted, subject, sign_in=who.sign_in, said_at=at)

    def too_old_to_decide(self, who: SignedIn, state: ApprovalState, at: datetime) -> str:
        """Why somebody has to sign in again before they decide a request; empty where they have not."""
        granted = self.deciding(who.person, state.request.company)
        return weak_sign_in(granted, subject_of(state.request), sign_in=who.sign_in, said_at=at)

    def asks_for_fresh_sign_in(self, person: Person, state: ApprovalState) -> bool:
        """Whether the policy wants a fresh sign-in for a decision like this, however fresh the reader's is."""
        granted = self.deciding(person, state.request.company)
        return bool(weak_sign_in(granted, subject_of(state.request), sign_in=SignIn(), said_at=None))

    def roles_everywhere(self, person: Person) -> frozenset[str]:
        """The roles a person holds in every company."""
        held = [self._policy.rights.roles_of(person, company) for company in self.companies]
        return frozenset.intersection(*held) if held else frozenset()

    @property
    def map_changes(self) -> MapChangeRules:
        """Whose approvals a change of a map takes."""
        return self._policy.rights.map_changes

    @property
    def version(self) -> str:
        """Of the rules in force."""
        return self._policy.version

    @property
    def fresh_seconds(self) -> int:
        """How old a sign-in may be where a fresh one is asked for."""
        return self._policy.rights.fresh_sign_in.within_minutes * 60

    @property
    def fresh_context(self) -> str:
        """The authentication context such a sign-in has to satisfy; empty: none."""
        return self._policy.rights.fresh_sign_in.context


_OF_CREDIT = frozenset({CommandName.REFUND_PROPOSE, CommandName.REFUND_APPROVE, CommandName.CREDIT_KEEP})


def command_subject(
    person: Person, name: CommandName, view: DealView, release: CreditReleaseArgs | None = None
) -> Subject:
    """What a command is about, as ``domain.commands`` takes it: a release the most it lets pass, else the deal.

    How much a refund is about is judged by the deal alone.
    """
    own = is_made_by(person, view)
    if name in _OF_CREDIT:
        return Subject(own=own, currency=view.currency)
    if name is not CommandName.CREDIT_RELEASE:
        return Subject(own=own, amount=view.total, currency=view.currency)
    usual, held = view.release_defaults, view.credit
    if usual is None or held is None:
        return Subject(own=own)
    ceiling = usual.ceiling if release is None or release.ceiling is None else release.ceiling
    tolerance = usual.deviation_pct if release is None or release.deviation_pct is None else release.deviation_pct
    return Subject(own=own, amount=most_released(ceiling, tolerance), currency=held.currency)


def is_made_by(person: Person, view: DealView) -> bool:
    """Whether a deal is a person's own: they own its quote, or submitted it."""
    return person.is_same(view.owner) or person.is_same(view.submitted_by)


def _check_among(companies: tuple[str, ...] | None, person: Person, company: str, what: str) -> None:
    if companies is not None and company not in companies:
        security_log.denied(person.oid, Refusal.NO_AUTHORITY, company)
        raise Problem(Refusal.NO_AUTHORITY, f"Your roles do not cover {what} of the company {company[:20].upper()}.")
