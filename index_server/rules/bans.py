"""Whom a ban hits, and what they are told. PURE: `now` is an argument, in Unix seconds."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator
from datetime import UTC, datetime

from index_server.rules.targets import network_untrusted
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, parse_file_id_untrusted
from p2pshare.identity import NodeId, parse_node_id_untrusted
from p2pshare.wire.fields import Rule, Subject

WAIT_S_MAX = 2**31 - 1  # what fits the message

_WHO = {
    Subject.ACCOUNT: "You are banned from this server",
    Subject.ADDRESS: "Your address is banned from this server",
    Subject.FILE: "This file is banned from this server",
}


class Bans:
    """Every ban, found by key, address or file id. Looking one up costs the same however many there are."""

    def __init__(self) -> None:
        self._all: dict[tuple[Subject, str], Rule] = {}
        self._nodes: dict[NodeId, Rule] = {}
        self._files: dict[FileId, Rule] = {}
        self._networks: dict[tuple[int, int], dict[int, Rule]] = {}  # (IP version, prefix) -> first address

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Rule]:
        return iter(list(self._all.values()))

    @property
    def files(self) -> frozenset[FileId]:
        return frozenset(self._files)

    def get(self, subject: Subject, target: str) -> Rule | None:
        return self._all.get((subject, target))

    def add(self, rule: Rule) -> None:
        """From now on it holds; it takes the place of an older one of the same target."""
        self._all[rule.subject, rule.target] = rule
        if rule.subject is Subject.ACCOUNT:
            self._nodes[parse_node_id_untrusted(rule.target)] = rule
        elif rule.subject is Subject.FILE:
            self._files[parse_file_id_untrusted(rule.target)] = rule
        else:
            network = network_untrusted(rule.target)
            same_size = self._networks.setdefault((network.version, network.prefixlen), {})
            same_size[int(network.network_address)] = rule

    def remove(self, rule: Rule) -> None:
        del self._all[rule.subject, rule.target]
        if rule.subject is Subject.ACCOUNT:
            del self._nodes[parse_node_id_untrusted(rule.target)]
        elif rule.subject is Subject.FILE:
            del self._files[parse_file_id_untrusted(rule.target)]
        else:
            network = network_untrusted(rule.target)
            same_size = self._networks[network.version, network.prefixlen]
            del same_size[int(network.network_address)]
            if not same_size:
                del self._networks[network.version, network.prefixlen]

    def over(self, now: float) -> list[Rule]:
        """Those whose time is up."""
        return [rule for rule in self if not holds(rule, now)]

    def next_end(self) -> float:
        """When the next one is over."""
        return min((rule.until for rule in self._all.values() if rule.until), default=math.inf)

    def of_node(self, node: NodeId, now: float) -> Rule | None:
        return _held(self._nodes.get(node), now)

    def of_file(self, file: FileId, now: float) -> Rule | None:
        return _held(self._files.get(file), now)

    def of_host(self, host: str, now: float) -> Rule | None:
        """`host` is an address, or a network as `serve.network_of` names it."""
        if not self._networks:
            return None
        try:
            address = ipaddress.ip_address(host.partition("/")[0])
        except ValueError:
            return None
        bits, value = address.max_prefixlen, int(address)
        for (version, prefix), rules in self._networks.items():
            if version == address.version:
                rule = _held(rules.get(value >> (bits - prefix) << (bits - prefix)), now)
                if rule is not None:
                    return rule
        return None


def holds(rule: Rule, now: float) -> bool:
    return not rule.until or rule.until > now


def refusal(rule: Rule, now: float) -> Refused:
    """What somebody who is hit by a ban is told."""
    wait_s = min(math.ceil(rule.until - now), WAIT_S_MAX) if rule.until else 0
    return Refused(Reason.BANNED, sentence(rule), wait_s)


def sentence(rule: Rule) -> str:
    """One plain sentence: what is banned, until when, why, and what can be done about it."""
    until = f"until {date_of(rule.until)}" if rule.until else "until further notice"
    appeal = f" (to appeal: {rule.appeal.rstrip('.')})" if rule.appeal else ""
    return f"{_WHO[rule.subject]} {until}: {rule.reason.rstrip('.')}{appeal}."


def date_of(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _held(rule: Rule | None, now: float) -> Rule | None:
    return rule if rule is not None and holds(rule, now) else None
