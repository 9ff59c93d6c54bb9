"""Who may ask how often: what is taken from which budget, and what a client is told of it at the login."""

from __future__ import annotations

from functools import lru_cache

import trio

from index_server.commands import COMMANDS, Command, Desk
from index_server.online import Visitor
from p2pshare.transport.serve import network_of
from p2pshare.wire.fields import Budget
from p2pshare.wire.schema import Message

PERIOD_S = 60.0


def spend_on_request(desk: Desk, visitor: Visitor, command: Command, message: Message) -> None:
    """Count a request for the account, and for everybody behind its address. Raises `Refused(TOO_MUCH)`."""
    what, most, now = what_of(command), _most(desk, command), trio.current_time()
    account, address = (visitor.account, message.KIND), (network_of(visitor.observed.host), message.KIND)
    desk.budgets.take(account, what, most=most, period_s=PERIOD_S, now=now)
    together = most * desk.config.limits.accounts_per_address
    desk.budgets.take(address, what, most=together, period_s=PERIOD_S, now=now)


def spend_on_login(desk: Desk, host: str) -> None:
    """Count a try to register or log in, before anything is looked up for it. Raises `Refused(TOO_MUCH)`."""
    most, now = desk.config.limits.logins_per_minute, trio.current_time()
    desk.budgets.take(network_of(host), "logins", most=most, period_s=PERIOD_S, now=now)


def budgets_of(desk: Desk, account: int) -> tuple[Budget, ...]:
    """What an account may ask for, told at the login so that an honest client never goes beyond it."""
    now = trio.current_time()
    budgets = []
    for message, command in COMMANDS.items():
        most = _most(desk, command)
        left = desk.budgets.left((account, message.KIND), what_of(command), most=most, now=now)
        budgets.append(_budget(message.KIND, most, left))
    return tuple(budgets)


@lru_cache(maxsize=len(COMMANDS) * 16)
def _budget(kind: int, per_minute: int, left: int) -> Budget:
    """Nearly everybody who comes has nearly all of it left, so nearly all share these."""
    return Budget(kind=kind, per_minute=per_minute, left=left)


def what_of(command: Command) -> str:
    """What is asked for, in words for people."""
    return command.budget.removesuffix("_per_minute").replace("_", " ")


def _most(desk: Desk, command: Command) -> int:
    most: int = getattr(desk.config.limits, command.budget)
    return most
