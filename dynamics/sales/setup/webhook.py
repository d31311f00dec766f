"""The webhook's endpoint, its steps and their images: what happens in Sales is told to the web application.

Sources: Microsoft Learn, "Use webhooks to create external handlers for server events", "Register a webhook" (its
authentication, the two ports), "Register a plug-in" (messages that have images), table references of serviceendpoint,
sdkmessageprocessingstep, sdkmessageprocessingstepimage, sdkmessage and sdkmessagefilter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

from dynamics.core.errors import NotFound, System
from dynamics.core.literals import key, literal, query
from dynamics.core.network import is_loopback
from dynamics.core.odata import ODataClient, Row
from dynamics.sales.setup.blueprint import IMAGE, INTAKE, KEY_HEADER, STEPS, TITLE, Step
from dynamics.sales.setup.findings import IN_SOLUTION, Finding, Repair, Section, listed

_WEBHOOK: Final = 8
_HTTP_HEADER: Final = 5
_ASYNCHRONOUS: Final = 1
_POST_OPERATION: Final = 40
_ENABLED: Final = {"statecode": 0, "statuscode": 1}
_AFTER: Final = 1
_BOTH: Final = 2
_PORTS: Final = (None, 80, 443)
"""Dataverse sends webhooks to no other port; None: none is named."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where webhooks go.

    Attributes:
        origin: of the web application.
        key: what the calls show; None: not known here, so that it cannot be set.
        renew: whether the key is sent again: Dataverse never shows it, so it cannot be compared.
    """

    origin: str
    key: str | None = field(default=None, repr=False)
    renew: bool = False

    @property
    def url(self) -> str:
        """Address of the intake."""
        return self.origin + INTAKE


class Webhook(Section):
    """Endpoint, steps, images."""

    title = "webhook"

    def __init__(self, odata: ODataClient, receiver: Receiver) -> None:
        """Look at the webhook of a receiver."""
        super().__init__(odata)
        self._receiver = receiver

    async def look(self) -> list[Finding]:
        """The endpoint first: the steps refer to it."""
        endpoint = await self._endpoint()
        registered = {} if endpoint is None else await self._registered(str(endpoint["serviceendpointid"]))
        found = self._of_endpoint(endpoint)
        for step in STEPS:
            found += self._step(step, registered.get((step.table, step.message), []))
        return found

    # --- the endpoint ------------------------------------------------------------------------------------------------

    async def _endpoint(self) -> Row | None:
        path = query(
            "serviceendpoints",
            select="serviceendpointid,name,url,authtype,isauthvalueset",
            filter=f"contract eq {_WEBHOOK} and (name eq {literal(TITLE)} or url eq {literal(self._receiver.url)})",
        )
        rows = await self.odata.all_rows(path)
        return next((row for row in rows if row["name"] == TITLE), rows[0] if rows else None)

    def _of_endpoint(self, row: Row | None) -> list[Finding]:
        part, url = "webhook endpoint", self._receiver.url
        parts = urlsplit(url)
        if parts.port not in _PORTS and not is_loopback(parts.hostname or ""):
            remedy = "let Q2C_WEB_URL be an address on port 443."
            return [Finding(part, f"Dataverse sends to ports 80 and 443 only, not to {url}", remedy=remedy)]
        if row is None:
            return [self._with_key(part, "missing", "create it", self._create_endpoint)]
        change = partial(self._change_endpoint, str(row["serviceendpointid"]))
        if row["url"] != url:
            return [
                self._with_key(part, f"it sends to {row['url'] or 'no address'}, not to {url}", "correct it", change)
            ]
        if row["authtype"] != _HTTP_HEADER or not row["isauthvalueset"]:
            return [self._with_key(part, f"it shows no key in the header {KEY_HEADER}", "send the key", change)]
        if self._receiver.renew:
            return [self._with_key(part, "its key is to be renewed", "send the key", change)]
        return [Finding(part)]

    def _with_key(self, part: str, problem: str, doing: str, repair: Repair) -> Finding:
        """A finding whose repair needs the key."""
        if self._receiver.key is None:
            return Finding(part, problem, remedy="set Q2C_DATAVERSE_WEBHOOK_KEY: the endpoint needs it.")
        return Finding(part, problem, repair, doing)

    async def _create_endpoint(self) -> None:
        body = {"name": TITLE, "contract": _WEBHOOK, **self._authentication()}
        await self.odata.post("serviceendpoints", body, headers=IN_SOLUTION)

    async def _change_endpoint(self, endpoint: str) -> None:
        await self.odata.patch(key("serviceendpoints", endpoint), self._authentication())

    def _authentication(self) -> Row:
        settings = ElementTree.Element("settings")
        ElementTree.SubElement(settings, "setting", name=KEY_HEADER, value=self._receiver.key or "")
        value = ElementTree.tostring(settings, encoding="unicode")
        return {"url": self._receiver.url, "authtype": _HTTP_HEADER, "authvalue": value}

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _registered(self, endpoint: str) -> Mapping[tuple[str, str], list[Row]]:
        """The steps that send to the endpoint, with their images, by table and message."""
        path = query(
            "sdkmessageprocessingsteps",
            select="sdkmessageprocessingstepid,name,mode,stage,statecode,filteringattributes",
            filter=f"_eventhandler_value eq {endpoint}",
            expand=(
                "sdkmessageid($select=name),sdkmessagefilterid($select=primaryobjecttypecode),"
                "sdkmessageprocessingstepid_sdkmessageprocessingstepimage($select=imagetype,attributes)"
            ),
        )
        found: dict[tuple[str, str], list[Row]] = {}
        for row in await self.odata.all_rows(path):
            table = (row.get("sdkmessagefilterid") or {}).get("primaryobjecttypecode", "")
            message = (row.get("sdkmessageid") or {}).get("name", "")
            found.setdefault((table, message), []).append(row)
        return found

    def _step(self, step: Step, rows: Sequence[Row]) -> list[Finding]:
        part = f"webhook step {step.message} of {step.table}"
        if not rows:
            return [Finding(part, "missing", partial(self._create_step, step), "create it")]
        if len(rows) > 1:
            return [Finding(part, f"registered {len(rows)} times", remedy="delete all but one of them.")]
        row = rows[0]
        path = key("sdkmessageprocessingsteps", str(row["sdkmessageprocessingstepid"]))
        found = []
        if row["statecode"] != _ENABLED["statecode"]:
            found.append(Finding(part, "disabled", partial(self._change_step, path, _ENABLED), "enable it"))
        if (row["mode"], row["stage"]) != (_ASYNCHRONOUS, _POST_OPERATION):
            body = {"mode": _ASYNCHRONOUS, "stage": _POST_OPERATION}
            problem = "it does not run asynchronously after the operation"
            found.append(Finding(part, problem, partial(self._change_step, path, body), "correct it"))
        filtering = _names(row["filteringattributes"])
        if filtering != set(step.filtering):
            wanted = ",".join(step.filtering) or None
            problem = f"its filtering attributes are {listed(sorted(filtering)) or 'none'}, not {wanted or 'none'}"
            change = partial(self._change_step, path, {"filteringattributes": wanted})
            found.append(Finding(part, problem, change, "correct them"))
        found += self._image(part, step, row)
        return found or [Finding(part)]

    def _image(self, part: str, step: Step, row: Row) -> list[Finding]:
        """An image without a list of columns has them all."""
        if not step.image:
            return []
        images = [
            image
            for image in row["sdkmessageprocessingstepid_sdkmessageprocessingstepimage"]
            if image["imagetype"] in (_AFTER, _BOTH)
        ]
        if not images:
            create = partial(self._create_image, step, str(row["sdkmessageprocessingstepid"]))
            return [Finding(part, "it has no image of afterwards", create, "create it")]
        columns = _names(images[0]["attributes"])
        missing = [name for name in step.image if columns and name not in columns]
        if not missing:
            return []
        path = key("sdkmessageprocessingstepimages", str(images[0]["sdkmessageprocessingstepimageid"]))
        body = {"attributes": ",".join(sorted(columns | set(step.image)))}
        return [Finding(part, f"its image lacks {listed(missing)}", partial(self._change_step, path, body), "add them")]

    async def _create_step(self, step: Step) -> None:
        endpoint = (await self._endpoint() or {})["serviceendpointid"]
        message = await self._message(step)
        body: Row = {
            "name": f"{TITLE}: {step.message} of {step.table}",
            "mode": _ASYNCHRONOUS,
            "stage": _POST_OPERATION,
            "rank": 1,
            "supporteddeployment": 0,
            "asyncautodelete": True,
            "filteringattributes": ",".join(step.filtering) or None,
            "sdkmessageid@odata.bind": f"/sdkmessages({message['_sdkmessageid_value']})",
            "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({message['sdkmessagefilterid']})",
            "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({endpoint})",
        }
        await self.odata.post("sdkmessageprocessingsteps", body, headers=IN_SOLUTION)
        if step.image:
            registered = await self._registered(str(endpoint))
            made = registered[step.table, step.message][0]["sdkmessageprocessingstepid"]
            await self._create_image(step, str(made))

    async def _message(self, step: Step) -> Row:
        """The message of the table.

        Raises:
            NotFound: the environment does not know it: Dynamics 365 Sales is not installed.
        """
        rows = await self.odata.all_rows(
            query(
                "sdkmessagefilters",
                select="sdkmessagefilterid,primaryobjecttypecode,_sdkmessageid_value",
                filter=f"primaryobjecttypecode eq {literal(step.table)}",
                expand="sdkmessageid($select=name)",
            )
        )
        found = next((row for row in rows if row["sdkmessageid"]["name"] == step.message), None)
        if found is None:
            problem = f"Dataverse has no message {step.message} of {step.table}: is Dynamics 365 Sales installed?"
            raise NotFound(problem, system=System.DATAVERSE, operation="GET sdkmessagefilters")
        return found

    async def _create_image(self, step: Step, step_id: str) -> None:
        body = {
            "name": IMAGE,
            "entityalias": IMAGE,
            "messagepropertyname": "Id" if step.message == "Create" else "Target",
            "imagetype": _AFTER,
            "attributes": ",".join(step.image),
            "sdkmessageprocessingstepid@odata.bind": f"/sdkmessageprocessingsteps({step_id})",
        }
        await self.odata.post("sdkmessageprocessingstepimages", body)

    async def _change_step(self, path: str, body: Row) -> None:
        await self.odata.patch(path, body)


def _names(text: str | None) -> set[str]:
    return {name.strip() for name in (text or "").split(",") if name.strip()}
