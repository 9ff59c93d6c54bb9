"""What the server tells the person who runs it: plain sentences, on standard output."""

from __future__ import annotations

from collections.abc import Sequence

from index_server.config import Config
from p2pshare.addresses import Address, format_address, is_loopback, is_private
from p2pshare.identity import NodeId
from p2pshare.limits import ADDRESSES_MAX
from p2pshare.links import Invite, format_link


def invite_of(config: Config, node: NodeId, port: int, own_hosts: Sequence[str]) -> Invite:
    """The invite to this server. `own_hosts`: where the machine can be reached if the settings do not say."""
    addresses = config.public_addresses(port)
    if not addresses:
        hosts = config.server.hosts or own_hosts or ("127.0.0.1",)
        addresses = tuple(Address(host, port) for host in hosts)
    return Invite(node, addresses[:ADDRESSES_MAX], config.server.name)


def started(config: Config, invite: Invite, port: int) -> list[str]:
    """That the server is up, and how others come in."""
    lines = [
        f'The index server "{config.server.name}" is up on port {port}. Others join with this invite:',
        "",
        f"    p2pshare join '{format_link(invite)}'",
        "",
    ]
    if all(is_loopback(address.host) for address in invite.addresses):
        lines.append("It works on this machine only.")
    elif all(is_private(address.host) or is_loopback(address.host) for address in invite.addresses):
        lines.append(
            "It works in your local network only. For everybody: forward the port in your router, and name"
            " your public address with --server-public."
        )
    lines.append(f"Its key and database are in {config.data_folder}. Back them up. Ctrl-C stops the server.")
    return lines


_REGISTRATION = {
    "open": "Anybody may register, up to {} an hour from one address.",
    "invite": "Whoever has an invite with a code may register, up to {} an hour from one address.",
    "closed": "Nobody new may register.",
}


def explained(config: Config) -> list[str]:
    """What the settings come to."""
    server, accounts, connections = config.server, config.accounts, config.connections
    where = ", ".join(server.hosts) or "every address of this machine, IPv4 and IPv6"
    public = ", ".join(map(str, config.public_addresses(server.port))) or "the addresses of this machine"
    return [
        f'The server is called "{server.name}" and listens on {where}, port {server.port or "any free one"}.',
        f"The invite names {public}.",
        f"Its key and database are in {config.data_folder}.",
        "Clients on the local network find it by themselves."
        if server.announce
        else "It is not announced on the local network.",
        _REGISTRATION[accounts.registration].format(accounts.registrations_per_hour),
        f"Each account may offer {accounts.offers:,} files,"
        f" and search {config.limits.searches_per_minute:,} times a minute.",
        f"Up to {connections.total:,} clients may be connected at the same time,"
        f" {connections.per_address:,} from one address.",
        f"The status page is at http://{format_address(Address(config.web.host, config.web.port))}/."
        if config.web.port
        else "There is no status page.",
        f"When it stops, clients get {server.stop_within:g} s to hear goodbye.",
    ]
