"""The operations of the API: one table, from which the routes and the OpenAPI document are both made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from domain.people import Person
from web.api.bodies import ProblemBody

Handler = Callable[[Request, Person], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One operation: how it is called, what it takes and what it answers."""

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answers: dict[int, tuple[str, type[BaseModel]]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)


_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "company": {"description": "Finance legal entity, lower case", "schema": {"type": "string"}},
    "quote": {"description": "Quote number in Dynamics 365 Sales", "schema": {"type": "string"}},
    "n": {"description": "Number of the request within the deal", "schema": {"type": "integer", "minimum": 1}},
    "name": {"description": "Name of the command", "schema": {"type": "string"}},
}
_ALWAYS = {
    401: "The bearer token is missing or not good for this API",
    503: "Temporal or Entra ID does not answer; nothing was recorded",
}


def openapi(operations: list[Operation], *, server: str, authority: str, scope: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Args:
        operations: what there is.
        server: the API's address, e.g. https://q2c.contoso.com/api/v1.
        authority: the Entra tenant tokens come from.
        scope: the delegated scope to ask for.
    """
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in operations:
        path = operation.path.replace("{n:int}", "{n}")
        paths.setdefault(path, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Quote to Cash",
            "version": "1.0.0",
            "description": "Read deals, decide approvals and give commands, as a signed-in person. Errors are RFC 9457 "
            "problem details with a stable `code`. Every decision and command has a `message_id`; the same id sent "
            "again changes nothing and gets the same outcome.",
        },
        "servers": [{"url": server}],
        "security": [{"entra": [scope]}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "entra": {
                    "type": "oauth2",
                    "description": "Access token of a user in v2.0 format, delegated scope access_as_user",
                    "flows": {
                        "authorizationCode": {
                            "authorizationUrl": f"{authority}/oauth2/v2.0/authorize",
                            "tokenUrl": f"{authority}/oauth2/v2.0/token",
                            "scopes": {scope: "Act for the signed-in person"},
                        }
                    },
                }
            },
        },
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query, schemas)],
        "responses": {},
    }
    if operation.body:
        content = {"application/json": {"schema": _schema(operation.body, schemas)}}
        described["requestBody"] = {"required": True, "content": content}
    for status, (text, model) in operation.answers.items():
        content = {"application/json": {"schema": _schema(model, schemas, "serialization")}}
        described["responses"][str(status)] = {"description": text, "content": content}
    for status, text in sorted((_ALWAYS | operation.problems).items()):
        content = {"application/problem+json": {"schema": _schema(ProblemBody, schemas, "serialization")}}
        described["responses"][str(status)] = {"description": text, "content": content}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1].partition(":")[0] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]} for name in names]


def _query_parameters(query: type[BaseModel] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if query is None:
        return []
    model = _model_schema(query, schemas, "validation")
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description", ""),
            "schema": schema,
        }
        for name, schema in model["properties"].items()
    ]


def _schema(model: type[BaseModel], schemas: dict[str, Any], mode: str = "validation") -> dict[str, Any]:
    schemas[model.__name__] = _model_schema(model, schemas, mode)
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _model_schema(model: type[BaseModel], schemas: dict[str, Any], mode: str) -> dict[str, Any]:
    schema = model.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization" if mode == "serialization" else "validation"
    )
    schemas.update(schema.pop("$defs", {}))
    return schema
