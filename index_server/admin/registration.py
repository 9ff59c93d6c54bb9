"""Who may register: anybody, those with a code from an invite, or nobody."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from index_server import store
from index_server.store import Account
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.names import nick_skeleton

CODE_BYTES = 10  # as text 16 letters and digits: nobody guesses one
CHOICE = "registration"


class Mode(StrEnum):
    """The values of the setting accounts.registration."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


@dataclass(frozen=True)
class InviteCode:
    """What lets somebody in while registration takes an invite."""

    code: str
    note: str
    """For the operator: who it is for."""
    uses_left: int
    used: int
    created_at: int
    expires_at: int
    """Unix time; 0 for never."""


class Registration:
    """The mode and the codes. What the operator chose at run time holds until it is chosen otherwise."""

    def __init__(
        self,
        database: Database,
        usual: Mode,
        *,
        random_bytes: Callable[[int], bytes],
        unix_now: Callable[[], float],
    ) -> None:
        """`usual`: what the settings say."""
        self._database = database
        self._usual = usual
        self._chosen: Mode | None = None
        self._random_bytes = random_bytes
        self._unix_now = unix_now

    @property
    def mode(self) -> Mode:
        return self._chosen or self._usual

    async def load(self) -> None:
        text = await self._database.read(store.chosen, CHOICE)
        self._chosen = None if text is None else Mode(text)

    async def choose(self, mode: Mode | None) -> None:
        """None: what the settings say."""
        await self._database.write(store.choose, CHOICE, mode)
        self._chosen = mode

    async def register(self, node: NodeId, nick: str, code: str) -> Account:
        """A new account. Raises `Refused`."""
        mode, now = self.mode, int(self._unix_now())
        if mode is Mode.CLOSED:
            raise Refused(Reason.REGISTRATION_CLOSED)
        if mode is Mode.OPEN:
            return await self._database.write(store.add_account, node, nick, nick_skeleton(nick), now)
        return await self._database.write(_add_invited, node, nick, code, now)

    # --- codes

    async def create(self, uses: int, lasts_s: int, note: str) -> InviteCode:
        """`lasts_s`: 0 for ever."""
        code = base64.b32encode(self._random_bytes(CODE_BYTES)).decode().lower()
        now = int(self._unix_now())
        created = InviteCode(code, note, uses, 0, now, now + lasts_s if lasts_s else 0)
        await self._database.write(_add_code, created)
        return created

    async def codes(self) -> tuple[InviteCode, ...]:
        """All of them, oldest first."""
        return await self._database.read(_codes)

    async def revoke(self, code: str) -> None:
        """Whoever came in by it stays. Raises `LocalTrouble`."""
        if not await self._database.write(_remove_code, code):
            raise LocalTrouble(f"There is no code {code}. `p2pshare-index admin invite list` lists them.")


def _add_invited(connection: sqlite3.Connection, node: NodeId, nick: str, code: str, now: int) -> Account:
    """Use up one use of the code, and add the account; or neither. Raises `Refused`."""
    if not code:
        text = "New people need an invite here. Ask somebody for one: its link carries a code."
        raise Refused(Reason.REGISTRATION_CLOSED, text)
    used = connection.execute(
        "UPDATE invite SET uses_left = uses_left - 1, used = used + 1"
        " WHERE code = ? AND uses_left > 0 AND (expires_at = 0 OR expires_at > ?)",
        (code.lower(), now),
    )
    if not used.rowcount:
        text = "The invite is used up, too old, or was taken back. Ask for a new one."
        raise Refused(Reason.REGISTRATION_CLOSED, text)
    added = store.add_account(connection, node, nick, nick_skeleton(nick), now)
    connection.execute("INSERT INTO invited (account, code) VALUES (?, ?)", (added.number, code.lower()))
    return added


def _add_code(connection: sqlite3.Connection, code: InviteCode) -> None:
    connection.execute(
        "INSERT INTO invite (code, note, uses_left, used, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        (code.code, code.note, code.uses_left, code.used, code.created_at, code.expires_at),
    )


def _codes(connection: sqlite3.Connection) -> tuple[InviteCode, ...]:
    rows = connection.execute(
        "SELECT code, note, uses_left, used, created_at, expires_at FROM invite ORDER BY created_at, code"
    )
    return tuple(InviteCode(*row) for row in rows)


def _remove_code(connection: sqlite3.Connection, code: str) -> bool:
    return bool(connection.execute("DELETE FROM invite WHERE code = ?", (code.lower(),)).rowcount)
