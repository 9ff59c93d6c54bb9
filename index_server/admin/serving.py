"""What runs for the operator beside a server: the office, which other processes call, and the HTTP side."""

from __future__ import annotations

import trio

from index_server.admin.calling import CALLS_FILE
from index_server.admin.office import CALLS, Office
from index_server.admin.pulse import Pulse
from index_server.admin.standing import Standing
from index_server.server import IndexServer
from index_server.web.serving import serve_web
from p2pshare.transport import discover


async def serve_operator(
    server: IndexServer, version: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Until cancelled. Started once the office can be called. Raises `LocalTrouble`."""
    config = server.desk.config
    pulse = Pulse(server.desk.online)
    standing = Standing(server, pulse, version)
    office = Office(server, standing, discover.own_hosts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.run)
        await nursery.start(CALLS.serve, office, config.data_folder / CALLS_FILE)
        if config.web.port:
            nursery.start_soon(serve_web, server.desk, standing, config.web)
        task_status.started()
