"""A sandbox that is set up, and words to look at it and to spoil it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamics.core.auth import Credentials, GivenToken
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.setup.environment import Outcome, examine, set_up
from dynamics.sales.setup.findings import Finding
from dynamics.sales.setup.webhook import Receiver
from sandbox.dataverse import Dataverse as Environment
from sandbox.runtime import Sandbox

WEB = "https://approvals.contoso.example"
RECEIVER = Receiver(WEB, 'a key <with> "signs" & more')
IN_SOLUTION = {"MSCRM.SolutionUniqueName": "QuoteToCash"}
CRM = "Microsoft.Dynamics.CRM"


@dataclass
class Setup:
    """A sandbox and a client that may do everything in it."""

    sandbox: Sandbox
    client: Dataverse

    @property
    def environment(self) -> Environment:
        return self.sandbox.dataverse

    @property
    def application(self) -> str:
        return self.sandbox.info.client_id

    async def run(self, receiver: Receiver = RECEIVER, *, auditing: bool = True) -> dict[str, Outcome]:
        """Set it up; what was not as it should be, by part."""
        work = set_up(self.client.odata, self.application, receiver, auditing=auditing)
        done = [outcome async for outcome in work]
        return {outcome.finding.part: outcome for outcome in reversed(done) if outcome.finding.problem}

    async def problems(self, receiver: Receiver = RECEIVER, *, auditing: bool = True) -> dict[str, Finding]:
        """What is not as it should be, by part; reads only."""
        work = examine(self.client.odata, self.application, receiver, auditing=auditing)
        found = [finding async for finding in work]
        return {finding.part: finding for finding in reversed(found) if finding.problem}

    def fingerprint(self) -> tuple[int, int]:
        """Rises with every row written and every definition changed."""
        return self.environment.db.version, self.environment.schema.version

    def row(self, table: str, **equal: Any) -> dict[str, Any]:
        (row,) = self.environment.rows(table, **equal)
        return row

    def step(self, message: str, table: str) -> dict[str, Any]:
        return self.row("sdkmessageprocessingstep", name=f"Quote to Cash: {message} of {table}")


def client_of(sandbox: Sandbox, token: str = "") -> Dataverse:
    info = sandbox.info
    credentials = Credentials(
        f"{info.entra}/{info.tenant}",
        info.client_id,
        info.client_secret,
        ca_file=info.ca_file,
        instance_discovery=False,
    )
    settings = DataverseSettings(Endpoint(info.dataverse, ca_file=info.ca_file), credentials)
    return Dataverse(settings, tokens=GivenToken(token) if token else None)


def give_up_administration(setup: Setup) -> None:
    link(setup, "System Administrator", add=False)


def make_administrator(setup: Setup) -> None:
    """The one who breaks and repairs needs more than the role that is looked at."""
    link(setup, "System Administrator", add=True)


def link(setup: Setup, role: str, *, add: bool) -> None:
    environment = setup.environment
    user = setup.row("systemuser", applicationid=setup.application)["systemuserid"]
    role_id = setup.row("role", name=role)["roleid"]
    association = environment.schema.many_to_many["systemuserroles_association"]
    act = environment.writer.link if add else environment.writer.unlink
    with environment.db.transaction():
        act(environment.operation(None), association, user, role_id)


def images(setup: Setup, step: Mapping[str, Any]) -> list[dict[str, Any]]:
    step_id = step["sdkmessageprocessingstepid"]
    return setup.environment.rows("sdkmessageprocessingstepimage", sdkmessageprocessingstepid=step_id)


def token_of(sandbox: Sandbox, person: str) -> str:
    """An access token of a person for Dataverse, as Azure CLI gives it."""
    found = sandbox.directory.find(person)
    assert found is not None
    return sandbox.authority.issue(
        sandbox.info.dataverse,
        app_id=sandbox.info.web_client_id,
        object_id=found.oid,
        claims={"scp": "user_impersonation"},
    )
