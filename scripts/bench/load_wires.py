"""The sockets of one process of a load test: which have something to read, which have room to write."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import NamedTuple

from scripts.bench.load_line import Ended, Line

IN, OUT = select.EPOLLIN, select.EPOLLOUT
EVENTS_AT_ONCE = 256


class _Wire(NamedTuple):
    line: Line
    ended: Callable[[Ended], None]


class Wires:
    """Lines by their sockets."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._wires: dict[int, _Wire] = {}
        self._listeners: dict[int, tuple[socket.socket, Callable[[socket.socket], None]]] = {}
        self._full: set[int] = set()  # those that wait for room

    def add(self, line: Line, ended: Callable[[Ended], None]) -> None:
        """Serve a line until it is over; then `ended` is called."""
        number = line.socket.fileno()
        self._wires[number] = _Wire(line, ended)
        self._full.add(number)  # it may still be connecting
        self._poll.register(number, IN | OUT)

    def listen(self, address: str, taken: Callable[[socket.socket], None]) -> socket.socket:
        """A listener on a free port there; `taken` is called with every connection."""
        listener = socket.create_server((address, 0), backlog=4)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, taken
        self._poll.register(listener.fileno(), IN)
        return listener

    def stop_listening(self, listener: socket.socket) -> None:
        self._poll.unregister(listener.fileno())
        del self._listeners[listener.fileno()]
        listener.close()

    def flush(self, line: Line) -> None:
        """Send what is to be sent, as far as there is room now."""
        number = line.socket.fileno()
        if number in self._full:
            return  # it is sent when there is room
        try:
            if line.flush():
                self._full.add(number)
                self._poll.modify(number, IN | OUT)
        except Ended as error:
            self._end(number, error)

    def tick(self, line: Line) -> None:
        """The timer of its session is due."""
        try:
            line.tick()
        except Ended as error:
            self._end(line.socket.fileno(), error)
            return
        self.flush(line)

    def drop(self, line: Line) -> None:
        """Close it without calling anybody."""
        number = line.socket.fileno()
        if self._wires.pop(number, None) is not None:
            self._full.discard(number)
            self._poll.unregister(number)
        line.socket.close()

    def serve(self, wait_s: float) -> None:
        """Wait so long for anything to happen, and deal with it."""
        for number, happened in self._poll.poll(wait_s, EVENTS_AT_ONCE):
            if number in self._listeners:
                listener, taken = self._listeners[number]
                try:
                    taken(listener.accept()[0])
                except BlockingIOError:
                    pass
                continue
            wire = self._wires.get(number)
            if wire is None:
                continue  # ended by what happened just before
            try:
                if happened & ~OUT:
                    wire.line.read()
                if number in self._wires:
                    self._write(number, wire.line)
            except Ended as error:
                self._end(number, error)

    def _write(self, number: int, line: Line) -> None:
        full = line.flush()
        if full != (number in self._full):
            (self._full.add if full else self._full.discard)(number)
            self._poll.modify(number, IN | OUT if full else IN)

    def _end(self, number: int, error: Ended) -> None:
        wire = self._wires.get(number)
        if wire is not None:
            self.drop(wire.line)
            wire.ended(error)
