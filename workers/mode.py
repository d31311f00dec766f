"""Whether this installation is the sandbox on one machine, or anything else.

The one place that decides it: what is allowed for convenience in the sandbox asks here, so that it is refused anywhere
else without a setting of its own.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from workers.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_sandbox(settings: Settings) -> bool:
    """Whether every system behind is on this machine: then nothing here is a company's."""
    systems = (settings.entra.url, settings.dataverse.url, settings.finance.url)
    return all(is_loopback(urlsplit(url).hostname or "") for url in systems)
