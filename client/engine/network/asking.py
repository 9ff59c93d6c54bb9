"""Asking over a connection: the answer comes in time, and a server is not asked faster than it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio

from client.engine.network.pace import PATIENCE_S, Pace
from p2pshare.errors import CloseCode, Disconnected, Reason, Refused
from p2pshare.transport.channel import Channel
from p2pshare.wire.schema import Message

ANSWER_TIMEOUT_S = 20.0  # a server that is slower is treated as one that is gone


async def ask_in_time(channel: Channel, message: Message) -> Any:
    """The answer, or `Disconnected` if it takes too long."""
    with trio.move_on_after(ANSWER_TIMEOUT_S):
        return await channel.ask(message)
    await channel.aclose(CloseCode.SILENT, f"No answer within {ANSWER_TIMEOUT_S:.0f} s.")
    raise Disconnected("The index server does not answer.")


async def ask_in_turn(pace: Pace, channel: Channel, message: Message) -> Any:
    """The same when it is our turn. If we are too fast all the same, we wait as told and ask once more."""
    await trio.sleep(pace.wait_s(message.KIND, trio.current_time()))
    try:
        return await ask_in_time(channel, message)
    except Refused as error:
        if error.reason is not Reason.TOO_MUCH or not 0 < error.retry_after_s <= PATIENCE_S:
            raise
        pace.refused(message.KIND, trio.current_time())
        await trio.sleep(error.retry_after_s)
    again: Any = replace(message, request=channel.next_request())  # type: ignore[call-arg]
    return await ask_in_time(channel, again)
