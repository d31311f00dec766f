"""Who may do what: one table of role, company, action, own or any deal, and amount, as data.

Rights come from two sides that must agree: the person's token says which app roles the directory grants now, and the
table says what a role allows. A role that the table does not know grants nothing; a role without a company in it counts
for every company only where the table says so. The web asks before it shows or sends anything. A deal asks again before
anything counts: the activity that checks a signature looks the rows up that apply to the person (``Grant``), so that
they are in the deal's history, and the deal judges them by what it alone knows, whose it is and how much it is about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from domain.entities.map_change_rules import MapChangeRules
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.sign_in import SignIn
from domain.values import Company, Currency, Number


class Action(StrEnum):
    """What a right is asked for."""

    READ_DEAL = "deal.read"
    READ_MARGIN = "deal.read_margin"
    """See cost, floor price and margin."""
    CANCEL_DEAL = "deal.cancel"
    ABORT_DEAL = "deal.abort"
    CANCEL_ORDER = "order.cancel"
    """Have all of an order cancelled that is not shipped."""
    CHANGE_ORDER = "order.change"
    """Have lines of an order made smaller."""
    WITHDRAW_APPROVAL = "approval.withdraw"
    DECIDE_APPROVAL = "approval.decide"
    REASSIGN_APPROVAL = "approval.reassign"
    """Ask a step of somebody else who may decide it, in place of who is asked or besides."""
    ANSWER_QUESTION = "approval.answer"
    """Answer what an approver asks before deciding."""
    DELEGATE_OWN = "delegation.set_own"
    """Have somebody else asked for one's own decisions for some days."""
    DELEGATE_ANY = "delegation.set_any"
    """The same for others."""
    RETRY_STEP = "step.retry"
    SKIP_STEP = "step.skip"
    RECHECK_CREDIT = "credit.recheck"
    RELEASE_CREDIT = "credit.release"
    REJECT_CREDIT = "credit.reject"
    PROPOSE_REFUND = "refund.propose"
    """Propose to pay back what a customer paid too much, or was credited."""
    APPROVE_REFUND = "refund.approve"
    """Be the second person of a refund."""
    KEEP_CREDIT = "credit.keep"
    """Leave a customer's unapplied credit on the account, so that its deal closes."""
    READ_RUN = "run.read"
    """Open the sealed contents of runs in Temporal Web and on the command line; they hold cost and margin."""
    ASK_RUN = "run.ask"
    """Have the argument of a query sealed, to ask a run from there."""
    DISMISS_LATE = "late.dismiss"
    """Say that what stands open after a deal's end is settled otherwise."""
    RUN_SYNC = "sync.run"
    """Have records of both systems kept in step, or not, and letters tried again."""
    SETTLE_LETTER = "sync.settle"
    """Say what a value is to be that both systems do not agree on, or approve what somebody else said."""
    RUN_INITIAL = "initial.run"
    """Have the plan of an initial sync carried out, and have that rest, go on or end."""
    UNDO_INITIAL = "initial.undo"
    """Have what an initial sync wrote taken back."""
    REBUILD_CREDIT = "credit.rebuild"
    """Compare a company's credit ledgers with deals and Finance, and have them made anew."""
    END_SESSION = "session.end"
    """Sign somebody out everywhere."""
    SET_UP_CUSTOMER = "customer.set_up"
    """Have a customer of Sales created in Finance, or say which one of Finance it is."""
    READ_AUDIT = "audit.read"
    """Read the audit with its reports, and take a signed export of it."""
    READ_COLLECTIONS = "collections.read"
    """See what is overdue of a company's customers, with levels and letters."""
    OPEN_DISPUTE = "dispute.open"
    """Note that a customer contests an invoice: no level of it is reached until somebody settles it."""
    RESOLVE_DISPUTE = "dispute.resolve"
    RECORD_PROMISE = "promise.record"
    """Note until when a customer promised to pay an invoice."""
    PAUSE_COLLECTIONS = "collections.pause"
    """Have an invoice, or a whole account, rest until a day, and end that."""
    READ_DATA = "data.read"
    """See where both systems differ, and customers that may be one."""
    READ_PERSONAL = "data.read_personal"
    """See personal data among them."""
    SETTLE_DIFFERENCE = "difference.settle"
    """Say that a difference may stand."""
    DECIDE_MATCH = "match.decide"
    """Say which customers are one."""
    PROPOSE_MAP = "map.propose"
    """Propose another map of integration data, and withdraw a proposal."""
    APPROVE_MAP = "map.approve"
    """Be one of the two who approve it, or refuse it."""
    ACTIVATE_MAP = "map.activate"
    """Put an approved map in force."""
    ROLL_BACK_MAP = "map.rollback"
    """Put the former map in force again, which takes back what the change wrote."""
    EXIT_PARALLEL = "parallel.exit"
    """Be one of the two who end a company's parallel run."""


