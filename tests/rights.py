"""The shipped table of rights, written out a second time; and messages of people with what it grants them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import policies
from domain.commands import RIGHT_OF
from domain.messages import CommandName, VerifiedMessage
from domain.people import Person
from domain.policy import Policy
from domain.rights import Action, Granted
from domain.sign_in import SignIn

POLICY: Final = policies.load()
COMPANY: Final = "usmf"
OWN: Final = "own"
LOWER: Final = "lower"
ANY: Final = "any"
ROLES: Final = (
    "sales_rep sales_manager sales_director cfo legal credit_clerk credit_manager ar_manager ops admin auditor".split()
)
EVERY_COMPANY: Final = ("ops", "admin", "auditor")
"""Roles that count for every company without one in their name."""

_SEES_MARGIN: Final = ("sales_manager", "sales_director", "cfo", "credit_manager", "ops", "admin", "auditor")
TABLE: Final[dict[Action, dict[str, str]]] = {
    Action.READ_DEAL: dict.fromkeys(ROLES, ANY),
    Action.READ_MARGIN: dict.fromkeys(_SEES_MARGIN, ANY),
    Action.CANCEL_DEAL: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.CANCEL_ORDER: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.CHANGE_ORDER: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.ABORT_DEAL: {"ops": ANY, "admin": ANY},
    Action.WITHDRAW_APPROVAL: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.DECIDE_APPROVAL: dict.fromkeys(("sales_manager", "sales_director", "cfo", "legal"), ANY),
    Action.REASSIGN_APPROVAL: {"sales_director": LOWER, "cfo": LOWER, "ops": ANY},
    Action.ANSWER_QUESTION: dict.fromkeys(("sales_rep", "sales_manager", "sales_director", "cfo"), OWN),
    Action.DELEGATE_OWN: dict.fromkeys(("sales_manager", "sales_director", "cfo", "legal"), ANY),
    Action.DELEGATE_ANY: {"admin": ANY},
    Action.RETRY_STEP: {"ops": ANY, "admin": ANY},
    Action.SKIP_STEP: {"ops": ANY, "admin": ANY},
    Action.RECHECK_CREDIT: dict.fromkeys(("cfo", "credit_clerk", "credit_manager", "ops"), ANY),
    Action.RELEASE_CREDIT: {"credit_manager": ANY, "cfo": ANY},
    Action.REJECT_CREDIT: {"credit_manager": ANY},
    Action.PROPOSE_REFUND: {"ar_manager": ANY, "credit_clerk": ANY},
    Action.APPROVE_REFUND: {"ar_manager": ANY, "cfo": ANY},
    Action.KEEP_CREDIT: {"ar_manager": ANY},
    Action.SET_UP_CUSTOMER: dict.fromkeys(("credit_manager", "ar_manager"), ANY),
    Action.READ_RUN: dict.fromkeys(_SEES_MARGIN, ANY),
    Action.ASK_RUN: {"ops": ANY, "admin": ANY},
    Action.DISMISS_LATE: dict.fromkeys(("sales_manager", "ar_manager", "ops"), ANY),
    Action.REBUILD_CREDIT: {"ops": ANY},
    Action.EXIT_PARALLEL: {"cfo": ANY, "ops": ANY},
    Action.RUN_SYNC: {"ops": ANY},
    Action.RUN_INITIAL: {"ops": ANY},
    Action.UNDO_INITIAL: {"ops": ANY},
    Action.SETTLE_LETTER: dict.fromkeys(("sales_manager", "ar_manager", "ops"), ANY),
    Action.END_SESSION: {"admin": ANY},
    Action.READ_AUDIT: {"auditor": ANY},
    Action.READ_COLLECTIONS: dict.fromkeys(
        ("sales_rep", "cfo", "credit_clerk", "credit_manager", "ar_manager", "ops", "admin", "auditor"), ANY
    ),
    Action.OPEN_DISPUTE: dict.fromkeys(("sales_rep", "credit_clerk", "credit_manager", "ar_manager"), ANY),
    Action.RESOLVE_DISPUTE: dict.fromkeys(("credit_manager", "ar_manager"), ANY),
    Action.RECORD_PROMISE: dict.fromkeys(("credit_clerk", "credit_manager", "ar_manager"), ANY),
    Action.PAUSE_COLLECTIONS: dict.fromkeys(("credit_manager", "ar_manager"), ANY),
    Action.READ_DATA: dict.fromkeys(
        ("sales_manager", "cfo", "credit_manager", "ar_manager", "ops", "admin", "auditor"), ANY
    ),
    Action.READ_PERSONAL: dict.fromkeys(("credit_manager", "ar_manager", "ops", "auditor"), ANY),
    Action.SETTLE_DIFFERENCE: dict.fromkeys(("sales_manager", "ar_manager", "ops"), ANY),
    Action.DECIDE_MATCH: dict.fromkeys(("cfo", "credit_manager", "ar_manager"), ANY),
    Action.PROPOSE_MAP: dict.fromkeys(("sales_manager", "ar_manager", "ops"), ANY),
    Action.APPROVE_MAP: dict.fromkeys(("cfo", "credit_manager", "ar_manager", "ops", "admin"), ANY),
    Action.ACTIVATE_MAP: dict.fromkeys(("ops", "admin"), ANY),
    Action.ROLL_BACK_MAP: dict.fromkeys(("ops", "admin"), ANY),
}
"""What the shipped table allows: action → role → whose deals."""
FRESH: Final = (CommandName.CREDIT_RELEASE, CommandName.SKIP, CommandName.REFUND_APPROVE)
"""Commands that ask for a fresh sign-in, whatever the amount."""


class Cell(NamedTuple):
    """A role (as a token writes it), a command, and whether the deal is the person's own."""

    role: str
    command: CommandName
    own: bool

    @property
    def code(self) -> str:
        """The code with which the command is refused; empty where it is allowed, for who is named for their role."""
        name, _, company = self.role.partition(".")
        counts = company == COMPANY or (not company and name in EVERY_COMPANY)
        of = TABLE[RIGHT_OF[self.command]].get(name, "") if counts else ""
        if of == ANY or (of == OWN and self.own):
            return ""
        return "NOT_OWN_DEAL" if of == OWN else "NO_AUTHORITY"


