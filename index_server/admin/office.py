"""What an operator can ask of the running server: the methods of `Office`.

`commands.py` calls them from another process, over the local calls of p2pshare/transport/local_calls.py: so
arguments and results are plain data, and all errors are `LocalTrouble` or `Refused` with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from index_server.admin import people, ruling
from index_server.admin.answers import forget
from index_server.admin.people import PersonView
from index_server.admin.record import page_of
from index_server.admin.registration import InviteCode, Mode
from index_server.admin.ruling import RuleView
from index_server.admin.standing import Standing, StandingView
from index_server.server import IndexServer
from index_server.store import Account
from index_server.words import invite_of
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.identity import parse_node_id_untrusted
from p2pshare.limits import ANNOUNCEMENT_BYTES_MAX
from p2pshare.links import format_link
from p2pshare.transport.local_calls import LocalCalls

MESSAGE_BYTES_MAX = 4_096  # as the setting server.welcome
NOTE_BYTES_MAX = 200


@dataclass(frozen=True)
class PeopleView:
    """Some of the accounts."""

    total: int
    """How many accounts there are."""
    people: tuple[PersonView, ...]


@dataclass(frozen=True)
class RecordView:
    """A page of what is kept about somebody."""

    lines: tuple[str, ...]
    """Each a JSON object."""
    cursor: str
    """For the next page; empty on the last."""


@dataclass(frozen=True)
class MessageView:
    """The message of the day."""

    text: str


@dataclass(frozen=True)
class InviteView:
    """A code that lets somebody register, and the link that carries it."""

    code: InviteCode
    link: str


class Office:
    """The operator's side of a running server."""

    def __init__(
        self, server: IndexServer, standing: Standing, own_hosts: Callable[[], Sequence[str]]
    ) -> None:
        """`own_hosts`: where the machine can be reached, for invites if the settings do not say."""
        self._desk = server.desk
        self._server = server
        self._standing = standing
        self._own_hosts = own_hosts

    async def status(self) -> StandingView:
        """Everything at one glance."""
        return await self._standing.view()

    # --- people

    async def people(self, part: str = "", online: bool = False, limit: int = 50) -> PeopleView:
        """Accounts whose nicks contain `part`; without it those who were here last."""
        total = await self._desk.database.read(people.count_people)
        if online:
            found = [
                await self._desk.database.read(people.person_of, visitor.account)
                for visitor in self._desk.online
                if part.lower() in visitor.nick.lower()
            ][:limit]
        elif part:
            found = await self._desk.database.read(people.people_like, part, limit)
        else:
            found = await self._desk.database.read(people.newest_people, limit)
        return PeopleView(total, tuple(self._with_presence(person) for person in found))

    async def person(self, who: str) -> PersonView:
        """One account, by nick or key. Raises `Refused`."""
        account = await self._account(who)
        return self._with_presence(await self._desk.database.read(people.person_of, account.number))

    async def record(self, who: str, cursor: str = "") -> RecordView:
        """Everything that is kept about somebody, page by page."""
        account = await self._account(who)
        page = await self._desk.database.read(page_of, account.number, bytes.fromhex(cursor))
        return RecordView(page.lines, page.cursor.hex())

    async def erase(self, who: str) -> PersonView:
        """Forget an account and everything about it."""
        person, account = await self.person(who), await self._account(who)
        await forget(self._desk, account.number)
        return person

    # --- rules

    async def moderate(
        self, action: str, subject: str, target: str, for_s: int, role: str, reason: str, appeal: str
    ) -> RuleView:
        """Make or take back a rule, as `operator`. `for_s`: 0 until it is taken back."""
        return await ruling.rule(self._desk, action, subject, target, for_s, role, reason, appeal)

    async def rules(self, which: str, limit: int) -> tuple[RuleView, ...]:
        """The "bans", what is "hidden", the "roles" or the "log", the newest first."""
        return await ruling.listed(self._desk, which, limit)

    # --- words

    async def announce(self, text: str) -> int:
        """Say something to everybody; returns how many hear it at once. Others hear it when they log in."""
        _check_text(text, "An announcement", 1, ANNOUNCEMENT_BYTES_MAX)
        return await self._desk.bulletin.announce(text, self._desk.online.channels())

    async def message(self) -> MessageView:
        """The message of the day, for whoever logs in."""
        return MessageView(self._desk.bulletin.message)

    async def set_message(self, text: str | None) -> MessageView:
        """Another one from now on; None: that of the settings."""
        if text is not None:
            _check_text(text, "The message of the day", 0, MESSAGE_BYTES_MAX)
        await self._desk.bulletin.choose(text)
        return await self.message()

    # --- registration

    async def registration(self) -> str:
        """Who may register: "open", "invite" or "closed"."""
        return self._desk.registration.mode

    async def set_registration(self, mode: Mode | None) -> str:
        """From now on; None: as the settings say."""
        await self._desk.registration.choose(mode)
        return await self.registration()

    async def create_invite(self, uses: int, lasts_s: int, note: str) -> InviteView:
        """A code for so many people. `lasts_s`: 0 for ever."""
        _check_text(note, "A note", 0, NOTE_BYTES_MAX)
        return self._invite(await self._desk.registration.create(uses, lasts_s, note))

    async def invites(self) -> tuple[InviteView, ...]:
        """All codes, oldest first."""
        return tuple(self._invite(code) for code in await self._desk.registration.codes())

    async def revoke_invite(self, code: str) -> None:
        """Take a code back. Whoever came in by it stays."""
        await self._desk.registration.revoke(code)

    # --- inside

    async def _account(self, who: str) -> Account:
        try:
            return await self._desk.accounts.by_node(parse_node_id_untrusted(who))
        except BadMessage:
            return await self._desk.accounts.by_nick(who)

    def _with_presence(self, person: PersonView) -> PersonView:
        visitor = self._desk.online.by_node(parse_node_id_untrusted(person.node))
        return people.with_presence(person, visitor)

    def _invite(self, code: InviteCode) -> InviteView:
        config, node = self._desk.config, self._desk.endpoint.node
        invite = invite_of(config, node, self._server.port, self._own_hosts())
        return InviteView(code, format_link(replace(invite, code=code.code)))


def _check_text(text: str, what: str, low: int, high: int) -> None:
    if not low <= len(text.encode()) <= high:
        raise LocalTrouble(
            f"{what} has {low} to {high:,} bytes of text; this one has {len(text.encode()):,}."
        )


CALLS: Final = LocalCalls(
    Office, "index server", "The running index server is of another version. Restart it, and try again."
)
