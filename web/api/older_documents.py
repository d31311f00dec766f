"""The OpenAPI document in the older forms that gateways and connectors read.

Azure API Management imports OpenAPI 3.0 without loss, and Power Automate and Logic Apps make custom connectors of
OpenAPI 2.0 alone (Microsoft Learn, "API import restrictions and known issues"; "Create a custom connector from an
OpenAPI definition"). What an older form cannot say is said more loosely, never more narrowly: a caller may be told less
of an argument than there is to know, but no argument that the API takes is forbidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

Document = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/"
_OF_PARAMETERS: Final = (
    *("type", "format", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "pattern"),
    *("items", "minItems", "maxItems"),
)


def as_3_0(document: Document) -> Document:
    """OpenAPI 3.0.3."""
    found: Document = _of_3_0(document)
    return found | {"openapi": "3.0.3"}


def _of_3_0(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_3_0(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "const" in value and not isinstance(value["const"], dict):  # a dictionary is a property of this name
        value = {name: item for name, item in value.items() if name != "const"} | {"enum": [value["const"]]}
    if isinstance(value.get("anyOf"), list) and {"type": "null"} in value["anyOf"]:
        return _nullable(value)
    return {name: _of_3_0(item) for name, item in value.items()}


def _nullable(value: Document) -> Document:
    others = [_of_3_0(item) for item in value["anyOf"] if item != {"type": "null"}]
    about = {name: _of_3_0(item) for name, item in value.items() if name != "anyOf"}
    if about.get("default", ...) is None:
        del about["default"]
    if len(others) > 1:
        return {**about, "anyOf": others, "nullable": True}
    # What stands beside a reference is not read in 3.0.
    kind = {"allOf": others} if "$ref" in others[0] else others[0]
    return {**kind, **about, "nullable": True}


def as_2_0(document: Document) -> Document:
    """OpenAPI 2.0 ("Swagger")."""
    older, server = as_3_0(document), urlsplit(document["servers"][0]["url"])
    schemas = older["components"]["schemas"]
    (name, scheme), *_ = older["components"]["securitySchemes"].items()
    flow = scheme["flows"]["authorizationCode"]
    return {
        "swagger": "2.0",
        "info": older["info"],
        "host": server.netloc,
        "basePath": server.path,
        "schemes": [server.scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            path: {verb: _operation(operation, schemas) for verb, operation in operations.items()}
            for path, operations in older["paths"].items()
        },
        "definitions": {each: _schema(schema, schemas) for each, schema in schemas.items()},
        "securityDefinitions": {
            name: {
                "type": "oauth2",
                "flow": "accessCode",
                "authorizationUrl": flow["authorizationUrl"],
                "tokenUrl": flow["tokenUrl"],
                "scopes": flow["scopes"],
            }
        },
    }


def _operation(operation: Document, schemas: Mapping[str, Any]) -> Document:
    kept = {name: value for name, value in operation.items() if name not in ("parameters", "requestBody", "responses")}
    given = operation.get("parameters", [])
    # Makers of connectors tell parameters apart by their name alone: a query that repeats one of the path is left out.
    in_path = {each["name"] for each in given if each["in"] == "path"}
    parameters = [_parameter(each, schemas) for each in given if each["in"] == "path" or each["name"] not in in_path]
    parameters += _body(operation.get("requestBody"), schemas)
    answers = {status: _answer(each, schemas) for status, each in operation["responses"].items()}
    return {**kept, "parameters": parameters, "responses": answers}


def _parameter(parameter: Document, schemas: Mapping[str, Any]) -> Document:
    """A parameter with its type beside it: 2.0 knows no schema of one, and no reference."""
    schema = parameter["schema"]
    while "$ref" in schema or "allOf" in schema:
        named = schema["$ref"] if "$ref" in schema else schema["allOf"][0]["$ref"]
        schema = schemas[named.removeprefix(_SCHEMAS)]
    told: Document = {name: _schema(schema[name], schemas) for name in _OF_PARAMETERS if name in schema}
    own: Document = {name: parameter[name] for name in ("name", "in", "required", "description") if name in parameter}
    return {"type": "string", **told, **own}


def _body(body: Document | None, schemas: Mapping[str, Any]) -> Iterator[Document]:
    if body is not None:
        schema = _schema(body["content"]["application/json"]["schema"], schemas)
        yield {"name": "body", "in": "body", "required": body.get("required", False), "schema": schema}


def _answer(answer: Document, schemas: Mapping[str, Any]) -> Document:
    found: Document = {"description": answer["description"]}
    content: Document = next(iter(answer.get("content", {}).values()), {})
    if "schema" in content:
        found["schema"] = _schema(content["schema"], schemas)
    return found


def _schema(value: Any, schemas: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_schema(item, schemas) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        return {"$ref": value["$ref"].replace(_SCHEMAS, "#/definitions/")}
    found = {name: _schema(item, schemas) for name, item in value.items() if name not in ("anyOf", "nullable")}
    if isinstance(value.get("anyOf"), list):
        found |= _either(value["anyOf"], schemas)
    return found | ({"x-nullable": True} if value.get("nullable") is True else {})


def _either(kinds: list[Document], schemas: Mapping[str, Any]) -> Document:
    """One of several: their type where they have one in common, else anything."""
    resolved = [schemas[kind["$ref"].removeprefix(_SCHEMAS)] if "$ref" in kind else kind for kind in kinds]
    types = {kind.get("type") for kind in resolved}
    return {"type": types.pop()} if len(types) == 1 and types != {None} else {}
