"""Who may do what: one table. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId, format_node_id
from p2pshare.wire.fields import RuleAction, ServerRole, Subject

HELPER_BAN_S = 86_400  # what a helper decides alone; a moderator has slept over it by then
READ = "read"  # lists, the log, and why a result stands where it stands

# The least role that may do it. Whoever is not named here by their action may not.
LEAST: dict[tuple[RuleAction, Subject] | str, ServerRole] = {
    READ: ServerRole.HELPER,
    (RuleAction.BAN, Subject.ACCOUNT): ServerRole.HELPER,  # for at most HELPER_BAN_S
    (RuleAction.UNBAN, Subject.ACCOUNT): ServerRole.HELPER,  # what they did themselves
    (RuleAction.HIDE, Subject.FILE): ServerRole.HELPER,
    (RuleAction.UNHIDE, Subject.FILE): ServerRole.HELPER,  # what they did themselves
    (RuleAction.BAN, Subject.ADDRESS): ServerRole.MODERATOR,
    (RuleAction.UNBAN, Subject.ADDRESS): ServerRole.MODERATOR,
    (RuleAction.BAN, Subject.FILE): ServerRole.MODERATOR,
    (RuleAction.UNBAN, Subject.FILE): ServerRole.MODERATOR,
    (RuleAction.HIDE, Subject.WORD): ServerRole.MODERATOR,
    (RuleAction.UNHIDE, Subject.WORD): ServerRole.MODERATOR,
    (RuleAction.GIVE_ROLE, Subject.ACCOUNT): ServerRole.OWNER,
}


@dataclass(frozen=True)
class Actor:
    """Somebody who does something about the rules."""

    name: str
    """What the log says: the text of a key, or `operator`."""
    role: ServerRole
    node: NodeId | None = None
    host: str = ""
    """Where they are connected from, so that nobody locks themselves out."""


OPERATOR = Actor("operator", ServerRole.OWNER)
"""Whoever runs the server, at its own console: may do everything, and is nobody's target."""


def actor_of(node: NodeId, role: ServerRole, host: str) -> Actor:
    return Actor(format_node_id(node), role, node, host)


def check_may(actor: Actor, action: tuple[RuleAction, Subject] | str) -> None:
    """Raises `Refused(NOT_YOUR_ROLE)`, or `Refused(FAILED)` for what makes no sense, as hiding an account."""
    least = LEAST.get(action)
    if least is None:
        raise Refused(Reason.FAILED, "That cannot be done to such a target.")
    if actor.role < least:
        raise Refused(
            Reason.NOT_YOUR_ROLE,
            f"That takes a {least.name.lower()} of this server, or more. Ask its operator for the role.",
        )


def check_length(actor: Actor, for_s: int) -> None:
    """Raises `Refused` if a ban is longer than the actor may decide. 0 is without end."""
    if actor.role is ServerRole.HELPER and not 0 < for_s <= HELPER_BAN_S:
        raise Refused(
            Reason.NOT_YOUR_ROLE, "A helper can ban for at most a day. Ask a moderator for a longer ban."
        )


def check_rank(actor: Actor, target: ServerRole) -> None:
    """Nobody acts against their equals. Raises `Refused`."""
    if actor is not OPERATOR and target >= actor.role:
        raise Refused(
            Reason.NOT_YOUR_ROLE, f"They are {_with_article(target)}: only somebody above that can do this."
        )


def check_own(actor: Actor, made_by: str) -> None:
    """A helper takes back only what they did themselves. Raises `Refused`."""
    if actor.role is ServerRole.HELPER and made_by != actor.name:
        raise Refused(Reason.NOT_YOUR_ROLE, "Somebody else did that. Ask a moderator to take it back.")


def _with_article(role: ServerRole) -> str:
    return f"an {role.name.lower()}" if role is ServerRole.OWNER else f"a {role.name.lower()}"
