"""What a person chooses while the engine runs: settings, limits, and who is in which group.

A change is kept in `settings.toml` or in the library, and takes effect at once wherever that is possible; a
setting for which it is not says so in its declaration.
"""

from __future__ import annotations

from client.engine.assembly import Assembly
from client.engine.declared import Unfit, changed, declarations, find, parse, values
from client.engine.groups import Group, Member, known_by_nick, members, put_into_group
from client.engine.settings import Settings
from client.engine.shares.scan import Rules
from client.engine.status import LimitView, MemberView, SettingView
from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, Refused
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted, short_id
from p2pshare.links import format_link, parse_link_untrusted
from p2pshare.names import display


class Choosing:
    """The calls of `Face` about choices."""

    def __init__(self, everything: Assembly) -> None:
        self._all = everything

    # --- settings ------------------------------------------------------------------------------------

    def settings(self) -> tuple[SettingView, ...]:
        """All of them."""
        chosen = values(self._all.settings)
        return tuple(
            SettingView(name, chosen[name], declared.default, declared.doc, declared.restart)
            for name, declared in declarations(Settings).items()
        )

    async def change(self, name: str, words: tuple[str, ...]) -> SettingView:
        """Raises `LocalTrouble`: there is no such setting, or the value does not fit or cannot be had."""
        before = self._all.settings
        try:
            value = parse(Settings, name, words)
            after = changed(before, {name: value})
            declared = find(Settings, name)
        except Unfit as error:
            raise LocalTrouble(f"Not changed: {error}") from None
        if after.nick != before.nick:
            await self._all.membership.rename(after.nick)
        await self._all.keep_settings(after)
        await self._obey(before, after)
        return SettingView(name, value, declared.default, declared.doc, declared.restart)

    async def _obey(self, before: Settings, after: Settings) -> None:
        """Let everything that runs follow a change."""
        here = self._all
        here.patrons.set(after)
        here.bandwidth.set(after)
        if (after.upload_slots, after.groups) != (before.upload_slots, before.groups):
            here.uploads.set_slots(here.patrons.slots())
        here.peers.lan_without_ticket = after.lan_without_ticket
        if (after.lan, after.nick) != (before.lan, before.nick):
            here.look_around()
        for link in set(before.servers) - set(after.servers):
            here.membership.leave(format_link(parse_link_untrusted(link)))
        for link in after.servers:
            here.membership.use(link, after.nick, here.port)
        if (after.exclude, after.share_hidden_files) != (before.exclude, before.share_hidden_files):
            here.shares.obey(Rules(after.exclude, str(here.profile.folder), after.share_hidden_files))
        if after.share_downloads and (
            not before.share_downloads or after.download_folder != before.download_folder
        ):
            await here.share_downloads()

    def limits(self) -> tuple[LimitView, ...]:
        """What holds now."""
        return self._all.bandwidth.views()

    # --- groups --------------------------------------------------------------------------------------

    async def members(self) -> tuple[MemberView, ...]:
        """Everybody who was put into a group."""
        return tuple(_view(member) for member in await self._all.database.read(members))

    async def put(self, who: str, group: str) -> MemberView:
        """Raises `LocalTrouble`, `Refused` or `Disconnected` if nobody, or no group, is called that."""
        try:
            chosen = Group(group)
        except ValueError:
            raise LocalTrouble(
                f'There is no group "{display(group)}". There are: {", ".join(Group)}.'
            ) from None
        node, nick = await self._find(who)
        await self._all.database.write(put_into_group, node, nick, chosen)
        self._all.patrons.put(node, chosen)
        self._all.bandwidth.regrouped()
        await self._all.uploads.regroup(node)
        return _view(Member(node, nick, chosen))

    async def _find(self, who: str) -> tuple[NodeId, str]:
        """Somebody by node id or nick: known here, or else to an index server."""
        try:
            return parse_node_id_untrusted(who), ""
        except BadMessage:
            known = set(await self._all.database.read(known_by_nick, who))
        try:
            somebody = await self._all.browser.find(who)
        except (LocalTrouble, Refused, Disconnected):
            if not known:
                raise
        else:
            return somebody.node, somebody.nick
        if len(known) > 1:
            ids = ", ".join(f"{format_node_id(node)} ({short_id(node)})" for node in sorted(known))
            raise LocalTrouble(f'Several people were called "{display(who)}". Name one by the key: {ids}.')
        return known.pop(), who


def _view(member: Member) -> MemberView:
    return MemberView(person=format_node_id(member.node), nick=member.nick, group=member.group.value)
