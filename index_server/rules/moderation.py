"""Everything that moderators can do, whoever asks: over the wire, or at the server's own console.

Rule 1: an actor comes with every call, and roles.py decides; the operator's console passes `roles.OPERATOR`.
Rule 2: what is done is on disk, log included, before it holds; and it holds before the call returns.
Rule 3: nothing is hidden silently: who is banned is told, and a search says how many results are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import trio

from index_server.accounts import Accounts
from index_server.online import Online, leave
from index_server.rules import records
from index_server.rules.bans import Bans, holds, refusal
from index_server.rules.roles import (
    READ,
    Actor,
    actor_of,
    check_length,
    check_may,
    check_own,
    check_rank,
)
from index_server.rules.suspicion import Newcomers
from index_server.rules.targets import target_untrusted
from index_server.search.catalogue import Catalogue
from p2pshare.database import Database
from p2pshare.errors import BadMessage, CloseCode, Reason, Refused
from p2pshare.hashing import FileId, parse_file_id_untrusted
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.wire.fields import Rule, RuleAction, RuleList, ServerRole, Subject

BANS_MAX = 100_000  # some 60 MB
HIDDEN_MAX = 10_000  # words and files
TIDY_EVERY_S = 30  # so much later a file may be found again when its ban is over
FOR_S_MAX = 10 * 365 * 86_400  # a longer ban is one without end


class Moderation:
    """The rules of a server. Refusals are `Refused`, with a sentence for whoever asked."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        catalogue: Catalogue,
        online: Online,
        *,
        owners: Collection[NodeId],
        appeal: str,
        unix_now: Callable[[], float],
    ) -> None:
        """`owners` have that role whatever happens; `appeal` is told where a ban has no words of its own."""
        self.newcomers = Newcomers()
        self._database = database
        self._accounts = accounts
        self._catalogue = catalogue
        self._online = online
        self._owners = frozenset(owners)
        self._appeal = appeal
        self._unix_now = unix_now
        self._bans = Bans()
        self._next_end = self._bans.next_end()
        self._hidden: dict[tuple[Subject, str], Rule] = {}
        self._roles: dict[NodeId, Rule] = {}
        self._changing = trio.Lock()  # disk and memory change in the same order

    async def start(self) -> None:
        """Read what holds. To be called before anybody is let in."""
        for where, rule in await self._database.read(records.all_rules):
            if where is RuleList.BANS:
                self._bans.add(rule)
            elif where is RuleList.HIDDEN:
                self._hidden[rule.subject, rule.target] = rule
            else:
                self._roles[parse_node_id_untrusted(rule.target)] = rule
        await self.tidy()
        self._tell_catalogue()

    async def tidy(self) -> None:
        """Forget the bans whose time is up. Costs nothing while there are none."""
        now = self._unix_now()
        if now < self._next_end:
            return
        async with self._changing:
            over = self._bans.over(now)
            for rule in over:
                self._bans.remove(rule)
            self._next_end = self._bans.next_end()
            if any(rule.subject is Subject.FILE for rule in over):
                self._tell_catalogue()
            await self._database.write(records.forget_rules, RuleList.BANS, over)

    async def keep_tidy(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(TIDY_EVERY_S)
            await self.tidy()

    # --- what holds: asked by the rest of the server ------------------------------------------------

    def role_of(self, node: NodeId) -> ServerRole:
        if node in self._owners:
            return ServerRole.OWNER
        rule = self._roles.get(node)
        return ServerRole.NOBODY if rule is None else rule.role

    def actor(self, node: NodeId, host: str) -> Actor:
        """Somebody who asks over the wire."""
        return actor_of(node, self.role_of(node), host)

    def host_is_banned(self, host: str) -> bool:
        return self._bans.of_host(host, self._unix_now()) is not None

    def check_person(self, node: NodeId, host: str) -> None:
        """Raises `Refused(BANNED)` for who may not come in. Owners cannot be locked out."""
        if node in self._owners:
            return
        now = self._unix_now()
        rule = self._bans.of_node(node, now) or self._bans.of_host(host, now)
        if rule is not None:
            raise refusal(rule, now)

    def check_file(self, file: FileId) -> None:
        """Raises `Refused(BANNED)` for a file that nobody shall find here."""
        now = self._unix_now()
        rule = self._bans.of_file(file, now)
        if rule is not None:
            raise refusal(rule, now)

    def count_banned(self, files: Collection[FileId | None]) -> int:
        """How many of these are banned."""
        now = self._unix_now()
        return sum(file is not None and self._bans.of_file(file, now) is not None for file in files)

    # --- what moderators do -------------------------------------------------------------------------

    async def ban(
        self, actor: Actor, subject: Subject, target: str, *, for_s: int = 0, reason: str, appeal: str = ""
    ) -> Rule:
        """Keep somebody out, or a file from being found. `for_s`: 0 is until it is taken back."""
        check_may(actor, (RuleAction.BAN, subject))
        check_length(actor, for_s)
        if not reason.strip():
            raise Refused(Reason.FAILED, "Say why: whoever is banned is told the reason.")
        if for_s > FOR_S_MAX:
            raise Refused(Reason.FAILED, "A ban lasts for ten years at most, or until it is taken back.")
        target = await self._target(actor, subject, target)
        rule = self._rule(actor, RuleAction.BAN, subject, target)
        until = rule.at + for_s if for_s else 0
        rule = replace(rule, until=until, reason=reason.strip(), appeal=appeal.strip() or self._appeal)
        self._check_not_oneself(actor, rule)
        older = self._bans.get(subject, target)
        if older is None and len(self._bans) >= BANS_MAX:
            raise Refused(Reason.FAILED, f"There are {BANS_MAX:,} bans already. Take some back first.")
        if older is not None:
            check_own(actor, older.by)
        async with self._changing:
            logged = await self._database.write(records.keep_rule, RuleList.BANS, rule)
            self._bans.add(rule)
            self._next_end = self._bans.next_end()
            if subject is Subject.FILE:
                self._tell_catalogue()
        self._eject()
        return logged

    async def unban(self, actor: Actor, subject: Subject, target: str, *, reason: str = "") -> Rule:
        """Take a ban back."""
        check_may(actor, (RuleAction.UNBAN, subject))
        target = await self._target(actor, subject, target)
        async with self._changing:
            rule = self._bans.get(subject, target)
            if rule is None:
                raise Refused(Reason.FAILED, f"{target} is not banned.")
            check_own(actor, rule.by)
            done = replace(self._rule(actor, RuleAction.UNBAN, subject, target), reason=reason)
            logged = await self._database.write(records.drop_rule, RuleList.BANS, done)
            self._bans.remove(rule)
            self._next_end = self._bans.next_end()
            if subject is Subject.FILE:
                self._tell_catalogue()
        return logged

    async def hide(self, actor: Actor, subject: Subject, target: str, *, reason: str) -> Rule:
        """Leave a file, or everything with a word, out of search results. Links to it go on working."""
        check_may(actor, (RuleAction.HIDE, subject))
        if not reason.strip():
            raise Refused(Reason.FAILED, "Say why: the list of what is hidden shows the reason.")
        target = target_untrusted(subject, target)
        if (subject, target) not in self._hidden and len(self._hidden) >= HIDDEN_MAX:
            raise Refused(Reason.FAILED, f"{HIDDEN_MAX:,} words and files are hidden already.")
        rule = replace(self._rule(actor, RuleAction.HIDE, subject, target), reason=reason.strip())
        async with self._changing:
            logged = await self._database.write(records.keep_rule, RuleList.HIDDEN, rule)
            self._hidden[subject, target] = rule
            self._tell_catalogue()
        return logged

    async def unhide(self, actor: Actor, subject: Subject, target: str, *, reason: str = "") -> Rule:
        """Show it again."""
        check_may(actor, (RuleAction.UNHIDE, subject))
        target = target_untrusted(subject, target)
        async with self._changing:
            rule = self._hidden.get((subject, target))
            if rule is None:
                raise Refused(Reason.FAILED, f"{target} is not hidden.")
            check_own(actor, rule.by)
            done = replace(self._rule(actor, RuleAction.UNHIDE, subject, target), reason=reason)
            logged = await self._database.write(records.drop_rule, RuleList.HIDDEN, done)
            del self._hidden[subject, target]
            self._tell_catalogue()
        return logged

    async def give_role(self, actor: Actor, target: str, role: ServerRole, *, reason: str = "") -> Rule:
        """Make somebody a helper, moderator or owner; NOBODY takes the role away."""
        check_may(actor, (RuleAction.GIVE_ROLE, Subject.ACCOUNT))
        target = await self._target(actor, Subject.ACCOUNT, target)
        node = parse_node_id_untrusted(target)
        rule = self._rule(actor, RuleAction.GIVE_ROLE, Subject.ACCOUNT, target)
        rule = replace(rule, role=role, reason=reason)
        write = records.keep_rule if role is not ServerRole.NOBODY else records.drop_rule
        async with self._changing:
            logged = await self._database.write(write, RuleList.ROLES, rule)
            self._roles.pop(node, None)
            if role is not ServerRole.NOBODY:
                self._roles[node] = rule
        return logged

    def in_force(self) -> Iterator[Rule]:
        """Every ban that holds, and everything that is hidden."""
        now = self._unix_now()
        yield from (rule for rule in self._bans if holds(rule, now))
        yield from self._hidden.values()

    # --- what moderators see ------------------------------------------------------------------------

    async def page(
        self, actor: Actor, which: RuleList, *, after: int = 0, limit: int
    ) -> tuple[int, list[Rule]]:
        """(how many there are, at most `limit` of them), newest first."""
        check_may(actor, READ)
        if which is RuleList.LOG:
            total, rules = await self._database.read(records.log_page, after, limit)
        else:
            now = self._unix_now()
            everything = {
                RuleList.BANS: [rule for rule in self._bans if holds(rule, now)],
                RuleList.HIDDEN: list(self._hidden.values()),
                RuleList.ROLES: [*self._roles.values(), *self._settled_owners()],
            }[which]
            everything.sort(key=lambda rule: (-rule.at, rule.target))
            total, rules = len(everything), everything[after : after + limit]
        return total, await self._database.read(records.with_nicks, rules)

    # --- inside -------------------------------------------------------------------------------------

    async def _target(self, actor: Actor, subject: Subject, text: str) -> str:
        """The stored form. An account may be named by nick; nobody acts against their equals."""
        if subject is not Subject.ACCOUNT:
            return target_untrusted(subject, text)
        try:
            node = parse_node_id_untrusted(text.strip())
        except BadMessage:
            node = (await self._accounts.by_nick(text.strip())).node
        if node in self._owners:
            raise Refused(
                Reason.FAILED, "That owner is named in the settings of the server. Change it there."
            )
        check_rank(actor, self.role_of(node))
        return format_node_id(node)

    def _check_not_oneself(self, actor: Actor, rule: Rule) -> None:
        if actor.host and rule.subject is Subject.ADDRESS:
            alone = Bans()
            alone.add(rule)
            if alone.of_host(actor.host, rule.at) is not None:
                raise Refused(Reason.FAILED, "Your own address lies in that range. Ban a smaller one.")

    def _rule(self, actor: Actor, action: RuleAction, subject: Subject, target: str) -> Rule:
        return Rule(
            number=0,
            action=action,
            subject=subject,
            target=target,
            nick="",
            by=actor.name,
            by_nick="",
            at=int(self._unix_now()),
        )

    def _settled_owners(self) -> list[Rule]:
        return [
            Rule(
                number=0,
                action=RuleAction.GIVE_ROLE,
                subject=Subject.ACCOUNT,
                target=format_node_id(node),
                nick="",
                by="operator",
                by_nick="",
                at=0,
                role=ServerRole.OWNER,
                reason="Named in the settings of the server.",
            )
            for node in self._owners
            if node not in self._roles
        ]

    def _tell_catalogue(self) -> None:
        words = {target for subject, target in self._hidden if subject is Subject.WORD}
        files = {
            parse_file_id_untrusted(target) for subject, target in self._hidden if subject is Subject.FILE
        }
        self._catalogue.hide(frozenset(words), self._bans.files | files)

    def _eject(self) -> None:
        """Whoever is online and banned by now is gone: who is connected hears why, others when they come."""
        for visitor in self._online:
            try:
                self.check_person(visitor.node, visitor.observed.host)
            except Refused as refused:
                if visitor.channel is not None:
                    visitor.channel.close_soon(CloseCode.NOT_ADMITTED, refused.text)
                else:
                    leave(
                        visitor,
                        self._online,
                        newcomers=self.newcomers,
                        catalogue=self._catalogue,
                        accounts=self._accounts,
                    )
