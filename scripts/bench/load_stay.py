"""One place in the crowd: a person who is online, their connection, and what they wait for.

It does what a client does when it connects: log in, register first if need be, publish what the server does
not have, have the port tested. Told to wait, it waits.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from client.engine.network.backoff import Backoff
from p2pshare.errors import CloseCode, Reason
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire import index
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Close, Refused
from scripts.bench.load_line import Answered, Ended, Line, answer, dial
from scripts.bench.load_mix import CHANGE_MAX
from scripts.bench.load_people import Person

if TYPE_CHECKING:
    from scripts.bench.load_crowd import Crowd

AGAIN_S = 1.0  # after a refusal that does not say when


class Stay:
    """A place that somebody always fills, now this person, now another."""

    def __init__(self, crowd: Crowd, person: Person) -> None:
        self.person = person
        self.line: Line | None = None
        self.settled = False
        """Online, with everything published and the port tested."""
        self.visit = 0
        """Which visit it is: what was planned for an earlier one is off."""
        self._crowd = crowd
        self._backoff = Backoff()
        self._began = 0.0
        self._online_at: float | None = None
        self._listener: socket.socket | None = None

    @property
    def open(self) -> int:
        """How many answers are waited for."""
        return len(self.line.open) if self.line is not None else 0

    # --- coming and going ----------------------------------------------------------------------------

    def connect(self) -> None:
        """Come online; `settled` says when that is done."""
        crowd, person = self._crowd, self.person
        self.settled, self._online_at = False, None
        self._began = time.monotonic()
        try:
            line = dial(person.static, person.address, crowd.host, crowd.port, crowd.node)
        except OSError as error:
            self._lost(Ended(None, str(error)))
            return
        self.line = line
        line.greeted = self._log_in
        line.heard = self._heard
        crowd.wires.add(line, self._lost)
        self._watch(line)

    def leave(self, *, goodbye: bool = True) -> None:
        """Say goodbye, or hang up without a word."""
        line, self.line, self.settled = self.line, None, False
        self._stop_listening()
        if line is not None:
            if goodbye and not line.session.over and self._online_at is not None:
                line.session.send(Close(code=CloseCode.BYE))
                try:
                    line.flush()
                except Ended:
                    pass  # the server was first
            self._crowd.wires.drop(line)

    def _lost(self, ended: Ended) -> None:
        crowd, now = self._crowd, time.monotonic()
        self.line, self.settled = None, False
        self._stop_listening()
        crowd.tally.ended[ended.code.name if ended.code is not None else "no word"] += 1
        crowd.tally.counts["lost"] += self._online_at is not None
        held_s = now - self._online_at if self._online_at is not None else 0.0
        self._online_at = None
        if crowd.returning:
            delay_s = self._backoff.delay_s(held_s, crowd.rng.random(), ended.retry_after_s)
            self._later(delay_s, self.connect)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Unless somebody else has this place by then."""
        person, line = self.person, self.line

        def still() -> None:
            if self.person is person and self.line is line:
                call()

        self._crowd.at(time.monotonic() + delay_s, still)

    def _watch(self, line: Line) -> None:
        """Let the session know when its timer is due."""
        due = line.session.next_timer()
        if self.line is not line or due is None:
            return
        if due <= time.monotonic():
            self._crowd.wires.tick(line)
            if self.line is not line:
                return
            due = line.session.next_timer()
        if due is not None:
            self._crowd.at(due, lambda: self._watch(line))

    # --- asking --------------------------------------------------------------------------------------

    def ask(self, kind: str, build: Callable[[int], Message], then: Answered | None = None) -> None:
        """Ask something, note how long the answer takes or that it was no, then call `then` with it."""
        assert self.line is not None
        line, tally, began = self.line, self._crowd.tally, 0.0

        def built(request: int) -> Message:
            nonlocal began
            message = build(request)
            began = time.monotonic()
            return message

        def answered(message: Message) -> None:
            if isinstance(message, Refused):
                tally.refused[f"{kind}: {message.reason.name}"] += 1
            else:
                tally.answered(kind, time.monotonic() - began)
            if then is not None:
                then(message)

        line.ask(built, answered)
        self._crowd.wires.flush(line)

    def publish(self, *, add: int, remove: int, then: Callable[[], None] | None = None) -> None:
        """Change the share; if the server does not take the change, publish everything anew."""
        person, corpus, tally = self.person, self._crowd.corpus, self._crowd.tally

        def published(message: Message) -> None:
            if isinstance(message, Refused):
                anew = message.reason is Reason.MANIFEST_MISMATCH
                wait_s = 0.0 if anew else message.retry_after_s or AGAIN_S
                self._later(wait_s, lambda: self.publish_missing(then, anew=True))
                return
            tally.counts["offers published"] += add
            tally.counts["more offers"] += add - remove
            if then is not None:
                then()

        kind = "publish" if add <= CHANGE_MAX else "publish hundreds"
        self.ask(kind, lambda request: person.change(corpus, request, add=add, remove=remove), published)

    def publish_missing(self, then: Callable[[], None] | None = None, *, anew: bool = False) -> None:
        """What of the share is not published yet, one change after the other; `anew`: all of it."""
        if anew:
            self.person.forget()
        if self.person.missing or anew:
            add = min(self.person.missing, PUBLISH_BATCH)
            self.publish(add=add, remove=0, then=lambda: self.publish_missing(then))
        elif then is not None:
            then()

    def _heard(self, message: Message) -> None:
        self._crowd.tally.counts[f"heard {message.NAME}"] += 1

    # --- coming online, step by step ------------------------------------------------------------------

    def _log_in(self) -> None:
        assert self.line is not None
        resume = self.person.resume
        self.line.ask(lambda request: index.Login(request=request, resume=resume), self._logged_in)
        self._crowd.wires.flush(self.line)

    def _logged_in(self, message: Message) -> None:
        crowd, person = self._crowd, self.person
        if isinstance(message, index.LoggedIn):
            self._online_at = time.monotonic()
            person.resume = message.resume
            then = self._settle if message.resumed else self._test_port
            crowd.tally.answered("come online", self._online_at - self._began)
            if message.manifest != person.digest:
                self.publish_missing(then, anew=True)
            elif person.missing:
                self.publish_missing(then)
            elif crowd.changes(person):
                changed = crowd.rng.randint(1, CHANGE_MAX)
                self.publish(add=changed, remove=changed, then=then)
            else:
                then()
            return
        assert isinstance(message, Refused)
        if message.reason is Reason.NOT_REGISTERED:
            self.ask(
                "register",
                lambda request: index.Register(request=request, nick=person.nick),
                self._registered,
            )
            return
        crowd.tally.refused[f"login: {message.reason.name}"] += 1
        self._later((message.retry_after_s or AGAIN_S) * (1 + crowd.rng.random()), self._log_in)

    def _registered(self, message: Message) -> None:
        if isinstance(message, Refused):
            self._later((message.retry_after_s or AGAIN_S) * (1 + self._crowd.rng.random()), self._log_in)
        else:
            self._log_in()

    def _settle(self) -> None:
        self.settled = True

    def _test_port(self) -> None:
        if not self.person.reachable:
            self._settle()
            return
        listener = self._listener = self._crowd.wires.listen(self.person.address, self._take)
        port: int = listener.getsockname()[1]
        self.ask("listen", lambda request: index.Listen(request=request, port=port), self._tested)

    def _take(self, stream: socket.socket) -> None:
        """The server tries our port."""
        self._crowd.wires.add(answer(self.person.static, stream), lambda ended: None)

    def _tested(self, message: Message) -> None:
        self._stop_listening()
        if isinstance(message, index.Listening) and not message.reachable:
            self._crowd.tally.counts["ports not reached"] += 1
        self._settle()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._crowd.wires.stop_listening(self._listener)
            self._listener = None