CELLS: Final = [
    Cell(role, command, own)
    for name, command, own in itertools.product((*ROLES, "superuser"), CommandName, (True, False))
    for role in (f"{name}.{COMPANY}", f"{name}.demf", name)
]
"""Every cell of the table for commands: role, of the deal's company, of another one or of none; command; own or not."""

_NO_REASON = (CommandName.RETRY, CommandName.CREDIT_RECHECK, CommandName.REREAD)
ARGS: Final[dict[CommandName, dict[str, Any]]] = (
    {name: {"reason": "r"} for name in CommandName}
    | {name: {} for name in _NO_REASON}
    | {
        CommandName.CHANGE_ORDER: {"reason": "r", "lines": [{"line_no": 1, "quantity": "8"}]},
        CommandName.REFUND_PROPOSE: {"of": "PAY-1", "amount": "55.00", "reason": "r"},
        CommandName.REFUND_APPROVE: {"refund": "1"},
        CommandName.CHOOSE_CUSTOMER: {"account": "US-001"},
    }
)
"""Arguments that each command takes."""


def naming(*people: tuple[str, Person], policy: Policy = POLICY) -> Policy:
    """The policy with these people, each named for a role of every company."""
    companies = policy.authority.companies
    for role, person in people:
        companies = {
            company: {**roles, role: (*roles.get(role, ()), person.oid)} for company, roles in companies.items()
        }
    known = policy.authority.people | {person.oid: person.named for _, person in people}
    return policy.model_copy(
        update={"authority": policy.authority.model_copy(update={"people": known, "companies": companies})}
    )


def said(
    person: Person,
    name: str,
    args: dict[str, Any] | None = None,
    *,
    policy: Policy = POLICY,
    company: str = COMPANY,
    at: datetime | None = None,
    signed_in_at: datetime | None = None,
    contexts: tuple[str, ...] = (),
    **more: Any,
) -> VerifiedMessage:
    """What a person said, proved, with what the table grants them; they signed in at the same moment unless said."""
    right = RIGHT_OF.get(name)
    moment = at or datetime(2026, 11, 23, 14, tzinfo=UTC)
    content: dict[str, Any] = {
        "message_id": "m",
        "signed_at": moment,
        "sign_in": SignIn(at=signed_in_at or moment, contexts=contexts),
        "granted": policy.granted(person, right, company) if right else Granted(),
    }
    return VerifiedMessage(person=person, name=name, args=args or {}, **content | more)


LIMITS: Final = {"credit_manager": Decimal(100_000), "cfo": Decimal(500_000)}
"""USD up to which a role releases credit alone."""
