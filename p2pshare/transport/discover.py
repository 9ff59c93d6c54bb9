"""Who is on the local network: index servers and peers, announced and found by multicast DNS.

zeroconf brings its own threads and blocks in most calls, so its synchronous API runs in worker threads, and
what it finds crosses into trio at one place (`Sightings.note`). It never takes part in simulations.

An announcement tells everybody nearby a key, a name and a port, and never a file name. Whatever others
announce is a stranger's bytes: what does not fit is skipped, and an address is only believed if it is on the
local network, so that nobody can aim us at the rest of the world.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

import ifaddr
import trio
import zeroconf

from p2pshare.addresses import Address, is_private, parse_host_untrusted
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.limits import ADDRESSES_MAX, NICK_BYTES_MAX, PROTOCOL_VERSION
from p2pshare.names import has_control_characters
from p2pshare.transport.background import background

CLOSE_TIMEOUT_S = 5  # a goodbye takes 0.3 s; a broken network must not hold up the end of the program
RESOLVE_TIMEOUT_MS = 1_500  # three questions of zeroconf; who answers later is asked again at its next sign
NETWORK_CHECK_S = 30  # after a laptop changes networks it is found again this soon
SEEN_MAX = 256  # more announcements than this on one network are noise or an attack

_TROUBLE = (OSError, RuntimeError, zeroconf.Error)
_log = logging.getLogger(__name__)

Interface = IPv4Interface | IPv6Interface


class Kind(StrEnum):
    """What is announced; the value is its DNS-SD service type."""

    INDEX = "_p2pshare-index._tcp.local."
    PEER = "_p2pshare._tcp.local."


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody announces themselves, or announces something new. The key is proven only by the handshake."""

    node: NodeId
    name: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody said goodbye, or was silent for too long."""

    node: NodeId


@asynccontextmanager
async def announce(
    kind: Kind, node: NodeId, port: int, name: str, interfaces: Sequence[str] | None = None
) -> AsyncIterator[None]:
    """Be found under `name` while the block runs. `interfaces` are own addresses; all but loopback if None.

    Entering takes about 2 s (is the name free?). Raises LocalTrouble if the network does not let us.
    """
    async with _responder(interfaces) as responder:
        service = _service(kind, node, port, name, _hosts(_own(interfaces)))
        with _in_words():
            await trio.to_thread.run_sync(lambda: responder.register_service(service, allow_name_change=True))

        def move(hosts: list[str]) -> None:
            responder.update_interfaces()
            moved = _service(kind, node, port, name, hosts)
            moved.name = service.name  # it was changed if another program announces the same key
            responder.update_service(moved)

        async with background() as nursery:
            if interfaces is None:
                nursery.start_soon(_follow_network, move)
            yield


@asynccontextmanager
async def look_for(
    kind: Kind, interfaces: Sequence[str] | None = None
) -> AsyncIterator[AsyncIterator[Found | Lost]]:
    """Watch who announces `kind`, ourselves included. Raises LocalTrouble if the network does not let us."""
    token = trio.lowlevel.current_trio_token()
    sightings = Sightings()

    def changed(
        zeroconf: zeroconf.Zeroconf, service_type: str, name: str, state_change: zeroconf.ServiceStateChange
    ) -> None:
        """Runs in a thread of zeroconf, which gives the arguments by these names."""
        found = _resolve(zeroconf, service_type, name, state_change, interfaces)
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(sightings.note, name, found)

    async with _responder(interfaces) as responder:
        with _in_words():
            await trio.to_thread.run_sync(
                lambda: zeroconf.ServiceBrowser(responder, kind.value, handlers=[changed])
            )
        async with background() as nursery:
            if interfaces is None:
                nursery.start_soon(_follow_network, lambda _hosts: responder.update_interfaces())
            yield sightings


class Sightings:
    """The news since the last look, at most one per node: a slow reader misses steps, never the outcome."""

    def __init__(self) -> None:
        self._seen: dict[str, Found] = {}  # by the name of the announcement
        self._news: dict[NodeId, Found | Lost] = {}
        self._changed = trio.Event()

    def note(self, announcement: str, found: Found | None) -> None:
        """One announcement now says `found`, or is gone."""
        before = self._seen.pop(announcement, None)
        if found is not None and len(self._seen) < SEEN_MAX:
            self._seen[announcement] = found
            if found != before:
                self._news[found.node] = found
        # Two programs may announce one key; somebody is gone with the last of them.
        if before is not None and all(other.node != before.node for other in self._seen.values()):
            self._news[before.node] = Lost(before.node)
        if self._news:
            self._changed.set()

    def __aiter__(self) -> AsyncIterator[Found | Lost]:
        return self

    async def __anext__(self) -> Found | Lost:
        await trio.lowlevel.checkpoint()
        while not self._news:
            self._changed = trio.Event()
            await self._changed.wait()
        return self._news.pop(next(iter(self._news)))


def found_untrusted(
    properties: dict[bytes, bytes | None], hosts: Iterable[str], port: int, near: Callable[[str], bool]
) -> Found:
    """What an announcement means; hosts that are not `near` are left out. Raises BadMessage only."""
    try:
        fields = {key.decode("ascii"): (value or b"").decode() for key, value in properties.items()}
    except UnicodeDecodeError:
        raise BadMessage("The announcement is not text.") from None
    if str(PROTOCOL_VERSION) not in fields.get("versions", "").split(","):
        raise BadMessage("The announcement names no protocol version that is spoken here.")
    name = fields.get("name", "")
    if has_control_characters(name) or not 1 <= len(name.encode()) <= NICK_BYTES_MAX:
        raise BadMessage("The name in the announcement is empty, too long or has control characters.")
    node = parse_node_id_untrusted(fields.get("key", ""))
    if not 1 <= port <= 65_535:
        raise BadMessage("The announcement has no port.")
    canonical = dict.fromkeys(parse_host_untrusted(host) for host in hosts)
    addresses = tuple(Address(host, port) for host in canonical if near(host))[:ADDRESSES_MAX]
    if not addresses:
        raise BadMessage("The announcement has no address on the local network.")
    return Found(node, name, addresses)


def is_near(host: str, own: Sequence[Interface], *, only_there: bool) -> bool:
    """Can `host` be on the local network? `own` are this machine's addresses with their networks.

    Private addresses of other networks count too, as routers may pass announcements on; not if `only_there`.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return False  # a name could lead anywhere
    if address.is_multicast or (address.version == 6 and address.is_link_local):
        return False  # a link-local IPv6 address says nothing without its zone
    return any(address in interface.network for interface in own) or (is_private(host) and not only_there)


