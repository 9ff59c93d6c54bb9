"""One person who gives files of a bundle: connect, stand in the queue, ask for many at once, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from client.engine.downloads.opening import check_opened_untrusted
from client.engine.downloads.records import KnownSource
from client.engine.downloads.resting import Resting
from client.engine.downloads.supplier import FOR_GOOD
from client.engine.downloads.whole_files import Arrived
from client.engine.meter import RateMeter
from client.engine.network.asking import ask_in_time
from client.engine.network.backoff import Backoff
from client.engine.network.peers import PeerLink, QueuePlace
from client.engine.status import DownloadSourceView
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import whole_file_hashes
from p2pshare.identity import format_node_id
from p2pshare.limits import FETCH_FILES_MAX, KIB, MIB
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import DropFile, FetchFiles, FileOpened, Files, OpenFile

if TYPE_CHECKING:
    from client.engine.downloads.bundle import Bundle

FIRST_BYTES = 256 * KIB  # asked of somebody who has shown nothing yet
AHEAD_S = 1.0  # of what they deliver, asked for in advance: they read ahead, and a long path stays full
AHEAD_BYTES_MAX = 16 * MIB
REQUESTS_MAX = 8  # open at a time
REQUEST_BYTES_MAX = 2 * MIB  # asked for by one: the next can be planned while it is answered
ANCHORS_MAX = 16  # files tried in vain before somebody counts as of no use
SILENT_S = 60.0  # without a file for so long, what was asked of them is asked of others


class Carrier:
    """Made and run by its bundle."""

    def __init__(self, bundle: Bundle, known: KnownSource) -> None:
        self.known = known
        self.node = known.node
        self.servers = {known.server}
        self.done_bytes = 0
        """Verified bytes that came from them."""
        self.problem = ""
        self._doing = "connecting"
        self._lied = False
        self._bundle = bundle
        self._link: PeerLink | None = None
        self._meter = RateMeter(trio.current_time())
        self._asked_bytes = 0  # and not here yet
        self._requests = 0
        self._unseated = False  # they say that we hold no slot
        self._anchor: FileOpened | None = None  # the file by which we stand in their queue

    @property
    def state(self) -> str:
        """One word for people."""
        return "lied" if self._lied else self._doing

    @property
    def at_work(self) -> bool:
        """Whether they may give something now or soon."""
        return self.state not in ("gone", "lied")

    async def run(self) -> None:
        """Work with them until they are of no use for the bundle."""
        around = self._bundle.around
        backoff = Backoff()
        while True:
            began, told_s = trio.current_time(), 0.0
            self._doing = "connecting"
            try:
                async with around.peers.link(self.node, tuple(self.servers)) as self._link:
                    await self._work(self._link)
            except Refused as error:
                self.problem, told_s = error.text, float(error.retry_after_s)
                if error.reason in FOR_GOOD:
                    break
            except (Disconnected, PeerFault) as error:
                self.problem = str(error)
                if self._lied:  # stays listed, so that the person sees who it was
                    self._bundle.carrier_gone(self)
                    return
            finally:
                self._link = None
            self._doing = "gone"
            held_s = trio.current_time() - began
            await trio.sleep(backoff.delay_s(held_s, around.chance.random(), told_s))
        self._doing = "gone"
        self._bundle.carrier_gone(self)

    async def _work(self, link: PeerLink) -> None:
        """Ends with `Disconnected`, with what they did wrong, or with why they are of no use."""
        channel = link.channel
        try:
            await self._stand_in_line(link)
            self.problem = ""
            async with background() as nursery:
                with trio.CancelScope() as working:
                    nursery.start_soon(_cancel_when_over, channel, working)
                    await self._ask_on(link, nursery)
                    await channel.over.wait()
            raise channel.ending or Disconnected
        except PeerFault as fault:
            await channel.aclose(fault.code, fault.text)
            raise
        finally:
            self._drop_anchor(link)

    async def _stand_in_line(self, link: PeerLink) -> None:
        """Open one of the files. Raises `Refused`, `PeerFault` or `Disconnected`."""
        anchor = await self._open_one(link)
        if self._anchor is not None and self._anchor.file != anchor.file:
            self._drop_anchor(link)
        self._anchor = anchor

    def _drop_anchor(self, link: PeerLink) -> None:
        if self._anchor is not None:
            link.channel.post(DropFile(file=self._anchor.file))
            self._anchor = None

    async def _open_one(self, link: PeerLink) -> FileOpened:
        bundle = self._bundle
        for _ in range(ANCHORS_MAX):
            while not (members := bundle.take(self.node, 1, 0)):
                await bundle.news.wait()
            member = members[0]
            question = OpenFile(
                request=link.channel.next_request(),
                file=member.record.file,
                offer=member.record.offer or 0,
                queue_ticket=link.queue_ticket,
            )
            try:
                opened: FileOpened = await ask_in_time(link.channel, question)
                check_opened_untrusted(opened, member.record.file, member.record.size)
                link.stands(opened.position, opened.wait_s, opened.queue_ticket)
                return opened
            except Refused as refusal:
                if refusal.reason not in FOR_GOOD:
                    raise
                bundle.lacks(self.node, member)
                self.problem = refusal.text
            finally:
                bundle.give_back(members)
        raise Refused(Reason.NO_SUCH_FILE, self.problem)

    # --- asking --------------------------------------------------------------------------------------

    async def _ask_on(self, link: PeerLink, nursery: trio.Nursery) -> None:
        bundle = self._bundle
        while not self._lied:
            if self._unseated:
                self._unseated = False
                await self._stand_in_line(link)
            place = link.place.value
            if place.position != 0:
                self._doing = "queued"
                await link.place.other_than(place)
                continue
            self._doing = "downloading"
            await bundle.has_room()
            news = bundle.news
            room = self._ahead_bytes() - self._asked_bytes
            members: list[Resting] = []
            if self._requests < REQUESTS_MAX and (room >= FIRST_BYTES // 2 or not self._requests):
                members = bundle.take(self.node, FETCH_FILES_MAX, min(room, REQUEST_BYTES_MAX))
            if members:
                self._requests += 1
                self._asked_bytes += _size(members)
                nursery.start_soon(self._fetch, link, members)
            else:
                await news.wait()

    def _ahead_bytes(self) -> int:
        rate = self._meter.rate(trio.current_time())
        return min(AHEAD_BYTES_MAX, max(FIRST_BYTES, int(rate * AHEAD_S)))

    async def _fetch(self, link: PeerLink, members: list[Resting]) -> None:
        # First those with an id, as the request has them.
        members.sort(key=lambda member: member.record.file is None)
        hashed = [member.record.file for member in members if member.record.file is not None]
        offers = [member.record.offer or 0 for member in members if member.record.file is None]
        answered = 0
        question = FetchFiles(request=link.channel.next_request(), files=tuple(hashed), offers=tuple(offers))
        try:
            async with link.channel.request(question) as answers:
                with trio.fail_after(SILENT_S) as patience:
                    async for answer in answers:
                        message, payload = answer.message, answer.payload
                        assert isinstance(message, Files) and payload is not None
                        patience.deadline = trio.current_time() + SILENT_S
                        answered = self._check_untrusted(message, answered, len(members))
                        self._receive_untrusted(message, payload, members[message.first : answered])
                        del payload, answer  # the memory behind it is used again once nobody holds it
                        await self._bundle.around.throttle(link.node, message.size)
                        patience.deadline = trio.current_time() + SILENT_S
            if answered < len(members):
                raise PeerFault(CloseCode.WRONG_ORDER, "The last files came before all were answered.")
        except Refused as error:
            self.problem = error.text
            self._unseated = error.reason is Reason.NO_SLOT
        except trio.TooSlowError:
            await link.channel.aclose(CloseCode.BYE, "The files that were asked for did not come.")
        except PeerFault as fault:
            self.problem = fault.text
            self._lied = True
            await link.channel.aclose(fault.code, fault.text)
        except Disconnected:
            pass  # `_work` finds out by itself
        finally:
            self._bundle.give_back(members[answered:])
            self._requests -= 1
            self._asked_bytes -= _size(members)
            self._bundle.tell_news()

    # --- what arrives --------------------------------------------------------------------------------

    def _check_untrusted(self, message: Files, answered: int, asked: int) -> int:
        """How many are answered with this. Raises `PeerFault`."""
        if message.first != answered or answered + len(message.outcomes) > asked:
            raise PeerFault(CloseCode.WRONG_ORDER, "Files arrived that were not asked for, or not in order.")
        if message.size != sum(outcome for outcome in message.outcomes if outcome > 0):
            raise PeerFault(CloseCode.BAD_DATA, "The sizes of the files do not add up.")
        return answered + len(message.outcomes)

    def _receive_untrusted(self, message: Files, payload: memoryview, members: Sequence[Resting]) -> None:
        """Verify what came, and pass it on. Raises `PeerFault` for the first file that is not what it should
        be; those behind it are asked of others."""
        bundle, at, good = self._bundle, 0, 0
        for place, (member, outcome) in enumerate(zip(members, message.outcomes, strict=True)):
            record = member.record
            if outcome < 0:
                bundle.lacks(self.node, member)
                continue
            data = payload[at : at + outcome]
            at += outcome
            hashes = whole_file_hashes(data) if outcome == record.size else None
            if record.file is None and hashes is None:
                bundle.lacks(self.node, member)  # it is another one by now than the one that was listed
            elif hashes is None or record.file not in (None, hashes.file_id):
                self._caught(member, members[place + 1 :])
            else:
                good += outcome
                bundle.arrived(Arrived(record.id, record.target_folder, record.target_path, data, hashes))
        now = trio.current_time()
        self.done_bytes += good
        self._meter.add(good + 1, now)
        bundle.meter.add(good, now)
        bundle.around.took(self.node, self.known.nick, good)

    def _caught(self, member: Resting, others: Sequence[Resting]) -> None:
        """They sent a file that is not what its id says."""
        bundle = self._bundle
        assert member.record.file is not None
        self._lied = True
        bundle.around.distrust.caught(self.node, self.known.nick, member.record.file)
        bundle.lacks(self.node, member)
        bundle.give_back(others)
        raise PeerFault(CloseCode.BAD_DATA, "A file does not match its id.")

    def view(self) -> DownloadSourceView:
        place = self._link.place.value if self._link is not None else QueuePlace(0, 0)
        return DownloadSourceView(
            person=format_node_id(self.node),
            nick=self.known.nick,
            state=self.state,
            position=place.position,
            wait_s=place.wait_s,
            done_bytes=self.done_bytes,
            rate=self._meter.rate(trio.current_time()),
            path=self._link.path if self._link is not None else "",
        )


def _size(members: Sequence[Resting]) -> int:
    return sum(member.record.size for member in members)


async def _cancel_when_over(channel: Channel, scope: trio.CancelScope) -> None:
    await channel.over.wait()
    scope.cancel()
