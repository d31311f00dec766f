"""`q2c openapi`: what the JSON API is, in the form that a gateway or a connector reads."""

from __future__ import annotations

from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from cli import inputs
from cli.output import JsonOption, note, result_as_json

EXAMPLES = """Examples:

q2c openapi --form 3.0 --out quote-to-cash.json
    for Azure API Management

q2c openapi --form 2.0 --out connector.json
    for a custom connector of Power Automate or Logic Apps

docs/azure.md says what to do with them.
"""


class Form(StrEnum):
    """Which version of OpenAPI."""

    NEWEST = "3.1"
    GATEWAY = "3.0"
    CONNECTOR = "2.0"


def openapi(
    form: Annotated[Form, typer.Option("--form", help="Version of OpenAPI.")] = Form.NEWEST,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    json: JsonOption = False,
) -> None:
    """Print the OpenAPI document of this installation's JSON API.

    Its addresses are those of the settings: Q2C_WEB_URL, Q2C_ENTRA_TENANT and
    Q2C_WEB_CLIENT_ID.
    """
    from web.api import older_documents
    from web.app import api_document
    from workers.web import web_config

    found = api_document(web_config(inputs.settings()))
    made = {Form.GATEWAY: older_documents.as_3_0, Form.CONNECTOR: older_documents.as_2_0}
    told = made[form](found) if form in made else found
    if out is None:
        result_as_json(told)  # with or without --json: it is nothing else
        return
    out.write_text(dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    note(f"{out}: OpenAPI {form}, {len(found['paths'])} addresses")
