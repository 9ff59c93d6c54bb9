"""A download steps back where a more urgent one is at work: at the same sources, or under the same limit.

It asks such a source for something in one step of several only. So it gets little there, but goes on, and
where nobody is in its way it is as quick as any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import trio

from client.engine.downloads.download import Download
from client.engine.status import Priority
from p2pshare.identity import NodeId

STEP_S = 0.5
STEPS = 5  # in one of so many it asks like the others


async def keep_precedence(at_work: Callable[[], Iterable[Download]]) -> None:
    """For ever, among those at work at any time."""
    step = 0
    while True:
        await trio.sleep(STEP_S)
        step = (step + 1) % STEPS
        downloads = [each for each in at_work() if each.plan is not None]
        busy = {priority: _busy(downloads, priority) for priority in Priority}
        for download in downloads:
            assert download.plan is not None
            above = [busy[each] for each in Priority if each.rank > download.record.priority.rank]
            resting = _shared(download, frozenset().union(*above)) if step else ()
            if download.plan.rest(resting):
                download.arrange()


def _busy(downloads: Iterable[Download], priority: Priority) -> frozenset[NodeId]:
    """Sources of which downloads of this priority wait for something."""
    return frozenset(
        node
        for download in downloads
        if download.plan is not None and download.record.priority is priority
        for node in download.suppliers
        if download.plan.asks(node)
    )


def _shared(download: Download, busy: Collection[NodeId]) -> Collection[NodeId]:
    if busy and not download.around.unthrottled():
        return list(download.suppliers)  # whoever it comes from, it is missing elsewhere
    return [node for node in download.suppliers if node in busy]
