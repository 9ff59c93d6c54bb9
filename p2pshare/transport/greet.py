"""The beginning of a connection: the handshake, and what is known after it."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import Disconnected, PeerFault
from p2pshare.session.events import Closed, Event, HandshakeDone
from p2pshare.session.session import Session
from p2pshare.transport.line import Line

WRITE_BYTES = 64 * limits.KIB  # far more than a handshake has
FAREWELL_S = 1.0  # how long a closing connection may take to get its last message out


@dataclass
class Greeted:
    """A stream whose handshake is done: known peer, no task running on it yet."""

    stream: trio.abc.Stream
    session: Session
    done: HandshakeDone
    events: list[Event]  # what arrived together with the end of the handshake
    remote: Address | None
    dialed: bool


async def greet(
    stream: trio.abc.Stream, session: Session, *, remote: Address | None, dialed: bool
) -> Greeted:
    """Do the handshake. Raises `Disconnected`, or `PeerFault` after telling them; the stream stays the
    caller's.
    """
    line = Line(stream)
    with trio.move_on_after(limits.HANDSHAKE_TIMEOUT_S):
        while True:
            await _send(line, session)
            data = await line.read(0)
            if not data:
                raise Disconnected("The other side hung up during the handshake.")
            try:
                events = session.receive_data(data, trio.current_time())
            except PeerFault:
                await say_farewell(stream, session)
                raise
            del data  # the memory is shared
            if events and isinstance(events[0], HandshakeDone):
                await _send(line, session)
                return Greeted(stream, session, events[0], events[1:], remote, dialed)
            for event in events:
                if isinstance(event, Closed):
                    text = event.text or "The other side closed the connection."
                    raise Disconnected(text, event.code, event.retry_after_s)
    raise Disconnected(f"The other side did not finish the handshake within {limits.HANDSHAKE_TIMEOUT_S} s.")


async def say_farewell(stream: trio.abc.Stream, session: Session) -> None:
    """Get a last message out if that is quick; never fails."""
    with trio.move_on_after(FAREWELL_S, shield=True):
        try:
            while outgoing := session.data_to_send(WRITE_BYTES):
                await stream.send_all(outgoing)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            pass


async def _send(line: Line, session: Session) -> None:
    """All there is to say, at once if the system takes it: that saves a turn of the loop."""
    if outgoing := session.data_to_send(WRITE_BYTES):
        written = line.write_now(outgoing)
        if written < len(outgoing):
            await line.write(outgoing[written:])
