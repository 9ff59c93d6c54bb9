"""Runs the HTTP side beside the server. It may be missing; the server goes on without it."""

from __future__ import annotations

import socket

import structlog
import trio

from index_server.admin.standing import Standing
from index_server.commands import Desk
from index_server.config import WebSection
from p2pshare.addresses import Address, format_address

READ_TIMEOUT_S = 10  # for a whole request
RETRY_S = 5.0  # the port may be that of a server that is just ending

log = structlog.stdlib.get_logger("index_server.web")


async def serve_web(desk: Desk, standing: Standing, section: WebSection) -> None:
    """Until cancelled."""
    # Imported when the rest is up: it takes as long as everything before.
    from hypercorn.config import Config
    from hypercorn.trio import serve

    from index_server.web.app import make_app

    listener = await _listen(section)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.read_timeout = READ_TIMEOUT_S
    await serve(make_app(desk, standing), config, shutdown_trigger=trio.sleep_forever)  # type: ignore[arg-type]


async def _listen(section: WebSection) -> socket.socket:
    """The socket of the HTTP side, as soon as its port is free."""
    address = format_address(Address(section.host, section.port))
    family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
    warned = False
    while True:
        try:
            return socket.create_server((section.host, section.port), family=family)
        except OSError as error:
            if not warned:
                why = f"{error.strerror}. Another port for it: --web-port"
                log.warning("no status page for now", address=address, why=why)
            warned = True
        await trio.sleep(RETRY_S)
