"""One process of a load test: some hundred or thousand people, served by one loop.

It is told on its input what they are to do, one line of JSON each, and says on its output what came of it:

    {"do": "come"}                                   everybody logs in, and publishes what the server lacks
    {"do": "live", "seconds": 60, "hurry": 10}       they search, get to know each other, leave and come back
    {"do": "search", "seconds": 5, "kind": "rare", "window": 16}      so many searches are always under way
    {"do": "share", "files": 20000}                  one of them publishes so much as fast as possible
    {"do": "return", "seconds": 90}                  whoever loses the connection comes back as clients do
    {"do": "leave"}                                  everybody says goodbye; "goodbye": false, and nobody does

Its end of input is its end.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from p2pshare.identity import parse_node_id_untrusted
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire import index
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Refused
from scripts.bench.corpus import Corpus
from scripts.bench.load_line import read_hits_cheaply
from scripts.bench.load_mix import CHANGE_MAX, CHANGED_WHILE_AWAY, Mix, rest_of_session_s, session_s
from scripts.bench.load_people import Person, file_id
from scripts.bench.load_stay import Stay
from scripts.bench.load_tally import Tally
from scripts.bench.load_wires import Wires

COMING_AT_ONCE = 32  # logins that one process has under way while everybody comes
RESERVES = 0.25  # so many more people than connections: who leaves is followed by somebody else
PATIENCE_S = 1_200.0


class Crowd:
    """People of one process, and the connections of those online."""

    def __init__(self, server: dict[str, Any], numbers: range, files: float, names: int) -> None:
        self.host, self.port = str(server["host"]), int(server["port"])
        self.node = parse_node_id_untrusted(server["node"])
        self.corpus = Corpus(names)
        self.rng = random.Random(f"crowd {numbers.start}")
        self.mix = Mix()
        self.wires = Wires()
        self.tally = Tally()
        people = [Person(number, files) for number in numbers]
        connections = round(len(people) / (1 + RESERVES))
        self.away = deque(people[connections:])
        self.stays = [Stay(self, person) for person in people[:connections]]
        self.returning = False
        """Whether who loses the connection comes back."""
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._entries = 0

    # --- time ---------------------------------------------------------------------------------------

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call it then, or a little later."""
        self._entries += 1
        heappush(self._agenda, (when, self._entries, call))

    def run(self, until: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Serve everybody until `until` says so. False if `seconds` were not enough."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now >= end:
                return False
            self.step(min(end, now + 0.2))
        return True

    def step(self, until: float) -> None:
        """Do what is due, then wait for something to happen until then at most."""
        now = time.monotonic()
        while self._agenda and self._agenda[0][0] <= now:
            due, _, call = heappop(self._agenda)
            self.tally.answered("(late)", now - due)
            call()
        wait_s = min(until, self._agenda[0][0] if self._agenda else until) - time.monotonic()
        self.wires.serve(max(0.0, wait_s))

    # --- what they are told to do --------------------------------------------------------------------

    def come(self) -> dict[str, Any]:
        """Everybody logs in, some at a time, and publishes what the server does not have."""
        waiting = deque(stay for stay in self.stays if not stay.line)
        coming: list[Stay] = []

        def done() -> bool:
            coming[:] = [stay for stay in coming if not stay.settled]
            while waiting and len(coming) < COMING_AT_ONCE:
                stay = waiting.popleft()
                stay.connect()
                coming.append(stay)
            return not waiting and not coming

        self.returning = True
        self.run(done)
        self.returning = False
        return {"online": self.online}

    def live(self, seconds: float, hurry: float) -> dict[str, Any]:
        """Everybody does what people do, `hurry` times as fast."""
        end = time.monotonic() + seconds
        self.returning = True

        def act(stay: Stay, visit: int) -> None:
            if stay.visit != visit or time.monotonic() >= end:
                return
            if stay.settled:
                self.one_thing(stay)
            self.at(time.monotonic() + self.mix.next_in_s(self.rng, hurry), lambda: act(stay, visit))

        def leave(stay: Stay, visit: int) -> None:
            if stay.visit != visit or time.monotonic() >= end:
                return
            stay.leave()
            self.away.append(stay.person)
            stay.person = self.away.popleft()
            self.tally.counts["left"] += 1
            arrive(stay, session_s(self.rng))
            stay.connect()

        def arrive(stay: Stay, stays_s: float) -> None:
            stay.visit += 1
            visit, now = stay.visit, time.monotonic()
            self.at(now + self.mix.next_in_s(self.rng, hurry), lambda: act(stay, visit))
            self.at(now + stays_s / hurry, lambda: leave(stay, visit))

        for stay in self.stays:
            arrive(stay, rest_of_session_s(self.rng))
        self.run(lambda: False, seconds)
        self.run(lambda: not any(stay.open for stay in self.stays), 5.0)
        unanswered = sum(stay.open for stay in self.stays)
        self.returning = False
        return {"online": self.online, "unanswered": unanswered}

    def one_thing(self, stay: Stay) -> None:
        """One question, as the mix has it."""
        kind, rng = self.mix.next_kind(self.rng), self.rng
        if kind == "search":
            typed = self.corpus.query(rng).typed
            stay.ask(kind, lambda request: index.Search(request=request, query=typed))
        elif kind == "ask_ticket":
            other = rng.choice(self.stays)
            if other is not stay and other.settled:
                node = other.person.static.node_id
                stay.ask(kind, lambda request: index.AskTicket(request=request, node=node))
        elif kind == "find_sources":
            file = file_id(self.corpus.popular(rng))
            stay.ask(kind, lambda request: index.FindSources(request=request, file=file))
        elif kind == "look_up":
            nick = rng.choice(self.stays).person.nick
            stay.ask(kind, lambda request: index.LookUp(request=request, nick=nick))
        elif stay.person.wanted:
            changed = rng.randint(1, CHANGE_MAX)
            stay.publish(add=changed, remove=changed)

    def changes(self, person: Person) -> bool:
        """Whether somebody who comes back shares other files than before."""
        return bool(person.wanted) and self.rng.random() < CHANGED_WHILE_AWAY

    def search(self, seconds: float, kind: str, window: int, round: int = 0) -> dict[str, Any]:
        """So many searches are under way at any time, each from somebody else; in every run the same ones."""
        rng = random.Random(f"searches {kind} {round}")
        turns = deque(stay for stay in self.stays if stay.settled)
        began, under_way = time.monotonic(), 0
        end = began + seconds

        def one() -> None:
            nonlocal under_way
            turns.rotate(-1)
            typed = (self.corpus.query_of(kind, rng) if kind else self.corpus.query(rng)).typed
            under_way += 1
            turns[0].ask("search", lambda request: index.Search(request=request, query=typed), answered)

        def answered(_: Message) -> None:
            nonlocal under_way
            under_way -= 1
            if time.monotonic() < end:
                one()

        for _ in range(min(window, len(turns))):
            one()
        self.run(lambda: under_way <= 0, seconds + 30.0)
        return {"seconds": time.monotonic() - began}

    def share(self, files: int) -> dict[str, Any]:
        """The first who is online offers so many files more, one change after the other, all made before."""
        [stay, *_] = [stay for stay in self.stays if stay.settled]
        adds = [min(PUBLISH_BATCH, files - start) for start in range(0, files, PUBLISH_BATCH)]
        changes = deque(stay.person.change(self.corpus, 1, add=add, remove=0) for add in adds)

        def go_on(message: Message | None) -> None:
            if isinstance(message, Refused):
                stay.publish_missing(anew=True)
            elif changes:
                change = changes.popleft()
                stay.ask("publish hundreds", lambda request: replace(change, request=request), go_on)

        began = time.monotonic()
        go_on(None)
        self.run(lambda: not changes and not stay.open)
        return {"seconds": time.monotonic() - began}

    def come_back(self, seconds: float) -> dict[str, Any]:
        """Whoever loses the connection comes back; until everybody is online again."""
        self.returning = True
        self.run(lambda: self.tally.counts["lost"] >= len(self.stays), seconds)
        began = time.monotonic()
        self.run(lambda: self.online == len(self.stays), seconds)
        self.returning = False
        return {"seconds": time.monotonic() - began, "online": self.online}

    def leave(self, goodbye: bool = True) -> dict[str, Any]:
        for stay in self.stays:
            stay.leave(goodbye=goodbye)
        self.run(lambda: False, 0.5)
        return {}

    @property
    def online(self) -> int:
        return sum(stay.settled for stay in self.stays)


def main() -> None:
    read_hits_cheaply()
    settings = json.loads(sys.argv[1])
    numbers = range(settings["first"], settings["first"] + round(settings["connections"] * (1 + RESERVES)))
    crowd = Crowd(settings["server"], numbers, settings["files"], settings["names"])
    calls: dict[str, Callable[..., dict[str, Any]]] = {
        "come": crowd.come,
        "live": crowd.live,
        "search": crowd.search,
        "share": crowd.share,
        "return": crowd.come_back,
        "leave": crowd.leave,
    }
    orders = open(
        sys.stdin.fileno(), "rb", buffering=0
    )  # nothing is read ahead: `listening` would not see it
    listening = select.poll()
    listening.register(orders.fileno(), select.POLLIN)
    print("ready", flush=True)
    while True:
        while not listening.poll(0):  # also between two orders, pings are answered
            crowd.step(time.monotonic() + 0.1)
        line = orders.readline()
        if not line:
            return
        order = json.loads(line)
        crowd.tally, used_s = Tally(), time.process_time()
        result = calls[order.pop("do")](**order)
        print(
            json.dumps({**result, "cpu_s": time.process_time() - used_s, "tally": crowd.tally.to_json()}),
            flush=True,
        )


if __name__ == "__main__":
    main()