def _resolve(
    responder: zeroconf.Zeroconf,
    service_type: str,
    name: str,
    change: zeroconf.ServiceStateChange,
    interfaces: Sequence[str] | None,
) -> Found | None:
    """Asks the network for the details. None if it is gone, does not answer or makes no sense."""
    if change is zeroconf.ServiceStateChange.Removed:
        return None
    own = _own(interfaces)
    try:
        info = responder.get_service_info(service_type, name, timeout=RESOLVE_TIMEOUT_MS)
        if info is None:
            return None
        return found_untrusted(
            info.properties,
            info.parsed_addresses(),
            info.port or 0,
            lambda host: is_near(host, own, only_there=interfaces is not None),
        )
    except (BadMessage, *_TROUBLE) as error:
        _log.debug("An announcement on the local network is skipped: %s", error)
        return None


def _service(kind: Kind, node: NodeId, port: int, name: str, hosts: list[str]) -> zeroconf.ServiceInfo:
    key = format_node_id(node)
    return zeroconf.ServiceInfo(
        kind.value,
        f"{key}.{kind.value}",
        port=port,
        properties={"versions": str(PROTOCOL_VERSION), "key": key, "name": name},
        server=f"{key}.local.",
        parsed_addresses=hosts,
    )


def _own(interfaces: Sequence[str] | None) -> list[Interface]:
    """This machine's addresses with their networks: those of `interfaces`, or all but loopback."""
    texts = [
        f"{ip.ip if isinstance(ip.ip, str) else ip.ip[0]}/{ip.network_prefix}"
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    own = [ip_interface(text) for text in texts]
    if interfaces is not None:
        return [interface for interface in own if str(interface.ip) in interfaces]
    return [interface for interface in own if not interface.is_loopback]


def own_hosts() -> list[str]:
    """This machine's addresses as they are announced, the best first; none if it has no network."""
    return _hosts(_own(None))


def _hosts(own: list[Interface]) -> list[str]:
    """What to announce: IPv4 first, as every program can dial it."""
    useful = [one.ip for one in own if not (one.version == 6 and one.is_link_local)]
    return [str(ip) for ip in sorted(useful, key=lambda ip: ip.version)][:ADDRESSES_MAX]


@asynccontextmanager
async def _responder(interfaces: Sequence[str] | None) -> AsyncIterator[zeroconf.Zeroconf]:
    """zeroconf's threads and sockets while the block runs; at its end goodbye is said."""
    choice = zeroconf.InterfaceChoice.All if interfaces is None else list(interfaces)
    with _in_words():
        # IPv4 carries the questions; the answers name IPv6 addresses as well.
        responder = await trio.to_thread.run_sync(
            lambda: zeroconf.Zeroconf(interfaces=choice, ip_version=zeroconf.IPVersion.V4Only)
        )
    try:
        yield responder
    finally:
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            try:
                await trio.to_thread.run_sync(responder.close, abandon_on_cancel=True)
            except _TROUBLE as error:
                _log.warning("Goodbye to the local network failed: %s", error)


async def _follow_network(move: Callable[[list[str]], None]) -> None:
    """Calls `move` in a thread with our addresses, each time that they have changed."""
    told = _hosts(_own(None))
    while True:
        await trio.sleep(NETWORK_CHECK_S)
        now = _hosts(_own(None))
        if now == told:
            continue
        told = now
        try:
            await trio.to_thread.run_sync(move, now)
        except _TROUBLE as error:
            _log.warning("The local network cannot be followed after a change: %s", error)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except _TROUBLE as error:
        raise LocalTrouble(
            f"The local network cannot be searched: {error or type(error).__name__}."
            " Everything else works without it."
        ) from error
