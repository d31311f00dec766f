"""Command line of the sandbox: `python -m sandbox`.

Prints one line of JSON when everything can be used and runs until SIGTERM or SIGINT. Every option can be given by an
environment variable `Q2C_SANDBOX_…` as well; secrets only so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox.data.northwind import NorthwindError
from sandbox.runtime import ORIGINS, Sandbox, SandboxConfig
from sandbox.shelf import ShelfError

_DOCUMENTED_PORTS = {"entra": 8443, "dataverse": 8444, "finance": 8445, "desk": 8446}
_SHARED_SECRET = "sandbox-only-secret"  # noqa: S105  # public
"""Secret of every application unless one is given: the default of the product's settings, and worth nothing."""


def _arguments() -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Dynamics 365 on this machine.")
    parser.add_argument("--host", default=env("Q2C_SANDBOX_HOST", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--public-host", default=env("Q2C_SANDBOX_PUBLIC_HOST"), help="name in the origins' URLs")
    parser.add_argument(
        "--ports",
        choices=("fixed", "auto"),
        default=env("Q2C_SANDBOX_PORTS", "fixed"),
        help="fixed: the documented ones; auto: free ones",
    )
    for origin in ORIGINS:
        default = env(f"Q2C_SANDBOX_{origin.upper()}_PORT")
        text = f"port of {origin}, 0 takes a free one"
        parser.add_argument(f"--{origin}-port", type=int, default=int(default) if default else None, help=text)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(env("Q2C_SANDBOX_STATE_DIR", str(Path(tempfile.gettempdir()) / "q2c-sandbox"))),
        help="certificates and signing key",
    )
    parser.add_argument(
        "--data",
        default=env("Q2C_SANDBOX_DATA", "fixtures"),
        help="fixtures, empty, or a folder of Northwind's tables or of those python -m sandbox.generate writes; "
        "fixtures+FOLDER for the sample beside such a population",
    )
    parser.add_argument("--seed", type=int, default=int(env("Q2C_SANDBOX_SEED", "0")), help="of the faults' dice")
    parser.add_argument(
        "--journal",
        type=Path,
        default=Path(env("Q2C_SANDBOX_JOURNAL", "")) if env("Q2C_SANDBOX_JOURNAL") else None,
        help="file by which it survives kill -9: started again with it, it is as it was",
    )
    _add_dataverse(parser)
    return parser.parse_args()


def _add_dataverse(parser: argparse.ArgumentParser) -> None:
    env = os.environ.get
    dataverse = parser.add_argument_group("Dataverse")
    dataverse.add_argument(
        "--bare",
        action="store_true",
        default=env("Q2C_SANDBOX_BARE", "") not in ("", "0", "false"),
        help="leave the product's tables, columns, role and webhook steps out: a setup creates them",
    )
    dataverse.add_argument(
        "--application-role",
        default=env("Q2C_SANDBOX_APPLICATION_ROLE"),
        help="security role of the product's application user, e.g. 'Quote to Cash'; empty: none",
    )
    dataverse.add_argument(
        "--pricing-precision",
        type=int,
        choices=range(11),
        default=int(env("Q2C_SANDBOX_PRICING_PRECISION", "2")),
        metavar="0-10",
        help="the organization's pricing decimal precision",
    )
    dataverse.add_argument(
        "--change-tracking-days",
        type=int,
        default=int(env("Q2C_SANDBOX_CHANGE_TRACKING_DAYS", "7")),
        help="days a delta link lives",
    )


def _config(arguments: argparse.Namespace) -> SandboxConfig:
    given = {origin: getattr(arguments, f"{origin}_port") for origin in ORIGINS}
    default = _DOCUMENTED_PORTS if arguments.ports == "fixed" else dict.fromkeys(ORIGINS, 0)
    redirects = os.environ.get("Q2C_SANDBOX_WEB_REDIRECT_URIS", "")
    webhook = os.environ.get("Q2C_SANDBOX_WEBHOOK_URL")
    return SandboxConfig(
        state_dir=arguments.state_dir,
        host=arguments.host,
        public_host=arguments.public_host,
        ports={origin: default[origin] if given[origin] is None else given[origin] for origin in ORIGINS},
        data=arguments.data,
        client_secret=os.environ.get("Q2C_SANDBOX_CLIENT_SECRET", _SHARED_SECRET),
        web_client_secret=os.environ.get("Q2C_SANDBOX_WEB_CLIENT_SECRET", _SHARED_SECRET),
        reader_client_secret=os.environ.get("Q2C_SANDBOX_READER_CLIENT_SECRET", _SHARED_SECRET),
        web_redirect_uris=tuple(redirects.split()),
        dataverse_webhook=(webhook, os.environ.get("Q2C_SANDBOX_WEBHOOK_KEY", "")) if webhook else None,
        finance_events=os.environ.get("Q2C_SANDBOX_EVENTS_URL"),
        quote_link=os.environ.get("Q2C_SANDBOX_QUOTE_LINK", ""),
        seed=arguments.seed,
        journal=arguments.journal,
        dataverse=_dataverse(arguments),
    )


def _dataverse(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = {
        "bare": arguments.bare,
        "pricing_decimal_precision": arguments.pricing_precision,
        "change_tracking_days": arguments.change_tracking_days,
    }
    return settings | ({} if arguments.application_role is None else {"application_role": arguments.application_role})


async def _serve(config: SandboxConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, stop.set)
    sandbox = Sandbox(config)
    info = await sandbox.start()
    # The data set stays for the whole run: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    sys.stdout.write(info.ready_line() + "\n")
    sys.stdout.flush()
    try:
        await stop.wait()
    finally:
        await sandbox.stop()


def main() -> int:
    """Run until told to stop; 1 when it cannot start."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    runner = asyncio.Runner(loop_factory=_new_loop)
    try:
        with runner:
            runner.run(_serve(_config(_arguments())))
    except (OSError, NorthwindError, ShelfError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main())
