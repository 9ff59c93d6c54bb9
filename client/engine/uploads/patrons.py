"""What each person may have of us: their group, what the quota leaves, and since when they wait.

In memory, and kept in the library every few seconds and at the end. The sums of what people were sent on
which day, who is in which group, and when somebody was last served survive a restart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from client.engine.bandwidth import Clock
from client.engine.groups import SERVED, Group, members
from client.engine.settings import GroupRules, OwnSlots, Settings
from client.engine.uploads.quota import Ledger, Quota, keep_changes, load_ledger
from p2pshare.identity import Identity, NodeId
from p2pshare.limits import MIB, QUEUE_TICKET_LIFETIME_S
from p2pshare.queue_tickets import issue_queue_ticket, joined_untrusted

RENEW_AFTER_S = 6 * 3600  # whoever still waits gets a fresh ticket so often


@dataclass(frozen=True)
class _Issued:
    joined: int
    at: int


class Patrons:
    """Everybody who was ever here, as far as it matters."""

    def __init__(self, identity: Identity, settings: Settings, clock: Clock) -> None:
        self._identity = identity
        self._settings = settings
        self._clock = clock
        self._groups: dict[NodeId, Group] = {}
        self._ledger = Ledger()
        self._served_at: dict[NodeId, int] = {}  # Unix seconds
        self._served_since: set[NodeId] = set()  # it was kept
        self._issued: dict[NodeId, _Issued] = {}  # the tickets of who waits

    # --- groups and what they may --------------------------------------------------------------------

    def group(self, person: NodeId) -> Group:
        return self._groups.get(person, Group.EVERYONE)

    def put(self, person: NodeId, group: Group) -> None:
        """They are in this group from now on."""
        self._groups[person] = group

    def set(self, settings: Settings) -> None:
        """Other settings, from now on."""
        self._settings = settings

    def rules(self, person: NodeId) -> GroupRules:
        rules: GroupRules = getattr(self._settings.groups, self.group(person), self._settings.groups.everyone)
        return rules

    def slots(self) -> Mapping[Group, int]:
        """How many slots each group has."""
        counts = {Group.EVERYONE: self._settings.upload_slots}
        for group in SERVED:
            rules = getattr(self._settings.groups, group)
            if isinstance(rules, OwnSlots):
                counts[group] = rules.slots
        return counts

    # --- quotas --------------------------------------------------------------------------------------

    def sent(self, person: NodeId, size: int) -> None:
        """They were sent so many bytes."""
        self._ledger.add(person, size, self._today())

    def sent_lately(self, person: NodeId) -> Quota:
        """What they were sent today, and in the last seven days."""
        return self._ledger.sent(person, self._today())

    def rests_s(self, person: NodeId) -> float:
        """How long until they may be sent more; 0 for now."""
        rules = self.rules(person)
        if not (rules.daily_quota or rules.weekly_quota):
            return 0.0
        quota, today = Quota(rules.daily_quota * MIB, rules.weekly_quota * MIB), self._today()
        day = self._ledger.free_on(person, quota, today)
        return max(1.0, self._clock.seconds_to(day)) if day > today else 0.0

    def _today(self) -> int:
        return self._clock.local().toordinal()

    # --- waiting -------------------------------------------------------------------------------------

    def waited_s_untrusted(self, person: NodeId, ticket: bytes) -> float:
        """For how long they can show to have waited: 0 without a ticket that is good.

        A ticket is worth one turn: who was served since it says they joined has had what they waited for.
        """
        now = self._clock.unix_now()
        joined = joined_untrusted(ticket, uploader=self._identity.node_id, asker=person, unix_now=now)
        if joined is None or joined < self._served_at.get(person, 0):
            return 0.0
        return max(0.0, now - joined)

    def ticket(self, person: NodeId, waited_s: float, *, again: bool = False) -> bytes:
        """A ticket for who has waited so long; empty if the one they were given will do."""
        now = self._clock.unix_now()
        joined = max(0, int(now - waited_s))
        before = self._issued.get(person)
        if before is not None and not again:
            # The two clocks, and cutting to seconds, may differ by a little.
            if abs(before.joined - joined) <= 2 and now < before.at + RENEW_AFTER_S:
                return b""
        issued = _Issued(joined, max(joined, int(now)))
        self._issued[person] = issued
        return issue_queue_ticket(self._identity, asker=person, joined=issued.joined, issued=issued.at)

    def served(self, person: NodeId) -> None:
        """Their waiting was rewarded."""
        self._served_at[person] = int(self._clock.unix_now())
        self._served_since.add(person)

    def gone(self, person: NodeId) -> None:
        """They are not connected any more."""
        self._issued.pop(person, None)

    # --- keeping -------------------------------------------------------------------------------------

    def load(self, connection: sqlite3.Connection) -> None:
        """What is known from before. A unit of the database."""
        self._groups = {member.node: member.group for member in members(connection)}
        self._ledger = load_ledger(connection, self._today())
        rows = connection.execute(
            "SELECT node, served_at FROM person WHERE served_at > ?",
            (self._clock.unix_now() - QUEUE_TICKET_LIFETIME_S,),
        )
        self._served_at = {NodeId(node): int(served_at) for node, served_at in rows}

    def take_changes(self) -> Changes:
        """What `keep` should keep, once."""
        served = tuple((person, self._served_at[person]) for person in self._served_since)
        self._served_since.clear()
        return Changes(served, self._ledger.take_changes(), self._today())

    def put_back(self, changes: Changes) -> None:
        """They could not be kept; another time."""
        self._served_since.update(person for person, _ in changes.served)
        self._ledger.changed.update((person, day) for person, day, _ in changes.sent)


@dataclass(frozen=True)
class Changes:
    """What happened since it was kept."""

    served: tuple[tuple[NodeId, int], ...]
    sent: tuple[tuple[NodeId, int, int], ...]
    today: int


def keep(connection: sqlite3.Connection, changes: Changes) -> None:
    """A unit of the database."""
    connection.executemany(
        "INSERT INTO person(node, served_at) VALUES (?, ?)"
        " ON CONFLICT(node) DO UPDATE SET served_at = excluded.served_at",
        changes.served,
    )
    if changes.sent:
        keep_changes(connection, changes.sent, changes.today)