OF_ONE_DEAL: Final = frozenset(
    {
        Action.CANCEL_DEAL,
        Action.ABORT_DEAL,
        Action.CANCEL_ORDER,
        Action.CHANGE_ORDER,
        Action.WITHDRAW_APPROVAL,
        Action.DECIDE_APPROVAL,
        Action.REASSIGN_APPROVAL,
        Action.ANSWER_QUESTION,
        Action.RETRY_STEP,
        Action.SKIP_STEP,
        Action.RECHECK_CREDIT,
        Action.RELEASE_CREDIT,
        Action.REJECT_CREDIT,
        Action.PROPOSE_REFUND,
        Action.APPROVE_REFUND,
        Action.KEEP_CREDIT,
        Action.SET_UP_CUSTOMER,
    }
)
"""Actions of which it is known whose deal they are about and how much it comes to; lists and reading know neither."""
OF_ACCOUNTS: Final = frozenset(
    {Action.OPEN_DISPUTE, Action.RESOLVE_DISPUTE, Action.RECORD_PROMISE, Action.PAUSE_COLLECTIONS}
)
"""Actions on what is collected from a customer: about no deal, and about no amount that the table could bound."""
OF_DATA: Final = frozenset(
    {
        Action.SETTLE_DIFFERENCE,
        Action.DECIDE_MATCH,
        Action.PROPOSE_MAP,
        Action.APPROVE_MAP,
        Action.ACTIVATE_MAP,
        Action.ROLL_BACK_MAP,
        Action.EXIT_PARALLEL,
    }
)
"""Actions on what both systems hold: about no deal and no amount."""
SIGNED: Final = (
    OF_ONE_DEAL
    | OF_ACCOUNTS
    | OF_DATA
    | {Action.DELEGATE_OWN, Action.DELEGATE_ANY, Action.DISMISS_LATE, Action.REBUILD_CREDIT}
    | {Action.RUN_SYNC, Action.SETTLE_LETTER, Action.RUN_INITIAL, Action.UNDO_INITIAL}
)
"""Actions that a person's signed message asks for."""
OF_STEPS: Final = frozenset({Action.REASSIGN_APPROVAL})
"""Actions of which it is known what step of an approval they are about."""
BY_TWO: Final = frozenset({Action.RELEASE_CREDIT})
"""Actions that two persons can do together, one after the other."""


def _role(value: str) -> str:
    if not value or "." in value or not value.isprintable() or " " in value:
        raise ValueError(f"{value!r} is not a role, e.g. sales_manager; its company is no part of it here")
    return value


RoleName = Annotated[str, AfterValidator(_role)]


