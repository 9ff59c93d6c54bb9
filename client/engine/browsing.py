"""Looking at what somebody shares, folder by folder, asked of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from client.engine.network.asking import ask_in_time
from client.engine.network.peers import Peers
from client.engine.network.servers import Servers
from client.engine.search import tags_view
from client.engine.status import EntryView, ListingView, TagsView
from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import format_file_id
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.names import split_path_untrusted
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Folder, Offer
from p2pshare.wire.peer import Browse, Listing

ENTRIES_MAX = 100_000  # of one folder: more than a person can look at
FILES_MAX = 50_000  # of one folder download
DEPTH_MAX = 32  # as deep as paths may be
LOOKS_AT_ONCE = 8  # folders that are asked for at the same time


@dataclass(frozen=True)
class Somebody:
    """A person, and who knows how to reach them."""

    node: NodeId
    nick: str
    server: NodeId


@dataclass
class WholeFolder:
    """All pages of a folder."""

    folders: list[Folder] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


class Browser:
    """Asks people what they share."""

    def __init__(self, servers: Servers, peers: Peers) -> None:
        self._servers = servers
        self._peers = peers

    async def find(self, who: str) -> Somebody:
        """A person by nick or node id. Raises `Refused`: nobody knows them; `LocalTrouble`: nobody to ask."""
        try:
            node = parse_node_id_untrusted(who)
        except BadMessage:
            node = None
        found = await self._servers.look_up(who, node)
        if found is not None:
            server, person = found
            self._peers.remember_nick(person.node, person.nick)
            return Somebody(person.node, person.nick, server)
        for neighbour in self._peers.on_local_network:
            if neighbour == node or self._peers.nicks.get(neighbour) == who:
                return Somebody(neighbour, self._peers.nicks.get(neighbour, ""), neighbour)
        if not self._servers.online():
            raise LocalTrouble(
                "No index server is connected, so nobody can be looked up. `p2pshare status` says why."
            )
        raise Refused(Reason.NO_SUCH_PERSON, f'Nobody called "{who}" is known on your index servers.')

    async def open_folder(self, somebody: Somebody, folder: str) -> WholeFolder:
        """One folder, whole. Raises `Refused`, `Disconnected` or `LocalTrouble`."""
        try:
            async with self._peers.link(somebody.node, (somebody.server,)) as link:
                return await self._pages(link.channel, folder)
        except PeerFault as fault:
            raise Disconnected(f"{somebody.nick}: {fault.text}") from fault

    async def walk(self, somebody: Somebody, folder: str) -> list[Offer]:
        """Every file below a folder. Raises `Refused`, `Disconnected` or `LocalTrouble`."""
        found: dict[str, WholeFolder] = {}
        files = 0
        waiting = [folder]
        trouble: list[Exception] = []

        async def look(channel: Channel, path: str, looked: trio.MemorySendChannel[None]) -> None:
            """At one folder."""
            nonlocal files
            try:
                found[path] = whole = await self._pages(channel, path)
            except (Refused, Disconnected, LocalTrouble, PeerFault) as error:
                trouble.append(error)
                looked.send_nowait(None)
                return
            inner = [f"{path}/{each.name}" if path else each.name for each in whole.folders]
            waiting.extend(each for each in reversed(inner) if each.count("/") < DEPTH_MAX)
            files += len(whole.offers)
            if max(files, len(found)) > FILES_MAX:
                trouble.append(
                    LocalTrouble(f"The folder has more than {FILES_MAX:,} files. Take parts of it.")
                )
            looked.send_nowait(None)

        try:
            async with self._peers.link(somebody.node, (somebody.server,)) as link:
                # Several at a time: while one is read here, they already look for the next.
                to_us, looked = trio.open_memory_channel[None](LOOKS_AT_ONCE)
                looking = 0
                async with trio.open_nursery() as nursery:
                    while (waiting or looking) and not trouble:
                        while waiting and looking < LOOKS_AT_ONCE:
                            nursery.start_soon(look, link.channel, waiting.pop(), to_us)
                            looking += 1
                        await looked.receive()
                        looking -= 1
                    nursery.cancel_scope.cancel()
                if trouble:
                    raise trouble[0]
        except PeerFault as fault:
            raise Disconnected(f"{somebody.nick}: {fault.text}") from fault
        return [offer for path in sorted(found) for offer in found[path].offers]

    async def _pages(self, channel: Channel, folder: str) -> WholeFolder:
        whole, cursor = WholeFolder(), b""
        while True:
            question = Browse(request=channel.next_request(), folder=folder, cursor=cursor)
            page: Listing = await ask_in_time(channel, question)
            for offer in page.offers:
                if offer.path.rpartition("/")[0] != folder:
                    raise BadMessage("A listing holds a file of another folder.")
                split_path_untrusted(offer.path)
            for each in page.folders:
                if len(split_path_untrusted(each.name)) != 1:
                    raise BadMessage("A listing holds a folder that is none.")
            whole.folders += page.folders
            whole.offers += page.offers
            whole.files, whole.bytes = page.files, page.bytes
            if not page.cursor:
                return whole
            if page.cursor == cursor or len(whole.folders) + len(whole.offers) > ENTRIES_MAX:
                raise BadMessage("A listing has no end.")
            cursor = page.cursor


def listing_view(somebody: Somebody, folder: str, whole: WholeFolder) -> ListingView:
    """What a front shows of a folder."""
    folders = [
        EntryView(
            name=each.name,
            is_folder=True,
            size=each.bytes,
            files=each.files,
            offer=None,
            file=None,
            tags=TagsView(),
        )
        for each in whole.folders
    ]
    files = [
        EntryView(
            name=offer.path.rpartition("/")[2],
            is_folder=False,
            size=offer.size,
            files=1,
            offer=offer.offer,
            file=format_file_id(offer.file) if offer.file is not None else None,
            tags=tags_view(offer.tags),
        )
        for offer in whole.offers
    ]
    return ListingView(
        person=format_node_id(somebody.node),
        nick=somebody.nick,
        folder=folder,
        entries=(*folders, *files),
        files=whole.files,
        bytes=whole.bytes,
    )
