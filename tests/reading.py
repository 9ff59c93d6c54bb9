"""Bytes of a held file, for tests that look at them."""

from __future__ import annotations

from client.engine.held import Held


async def read(held: Held, offset: int, length: int) -> bytes:
    data = bytearray(length)
    await held.read_into(offset, memoryview(data))
    return bytes(data)
