"""The loopback ports a local stack listens on: the documented ones, or free ones."""

from __future__ import annotations

import secrets
import socket
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True)
class Ports:
    """One port for each thing that listens; the defaults are the documented ones."""

    temporal: int = 7233
    temporal_ui: int = 8233
    web: int = 8000
    entra: int = 8443
    dataverse: int = 8444
    finance: int = 8445
    desk: int = 8446
    codec: int = 8234
    worker_health: int = 8090

    @classmethod
    def free(cls) -> Ports:
        """Ports nobody listens on now."""
        return cls(*free_ports(len(cls.__dataclass_fields__)))

    def taken(self) -> dict[str, int]:
        """Name and number of those somebody else listens on."""
        return {name: port for name, port in asdict(self).items() if not port_is_free(port)}


_GIVEN_TO_NOBODY: Final = (20_000, 32_768)
"""Above the ports of well-known services, below those of outgoing connections (Linux: from 32,768)."""


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now, all different.

    They lie below those that a system gives to outgoing connections, so that none of these takes one before its server
    has started.
    """
    chance, ports = secrets.SystemRandom(), set[int]()
    while len(ports) < count:
        port = chance.randrange(*_GIVEN_TO_NOBODY)
        if port_is_free(port):
            ports.add(port)
    return list(ports)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
