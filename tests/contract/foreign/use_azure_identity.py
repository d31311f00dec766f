"""azure-identity: a token for Dataverse and one for Finance, from an authority that is not Microsoft's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["REQUESTS_CA_BUNDLE"] = INFO["ca_file"]


def credential(secret: str) -> ClientSecretCredential:
    """The application's credential; the sandbox is no cloud of Microsoft's, so it is not looked up there."""
    return ClientSecretCredential(
        INFO["tenant"], INFO["client_id"], secret, authority=INFO["entra"], disable_instance_discovery=True
    )


application = credential(INFO["client_secret"])
for system, path in (("dataverse", "/api/data/v9.2/WhoAmI"), ("finance", "/data/SalesOrderHeadersV2?$top=1")):
    token = application.get_token(f"{INFO[system]}/.default")
    answer = requests.get(f"{INFO[system]}{path}", headers={"Authorization": f"Bearer {token.token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert application.get_token(f"{INFO[system]}/.default").token == token.token

try:
    credential("wrong").get_token(f"{INFO['dataverse']}/.default")
except ClientAuthenticationError as problem:
    assert "AADSTS7000215" in str(problem), problem
else:
    raise AssertionError("a wrong secret was taken")
