"""Which downloads begin first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import trio
from trio.testing import wait_all_tasks_blocked

from client.engine.downloads.download import Download
from client.engine.downloads.turns import ACTIVE_MAX, URGENT_MORE, Turns
from client.engine.status import DownloadState, Priority
from p2pshare.transport.background import background


@dataclass
class Entry:
    priority: Priority = Priority.NORMAL


@dataclass(eq=False)
class Job:
    """A download that is done when it is told so."""

    name: str
    begun: list[str]
    record: Entry = field(default_factory=Entry)
    done: trio.Event = field(default_factory=trio.Event)

    async def run(self) -> None:
        self.begun.append(self.name)
        await self.done.wait()

    def state(self) -> DownloadState:
        return DownloadState.RUNNING


class Line:
    """Jobs in a row, all places taken."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.turns = Turns()
        self.begun: list[str] = []
        self.nursery = nursery
        self.first = [self.add(f"first {number}") for number in range(ACTIVE_MAX)]

    def add(self, name: str, priority: Priority = Priority.NORMAL) -> Job:
        job = Job(name, self.begun, Entry(priority))
        self.nursery.start_soon(self.turns.run, cast(Download, job))
        return job

    async def free_a_place(self) -> None:
        self.first.pop().done.set()
        await wait_all_tasks_blocked()


async def test_so_many_are_at_work_and_the_others_wait_in_their_order() -> None:
    async with background() as nursery:
        line = Line(nursery)
        await wait_all_tasks_blocked()
        for name in "abc":
            line.add(name)
            await wait_all_tasks_blocked()
        assert len(line.begun) == ACTIVE_MAX
        for name in "abc":
            await line.free_a_place()
            assert line.begun[-1] == name


async def test_the_more_urgent_begin_first() -> None:
    async with background() as nursery:
        line = Line(nursery)
        await wait_all_tasks_blocked()
        line.add("low", Priority.LOW)
        line.add("normal")
        await wait_all_tasks_blocked()
        await line.free_a_place()
        await line.free_a_place()
        assert line.begun[-2:] == ["normal", "low"]


async def test_some_with_a_high_priority_need_not_wait_at_all() -> None:
    async with background() as nursery:
        line = Line(nursery)
        await wait_all_tasks_blocked()
        for number in range(URGENT_MORE + 1):
            line.add(f"high {number}", Priority.HIGH)
            await wait_all_tasks_blocked()
        assert len(line.begun) == ACTIVE_MAX + URGENT_MORE
        await line.free_a_place()
        assert line.begun[-1] == f"high {URGENT_MORE}"


async def test_one_that_waits_is_called_when_it_becomes_urgent() -> None:
    async with background() as nursery:
        line = Line(nursery)
        await wait_all_tasks_blocked()
        line.add("earlier")
        late = line.add("late")
        await wait_all_tasks_blocked()
        late.record.priority = Priority.HIGH
        line.turns.sort_anew([cast(Download, late)])
        await wait_all_tasks_blocked()
        assert line.begun[-1] == "late"


async def test_whoever_gives_up_waiting_takes_no_place() -> None:
    async with background() as nursery:
        line = Line(nursery)
        await wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await line.turns.run(cast(Download, Job("impatient", line.begun)))
        line.add("next")
        await line.free_a_place()
        assert line.begun[-1] == "next"
