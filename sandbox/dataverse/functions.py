"""Functions and actions that are bound to nothing and belong to no process.

(Microsoft Learn: Web API function reference: WhoAmI, RetrieveTotalRecordCount, RetrieveCurrentOrganization,
RetrieveVersion, RetrieveAvailableLanguages, RetrieveProvisionedLanguages; "Delete data in bulk".)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.dataverse import bulk, errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.populate import ORGANIZATION
from sandbox.dataverse.web import Call, Responder
from sandbox.odata.batch import Answer
from sandbox.odata.jsonio import BadJson, decode
from sandbox.store import Row

_VERSION = "9.2.25114.00166"
_ENGLISH = 1033


class FunctionService(Responder):
    """Answers calls of unbound functions."""

    def __init__(self, dataverse: Dataverse) -> None:
        super().__init__(dataverse)
        self._by_name: Mapping[str, tuple[str, Callable[[Call], Row]]] = {
            "WhoAmI": ("GET", self._who_am_i),
            "RetrieveTotalRecordCount": ("GET", self._total_record_count),
            "RetrieveCurrentOrganization": ("GET", self._organization),
            "RetrieveVersion": ("GET", lambda call: {"Version": _VERSION}),
            "RetrieveAvailableLanguages": ("GET", lambda call: {"LocaleIds": [_ENGLISH]}),
            "RetrieveProvisionedLanguages": ("GET", lambda call: {"RetrieveProvisionedLanguages": [_ENGLISH]}),
            "BulkDelete": ("POST", lambda call: bulk.delete_by_query(dataverse, call.body(), call.user)),
        }

    def answer(self, call: Call, name: str) -> Answer:
        """Answer a call.

        Raises:
            DataverseError: There is no such function.
        """
        found = self._by_name.get(name)
        if found is None:
            raise errors.resource_not_found(name)
        method, handler = found
        call.need(method)
        return self.response(handler(call), name)

    def _who_am_i(self, call: Call) -> Row:
        user = self.user(call)
        return {
            "BusinessUnitId": user.get("_businessunitid_value"),
            "UserId": user["systemuserid"],
            "OrganizationId": ORGANIZATION,
        }

    def _total_record_count(self, call: Call) -> Row:
        """The number of rows of tables, as of the last snapshot: up to a day old, and only for those that keep one."""
        names = _argument(call, "EntityNames")
        if not isinstance(names, list) or not names:
            raise errors.invalid_argument("The parameter 'EntityNames' must be a collection of logical names.")
        keys, values = [], []
        for name in names:
            entity = self.dataverse.schema.by_name.get(str(name))
            if entity is None:
                raise errors.metadata_not_found("entity", str(name))
            self.dataverse.security.check(self.user(call), entity, "Read")
            keys.append(entity.name)
            values.append(self.dataverse.snapshots.count(entity.name, len(self.dataverse.table(entity))))
        collection = {"Count": len(keys), "IsReadOnly": False, "Keys": keys, "Values": values}
        return {"EntityRecordCountCollection": collection}

    def _organization(self, call: Call) -> Row:
        dataverse = self.dataverse
        endpoints = {
            "Count": 2,
            "IsReadOnly": False,
            "Keys": ["WebApplication", "OrganizationDataService"],
            "Values": [f"{dataverse.origin}/", f"{self.base}/"],
        }
        return {
            "Detail": {
                "OrganizationId": ORGANIZATION,
                "FriendlyName": dataverse.organization_name,
                "OrganizationVersion": _VERSION,
                "EnvironmentId": ORGANIZATION,
                "UrlName": dataverse.organization_name,
                "UniqueName": dataverse.organization_name,
                "OrganizationType": dataverse.organization_type,
                "State": "Enabled",
                "Endpoints": endpoints,
            }
        }


def _argument(call: Call, name: str) -> Any:
    """A parameter of a function, given in the address itself or by an alias (`EntityNames=@p1` and `@p1=[…]`)."""
    key = call.segments[0].key or {}
    literal = key.get(name)
    text = call.parameters().get(f"@{literal.value}" if literal is not None else name)
    if literal is not None and text is None:
        text = str(literal.value)
    if text is None:
        return None
    try:
        return decode(text.replace("'", '"'))
    except BadJson as problem:
        raise errors.bad_query(f"The parameter '{name}' cannot be read: {problem}") from problem
