"""The web application: pages for people, JSON for systems, intake of what the two systems report.

It holds no state of its own: what it shows is asked of the running deals, what it is told becomes a signal to one.
"""

from __future__ import annotations

from starlette.applications import Starlette
from temporalio.client import Client

from web.config import WebConfig


def create_app(config: WebConfig, client: Client) -> Starlette:
    """Build the application.

    Args:
        config: addresses, keys and secrets.
        client: connected to the deals' namespace, with the pydantic data converter.

    Returns:
        The ASGI application; it starts and ends with the server's lifespan.
    """
    app = Starlette(routes=[])
    app.state.config = config
    app.state.client = client
    return app
