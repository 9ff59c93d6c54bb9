"""Tasks that live exactly as long as a block of code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def background() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks are cancelled when the block ends.

    An error of the block comes out as it is, so that callers can catch it by its class; only errors of the
    tasks come in a group, since they are mistakes of our own that nobody catches.
    """
    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except BaseException as caught:
            error = caught
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