class Right(Record):
    """What a role allows."""

    role: RoleName
    may: tuple[Action, ...] = Field(min_length=1)
    of: Literal["own", "lower", "any"] = Field(
        "any",
        description="own: deals the person owns or submitted; lower: steps of levels below the role in its own chain",
    )
    up_to: dict[Currency, Number] | None = Field(
        None, description="Amounts incl. tax up to which the role decides alone; a currency not listed counts as above"
    )
    above: Literal["two_persons", "nobody"] = Field("nobody", description="Who decides above `up_to`")
    named: bool = Field(False, description="The person must also be named for role and company in approvers.yaml")

    @model_validator(mode="after")
    def _can_be_kept(self) -> Right:
        for action in self.may:
            if action not in OF_ONE_DEAL and (self.of == "own" or self.up_to is not None):
                raise ValueError(f"{action} is not asked about one deal: leave out of and up_to")
            if self.of == "lower" and action not in OF_STEPS:
                raise ValueError(f"{action} is not asked about one step: of must be own or any")
            if self.above == "two_persons" and action not in BY_TWO:
                raise ValueError(f"{action} cannot be done by two persons: leave out above")
        if self.above == "two_persons" and self.up_to is None:
            raise ValueError("above: two_persons needs up_to")
        if any(amount <= 0 for amount in (self.up_to or {}).values()):
            raise ValueError("up_to: must be above 0")
        return self


