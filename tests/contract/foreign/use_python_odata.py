"""python-odata: classes made from `$metadata` of Dataverse, queries in pages, writes, deletes."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

import requests
from odata import ODataService

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["REQUESTS_CA_BUNDLE"] = INFO["ca_file"]
MARK = uuid.uuid4().hex


def authorised() -> requests.Session:
    """A session with the application's token."""
    body = {
        "grant_type": "client_credentials",
        "client_id": INFO["client_id"],
        "client_secret": INFO["client_secret"],
        "scope": f"{INFO['dataverse']}/.default",
    }
    answer = requests.post(f"{INFO['entra']}/{INFO['tenant']}/oauth2/v2.0/token", data=body, timeout=30)
    answer.raise_for_status()
    session = requests.Session()
    session.verify = INFO["ca_file"]
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


service = ODataService(
    f"{INFO['dataverse']}/api/data/v9.2/", session=authorised(), reflect_entities=True, quiet_progress=True
)
assert {"accounts", "quotes", "salesorders", "q2c_deals"} <= service.entities.keys(), sorted(service.entities)
Account = service.entities["accounts"]
# Its save() of a new row sends every property, the read-only ids of lookups among them, which Dataverse refuses.
for number in range(5):
    service.default_context.connection.execute_post(
        Account.__odata_url__(), {"name": f"Row {number}", "description": MARK, "creditlimit": number}
    )
found = service.query(Account).filter(Account.description == MARK).order_by(Account.name.desc()).all()
assert [row.name for row in found] == [f"Row {number}" for number in (4, 3, 2, 1, 0)]
found[0].name = "Changed"
service.save(found[0])
assert service.query(Account).get(found[0].accountid).name == "Changed"
service.delete(found[0])
assert service.query(Account).filter(Account.description == MARK).count() == 4
pages = service.query(Account)
paged = ODataService(
    f"{INFO['dataverse']}/api/data/v9.2/",
    session=authorised(),
    extra_headers={"Prefer": "odata.maxpagesize=2"},
    base=service.Base,
    quiet_progress=True,
)
assert len(list(paged.query(Account).filter(Account.description == MARK))) == 4
