"""How many simple reads a second the sandbox serves: it must never be what limits the product.

Server and client share one core; each read is an HTTPS request on a kept-alive connection with a checked token. Prints
one line of JSON and exits 1 below the required rate. Repeat with `python bench/sandbox_reads.py [seconds]`.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import quote, urlencode, urlsplit

REQUIRED_PER_SECOND = 300
CONNECTIONS = 4


def main() -> int:
    """Measure both systems, one after the other."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    core = _keep_to_one_core()
    with tempfile.TemporaryDirectory() as state_dir:
        command = [sys.executable, "-m", "sandbox", "--ports", "auto", "--state-dir", state_dir]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            where = json.loads(server.stdout.readline())
            _lift_limits(where["desk"])
            reads = {
                "dataverse": "/api/data/v9.2/accounts?$select=name&$filter=" + quote("accountnumber eq 'US-001'"),
                "finance": "/data/CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?cross-company=true",
            }
            rates = {system: _rate(where, system, path, seconds) for system, path in reads.items()}
        finally:
            server.terminate()
            server.wait()
    result = {"reads_per_second": rates, "required": REQUIRED_PER_SECOND, "connections": CONNECTIONS, "core": core}
    print(json.dumps(result))
    return 0 if min(rates.values()) >= REQUIRED_PER_SECOND else 1


def _keep_to_one_core() -> int | None:
    """Bind this process and its children to one core where the system can; the core's number."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def _rate(where: dict[str, str], system: str, path: str, seconds: float) -> float:
    context = ssl.create_default_context(cafile=where["ca_file"])
    headers = {"Authorization": f"Bearer {_token(where, system, context)}", "Accept": "application/json"}
    counts = [0] * CONNECTIONS
    until = time.perf_counter() + seconds

    def read(position: int) -> None:
        connection = _connect(where[system], context)
        while time.perf_counter() < until:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise AssertionError(f"{system} answered {answer.status}: {body[:300]!r}")
            counts[position] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=read, args=(position,)) for position in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / (time.perf_counter() - started), 1)


def _token(where: dict[str, str], system: str, context: ssl.SSLContext) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": where["client_id"],
        "client_secret": where["client_secret"],
        "scope": f"{where[system]}/.default",
    }
    connection = _connect(where["entra"], context)
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"/{where['tenant']}/oauth2/v2.0/token", urlencode(form), content_type)
    token: str = json.loads(connection.getresponse().read())["access_token"]
    connection.close()
    return token


def _lift_limits(desk: str) -> None:
    """Dataverse would throttle after 6,000 requests in five minutes: not what is measured here."""
    connection = http.client.HTTPConnection(urlsplit(desk).netloc)
    connection.request("PUT", "/limits", json.dumps({"requests": 10_000_000, "execution_seconds": 1e9}))
    assert connection.getresponse().status == 200
    connection.close()


def _connect(origin: str, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    parts = urlsplit(origin)
    return http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context)


if __name__ == "__main__":
    sys.exit(main())