class FreshSignIn(Record):
    """When a person must have signed in just before they say something."""

    action: Action
    from_amount: dict[Currency, Number] | None = Field(
        None, description="From these amounts incl. tax; a currency not listed always. Left out: whatever the amount"
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> FreshSignIn:
        if self.action not in SIGNED:
            raise ValueError(f"{self.action} is not signed: a fresh sign-in cannot be asked for it")
        if self.action not in OF_ONE_DEAL and self.from_amount is not None:
            raise ValueError(f"{self.action} is about no amount: leave out from_amount")
        return self

    def asked(self, amount: Decimal, currency: str) -> bool:
        """Whether it is asked for an amount."""
        least = (self.from_amount or {}).get(currency)
        return least is None or amount >= least


class FreshSignIns(Record):
    """Which actions ask for a fresh sign-in, and how fresh it has to be."""

    within_minutes: int = Field(15, ge=1, le=24 * 60)
    context: str = Field(
        "",
        pattern=r"^(c[1-9][0-9]?)?$",
        description="Authentication context of Entra's conditional access that it has to satisfy; empty: none",
    )
    actions: tuple[FreshSignIn, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> FreshSignIns:
        actions = [entry.action for entry in self.actions]
        if len(set(actions)) != len(actions):
            raise ValueError("actions: names an action twice; keep one")
        return self


class RoleConflict(Record):
    """Roles that one person should not hold in one company together: any of the one with any of the other."""

    one: tuple[RoleName, ...] = Field(min_length=1)
    other: tuple[RoleName, ...] = Field(min_length=1)
    why: str = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> RoleConflict:
        both = sorted({*self.one} & {*self.other})
        if both:
            raise ValueError(f"{both[0]!r} stands on both sides; keep it on one")
        return self


class Grant(Record):
    """A row of the table as it applies to one person, company and action: what the history of a deal keeps."""

    role: str
    of: Literal["own", "lower", "any"] = "any"
    up_to: dict[str, Decimal] | None = None
    above: Literal["two_persons", "nobody"] = "nobody"
    is_named: bool = Field(True, description="False: the row is only for people named in the policy; this one is not")


class Granted(Record):
    """All that the table says of one person, company and action."""

    grants: tuple[Grant, ...] = ()
    fresh: FreshSignIn | None = Field(None, description="None: no fresh sign-in is asked for this action")
    fresh_minutes: int = 0
    fresh_context: str = ""
    policy_version: str = ""


class Subject(Record):
    """What something is to be done to."""

    own: bool = Field(False, description="Whether the deal is the person's: they own it or submitted it")
    amount: Decimal = Field(Decimal(0), description="Incl. tax, in `currency`")
    currency: str = ""
    higher_roles: tuple[str, ...] = Field((), description="Roles above a step in its chain, where it is about a step")


class Verdict(Record):
    """Whether somebody may do what they want to do."""

    code: Refusal | None = Field(None, description="None where it is allowed")
    detail: str = ""
    second_person: bool = Field(False, description="Allowed only together with a second person who may do it")
    role: str = Field("", description="The role that allows it")

    @property
    def allowed(self) -> bool:
        """Whether it may be done, alone or with a second person."""
        return self.code is None


_CLOSENESS: Final = (None, Refusal.ABOVE_LIMIT, Refusal.NOT_NAMED, Refusal.NOT_OWN_DEAL, Refusal.NO_AUTHORITY)


def judge(granted: Granted, subject: Subject, *, roles: Collection[str] | None = None) -> Verdict:
    """Whether what the table grants a person is enough.

    Where several roles of the person allow it, the one that needs no second person counts; where none does, the code
    says what came closest.

    Args:
        granted: the rows that apply to the person.
        subject: what it is to be done to.
        roles: only these roles count; None: any.
    """
    found = [_by(grant, subject) for grant in granted.grants if roles is None or grant.role in roles]
    nothing = Verdict(code=Refusal.NO_AUTHORITY, detail="no role of this person allows it for this company")
    return min(found, key=lambda v: (_CLOSENESS.index(v.code), v.second_person), default=nothing)


def _by(grant: Grant, subject: Subject) -> Verdict:
    if grant.of == "own" and not subject.own:
        return Verdict(code=Refusal.NOT_OWN_DEAL, detail=f"a {grant.role} may do this to their own deals only")
    if grant.of == "lower" and grant.role not in subject.higher_roles:
        detail = f"a {grant.role} may do this to lower steps of their own chain only"
        return Verdict(code=Refusal.NO_AUTHORITY, detail=detail)
    if not grant.is_named:
        return Verdict(code=Refusal.NOT_NAMED, detail=f"not named as {grant.role} of this company in approvers.yaml")
    if grant.up_to is None:
        return Verdict(role=grant.role)
    most = grant.up_to.get(subject.currency)
    if most is not None and subject.amount <= most:
        return Verdict(role=grant.role)
    if grant.above == "two_persons":
        return Verdict(role=grant.role, second_person=True)
    return Verdict(
        code=Refusal.ABOVE_LIMIT,
        detail=f"{subject.amount} {subject.currency or '(no currency)'} is above what a {grant.role} decides",
    )


def weak_sign_in(granted: Granted, subject: Subject, *, sign_in: SignIn, said_at: datetime | None) -> str:
    """Why a person has to sign in again before they say this; empty where they have not.

    Args:
        granted: what the table says of the person and the action.
        subject: what it is about.
        sign_in: how and when the person last signed in, as far as it is known.
        said_at: when they said it, UTC: a message that waited for a worker has not grown old.
    """
    if granted.fresh is None or not granted.fresh.asked(subject.amount, subject.currency):
        return ""
    if sign_in.at is None or said_at is None:
        return "it is not known when they signed in"
    if said_at - sign_in.at > timedelta(minutes=granted.fresh_minutes):
        return f"they signed in more than {granted.fresh_minutes} minutes before"
    if granted.fresh_context and granted.fresh_context not in sign_in.contexts:
        return f"their sign-in did not satisfy the authentication context {granted.fresh_context}"
    return ""


class RightsPolicy(Record):
    """The table of rights as the file holds it."""

    version: str = Field(min_length=1)
    every_company: tuple[RoleName, ...] = Field((), description="Roles that count for every company without a suffix")
    rights: tuple[Right, ...] = Field(min_length=1)
    fresh_sign_in: FreshSignIns = FreshSignIns()
    conflicts: tuple[RoleConflict, ...] = ()
    map_changes: MapChangeRules = MapChangeRules()

    @model_validator(mode="after")
    def _whole(self) -> RightsPolicy:
        known = set(self.roles)
        for role in self.every_company:
            if role not in known:
                raise ValueError(f"every_company: {role!r} has no right; add one or remove it here")
        for conflict in self.conflicts:
            for role in (*conflict.one, *conflict.other):
                if role not in known:
                    raise ValueError(f"conflicts: {role!r} has no right; correct the name or remove the conflict")
        approving = {right.role for right in self.rights if Action.APPROVE_MAP in right.may}
        if "map_changes" in self.model_fields_set and (lacking := sorted(self.map_changes.roles - approving)):
            raise ValueError(f"map_changes: {lacking[0]!r} does not have map.approve; give it the right or remove it")
        for role in {right.role for right in self.rights if Action.READ_RUN in right.may}:
            if not any(right.role == role and Action.READ_MARGIN in right.may for right in self.rights):
                raise ValueError(f"rights: run.read shows {role} cost and margin; give it deal.read_margin as well")
        seen: set[tuple[str, Action, str]] = set()
        for right in self.rights:
            for action in right.may:
                cell = (right.role, action, right.of)
                if cell in seen:
                    raise ValueError(f"rights: {right.role} is given {action} of {right.of} deals twice; keep one")
                seen.add(cell)
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that the table knows, in its order."""
        return tuple(dict.fromkeys(right.role for right in self.rights))

    def roles_of(self, person: Person, company: str) -> frozenset[str]:
        """The known roles a person holds in a company."""
        return frozenset(
            role
            for role in self.roles
            if f"{role}.{company}" in person.roles or (role in self.every_company and role in person.roles)
        )

    def may(self, person: Person, action: Action, company: str) -> bool:
        """Whether a role of a person covers an action in a company, to some deal at least; for what is about none."""
        held = self.roles_of(person, company)
        return any(right.role in held for right in self.rights if action in right.may)

    def companies_of(self, person: Person, action: Action) -> frozenset[str] | None:
        """The companies in which a role of a person covers an action; None: all of them; empty: none."""
        able = {right.role for right in self.rights if action in right.may}
        if any(role in able and role in self.every_company for role in person.roles):
            return None
        parts = (role.partition(".") for role in person.roles)
        return frozenset(company for role, _, company in parts if company and role in able)

    def limits_of(self, action: Action) -> dict[str, dict[str, Decimal]]:
        """By role and currency, the amount up to which the role alone does something; roles without a limit are out."""
        return {right.role: dict(right.up_to) for right in self.rights if action in right.may and right.up_to}

    def granted(
        self, person: Person, action: Action, company: str, *, named: Collection[str], policy_version: str
    ) -> Granted:
        """What the table says of a person, an action and a company.

        Args:
            person: who, with the roles of their token.
            action: what they want to do.
            company: legal entity, lower case.
            named: roles of the company for which approvers.yaml names the person.
            policy_version: of the whole policy, for the records.
        """
        held = self.roles_of(person, company)
        grants = tuple(
            Grant(
                role=right.role,
                of=right.of,
                up_to=right.up_to,
                above=right.above,
                is_named=not right.named or right.role in named,
            )
            for right in self.rights
            if right.role in held and action in right.may
        )
        fresh = next((entry for entry in self.fresh_sign_in.actions if entry.action is action), None)
        return Granted(
            grants=grants,
            fresh=fresh,
            fresh_minutes=self.fresh_sign_in.within_minutes if fresh else 0,
            fresh_context=self.fresh_sign_in.context if fresh else "",
            policy_version=policy_version,
        )


class ConflictFound(Record):
    """A person who holds roles that should be two people's."""

    person: Person
    company: str
    roles: tuple[str, ...] = Field(description="All that conflict, sorted")
    why: str


def conflicts(
    rights: RightsPolicy, people: Iterable[Person], companies: Collection[Company]
) -> Iterator[ConflictFound]:
    """Who holds roles that should not be one person's, company by company.

    Args:
        rights: the table with its conflicts.
        people: persons with their directory roles.
        companies: legal entities, lower case.
    """
    for person in people:
        for company in companies:
            held = rights.roles_of(person, company)
            for conflict in rights.conflicts:
                one, other = held & {*conflict.one}, held & {*conflict.other}
                if one and other:
                    roles = tuple(sorted(one | other))
                    yield ConflictFound(person=person.named, company=company, roles=roles, why=conflict.why)
