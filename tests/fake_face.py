"""An engine without a network, for tests of everything that calls one. It keeps the promises of `Face`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import trio

from client.engine.bandwidth import setting_of
from client.engine.declared import Unfit, changed, declarations, parse, values
from client.engine.moderating import RulesView, RuleView, WhyView
from client.engine.schedule import LIMITS
from client.engine.search_view import NO_FILTERS, SearchFilters, SearchView
from client.engine.settings import Settings
from client.engine.status import (
    CheckView,
    CreditView,
    DistrustedView,
    DownloadSourceView,
    DownloadState,
    DownloadView,
    EngineView,
    EntryView,
    LimitView,
    ListingView,
    MemberView,
    PersonCreditView,
    PlayView,
    Priority,
    RecordView,
    ResultView,
    ServerState,
    ServerView,
    SettingView,
    ShareView,
    SourceView,
    TagsView,
    UploadView,
    VouchedView,
    WishHitView,
    WishView,
)
from p2pshare.errors import LocalTrouble, Reason, Refused

ANNA = "a" * 52
SERVER = "s" * 52
RULED_AT = 1_800_000_000
PLAYED_AT = "http://127.0.0.1:4002/token"
ACTIVE = (
    DownloadState.LOOKING,
    DownloadState.CONNECTING,
    DownloadState.QUEUED,
    DownloadState.RUNNING,
    DownloadState.FINISHING,
)


def server_view(state: ServerState = ServerState.ONLINE, problem: str = "") -> ServerView:
    return ServerView(SERVER, "The Index", "127.0.0.1:4000", state, "me", True, 3, 0, problem, 0.0)


def result_view(number: int, name: str, size: int = 3_000_000, sources: int = 2) -> ResultView:
    source = SourceView(ANNA, "anna", SERVER, number, False, True)
    tags = TagsView(title="Song", artist="Band", length_s=225, bitrate_kbps=320)
    link = f"magnet:?xt=urn:p2pshare:{'f' * 52}&dn={number}&xl={size}"
    return ResultView(
        number, "f" * 52, name, "Music", size, "audio", tags, sources, (source,) * sources, False, link
    )


def download_view(number: int, name: str, state: DownloadState, done: float = 0.0) -> DownloadView:
    size = 3_000_000
    source = DownloadSourceView(ANNA, "anna", "downloading", 0, 0, int(size * done), 1e6, "direct, IPv4")
    return DownloadView(
        number,
        name,
        f"/downloads/{name}",
        "f" * 52,
        size,
        int(size * done),
        state,
        "",
        1e6,
        2.0,
        (source,),
        "",
        0,
        1.0,
        None,
    )


@dataclass
class FakeFace:
    """Each look at the downloads brings every active one `step` of its size nearer to its end."""

    servers: tuple[ServerView, ...] = (server_view(),)
    found: tuple[ResultView, ...] = ()
    about_search: dict[str, Any] = field(default_factory=dict)
    """Other fields of a `SearchView`."""
    step: float = 0.5
    ends_as: DownloadState = DownloadState.COMPLETE
    going: dict[int, DownloadView] = field(default_factory=dict)
    inside: dict[int, tuple[DownloadView, ...]] = field(default_factory=dict)
    shares: dict[str, ShareView] = field(default_factory=dict)
    folder: tuple[EntryView, ...] = ()
    sending: tuple[UploadView, ...] = ()
    checked: CheckView = field(
        default_factory=lambda: CheckView(False, "", 3, 3, 9_000_000, 9_000_000, 0, (), ())
    )
    looks: int = 0
    avoided: tuple[DistrustedView, ...] = ()
    nick: str = "me"
    chosen: Settings = field(default_factory=Settings)
    scheduled: dict[str, tuple[int, str]] = field(default_factory=dict)
    """What a line of the schedule says of a limit: KiB per second, and the line."""
    members: tuple[MemberView, ...] = ()
    rules: tuple[RuleView, ...] = ()
    """What was done, newest first; every list shows it."""
    why: WhyView = field(default_factory=lambda: WhyView(1, (), ()))
    owed: tuple[PersonCreditView, ...] = ()
    vouched: tuple[VouchedView, ...] = ()
    wished: tuple[WishView, ...] = ()
    wish_hit_views: tuple[WishHitView, ...] = ()
    calls: list[tuple[object, ...]] = field(default_factory=list)
    cancelled: int = 0

    async def status(self) -> EngineView:
        await trio.lowlevel.checkpoint()
        running = sum(one.state in ACTIVE for one in self.going.values())
        return EngineView(
            "m" * 52,
            "mmmm-mmmm-mmmm",
            self.nick,
            "/profile",
            4001,
            self.servers,
            tuple(self.shares.values()),
            "",
            0,
            running,
            len(self.sending),
            1e6 * running,
            0.0,
            5_000_000,
            7_000_000,
            3,
            (),
            "",
            given_signed=sum(one.given_signed for one in self.owed),
            given_signed_people=len(self.owed),
            taken_signed=sum(one.taken_signed for one in self.owed),
            taken_signed_people=len(self.owed),
            wish_hits_new=sum(hit.new for hit in self.wish_hit_views),
        )

    async def credit(self, person: str | None = None) -> CreditView:
        await trio.lowlevel.checkpoint()
        people = tuple(one for one in self.owed if person in (None, one.nick))
        if person is not None and not people:
            raise Refused(Reason.NO_SUCH_PERSON)
        return CreditView(people, self.vouched)

    async def join(self, link: str) -> str:
        self.calls.append(("join", link))
        await trio.lowlevel.checkpoint()
        if "unreachable" in link:
            raise LocalTrouble("Nobody answers at unreachable:1. Check the address.")
        self.servers += (server_view(),)
        return "The Index"

    async def account_record(self, server: str, cursor: str = "") -> RecordView:
        self.calls.append(("account_record", server, cursor))
        await trio.lowlevel.checkpoint()
        if server not in {"", *(text for one in self.servers for text in (one.server, one.name))}:
            raise LocalTrouble(f'No index server called "{server}" is used.')
        pages = {"": (('{"what": "account"}',), "01"), "01": (('{"what": "offer"}',) * 2, "")}
        return RecordView("The Index", *pages[cursor])

    async def erase_account(self, server: str) -> None:
        self.calls.append(("erase_account", server))
        await trio.lowlevel.checkpoint()
        self.servers = ()

    async def leave(self, server: str) -> None:
        self.calls.append(("leave", server))
        await trio.lowlevel.checkpoint()
        if server not in {text for one in self.servers for text in (one.server, one.name, one.address)}:
            raise LocalTrouble(f'No index server is called "{server}".')
        self.servers = ()

    async def rename(self, nick: str) -> None:
        self.calls.append(("rename", nick))
        await trio.lowlevel.checkpoint()
        if nick == "taken":
            raise Refused(Reason.NICK_TAKEN)
        self.nick = nick

    async def add_share(self, path: str) -> ShareView:
        self.calls.append(("add_share", path))
        await trio.lowlevel.checkpoint()
        share = ShareView(path, path.rpartition("/")[2], 3, 9_000_000, 0, "")
        self.shares[path] = share
        return share

    async def remove_share(self, path: str) -> None:
        self.calls.append(("remove_share", path))
        await trio.lowlevel.checkpoint()
        if self.shares.pop(path, None) is None:
            raise LocalTrouble(f"{path} is not shared.")

    async def rescan(self) -> tuple[ShareView, ...]:
        self.calls.append(("rescan",))
        await trio.lowlevel.checkpoint()
        return tuple(self.shares.values())

    async def search(
        self,
        query: str,
        filters: SearchFilters = NO_FILTERS,
        sort: str = "relevance",
        limit: int = 50,
    ) -> SearchView:
        self.calls.append(("search", query, filters, sort, limit))
        try:
            if query == "for ever":
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if query == "-":
            raise Refused(Reason.BAD_QUERY)
        if query == "bug":
            raise ZeroDivisionError
        total, more = len(self.found), len(self.found) > limit
        view = SearchView(query, total, self.found[:limit], len(self.servers), (), more)
        return replace(view, **self.about_search)

    async def search_more(self, limit: int = 50) -> SearchView:
        self.calls.append(("search_more", limit))
        await trio.lowlevel.checkpoint()
        return SearchView("moon", len(self.found), self.found[-1:], len(self.servers), (), False)

    async def add_wish(self, query: str, automatic: bool = False) -> WishView:
        self.calls.append(("add_wish", query, automatic))
        await trio.lowlevel.checkpoint()
        if query == "-":
            raise Refused(Reason.BAD_QUERY)
        view = WishView(len(self.wished) + 1, query, automatic, 1.0, 0, 0, "")
        self.wished += (view,)
        return view

    async def remove_wishes(self, wishes: tuple[int, ...]) -> None:
        self.calls.append(("remove_wishes", wishes))
        await trio.lowlevel.checkpoint()
        if unknown := set(wishes) - {view.id for view in self.wished}:
            raise LocalTrouble(f"There is no wish {min(unknown)}. `p2pshare wish list` shows yours.")
        self.wished = tuple(view for view in self.wished if view.id not in wishes)

    async def wishes(self) -> tuple[WishView, ...]:
        await trio.lowlevel.checkpoint()
        return self.wished

    async def wish_hits(self, wish: int | None = None, again: bool = False) -> tuple[WishHitView, ...]:
        self.calls.append(("wish_hits", wish, again))
        await trio.lowlevel.checkpoint()
        shown = tuple(hit for hit in self.wish_hit_views if wish in (None, hit.wish) and (hit.new or again))
        self.wish_hit_views = tuple(replace(hit, new=False) for hit in self.wish_hit_views)
        return shown

    async def get(self, what: str, target: str | None = None) -> tuple[DownloadView, ...]:
        self.calls.append(("get", what, target))
        await trio.lowlevel.checkpoint()
        if "/" in what and not what.startswith(("anna/", "magnet:")):
            raise Refused(Reason.NO_SUCH_PERSON)
        if what.isdigit() and int(what) > len(self.found):
            raise LocalTrouble(f"The last search has no result number {what}.")
        name = self.found[int(what) - 1].name if what.isdigit() else what.rpartition("/")[2]
        number = len(self.going) + 1
        self.going[number] = download_view(number, name, DownloadState.LOOKING)
        return (self.going[number],)

    async def play(self, what: str) -> PlayView:
        self.calls.append(("play", what))
        if what.startswith("/"):
            await trio.lowlevel.checkpoint()
            return PlayView(f"{PLAYED_AT}{what}", what.rpartition("/")[2], 3_000_000, "audio/mpeg", None)
        [download] = await self.get(what)
        return await self.play_download(download.id)

    async def play_download(self, download: int) -> PlayView:
        self.calls.append(("play_download", download))
        await trio.lowlevel.checkpoint()
        if download not in self.going:
            raise LocalTrouble(f"There is no download {download}.")
        view = self.going[download]
        return PlayView(f"{PLAYED_AT}/{view.name}", view.name, view.size, "audio/mpeg", view)

    async def downloads(self) -> tuple[DownloadView, ...]:
        await trio.lowlevel.checkpoint()
        for number, one in self.going.items():
            if one.state in ACTIVE:
                done = min(one.size, one.done_bytes + int(one.size * self.step))
                state = self.ends_as if done == one.size else DownloadState.RUNNING
                problem = "Nobody has it any more." if state is DownloadState.FAILED else ""
                sources = tuple(replace(source, done_bytes=done) for source in one.sources)
                self.going[number] = replace(
                    one, done_bytes=done, sources=sources, state=state, problem=problem, finished_at=3.0
                )
        return tuple(self.going.values())

    async def _change(self, download: int, state: DownloadState) -> None:
        self.calls.append((state.value, download))
        await trio.lowlevel.checkpoint()
        if download not in self.going:
            raise LocalTrouble(f"There is no download {download}.")
        self.going[download] = replace(self.going[download], state=state)

    async def downloads_in(self, folder: int) -> tuple[DownloadView, ...]:
        if folder not in self.inside:
            raise LocalTrouble(f"Download {folder} is no folder. `p2pshare downloads` lists them.")
        return self.inside[folder]

    async def pause(self, download: int) -> None:
        await self._change(download, DownloadState.PAUSED)

    async def resume(self, download: int) -> None:
        await self._change(download, DownloadState.LOOKING)

    async def cancel(self, download: int) -> None:
        await self._change(download, DownloadState.CANCELLED)

    async def prioritise(self, download: int, priority: Priority) -> None:
        self.calls.append(("prioritise", download, priority))
        await trio.lowlevel.checkpoint()
        if download not in self.going:
            raise LocalTrouble(f"There is no download {download}.")
        self.going[download] = replace(self.going[download], priority=priority)

    async def clear(self) -> int:
        await trio.lowlevel.checkpoint()
        ended = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)
        over = [number for number, one in self.going.items() if one.state in ended]
        for number in over:
            del self.going[number]
        return len(over)

    async def uploads(self) -> tuple[UploadView, ...]:
        await trio.lowlevel.checkpoint()
        return self.sending

    async def check(self, path: str | None = None) -> CheckView:
        self.calls.append(("check", path))
        await trio.lowlevel.checkpoint()
        self.looks = 0
        return replace(self.checked, running=True, files_done=0, bytes_done=0)

    async def checks(self) -> CheckView:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        return self.checked if self.looks > 1 else replace(self.checked, running=True, name="song.flac")

    async def repair(self, path: str | None = None, keep_old: bool = False) -> tuple[DownloadView, ...]:
        self.calls.append(("repair", path, keep_old))
        await trio.lowlevel.checkpoint()
        for number, found in enumerate(self.checked.rotten, start=1):
            name = found.path.rpartition("/")[2]
            self.going[number] = download_view(number, name, DownloadState.LOOKING)
        return tuple(self.going.values())

    async def distrusted(self) -> tuple[DistrustedView, ...]:
        await trio.lowlevel.checkpoint()
        return self.avoided

    async def trust(self, person: str) -> int:
        self.calls.append(("trust", person))
        await trio.lowlevel.checkpoint()
        gone = [one for one in self.avoided if person in (one.nick, "all")]
        if not gone:
            raise LocalTrouble(f"Nobody called {person} is distrusted.")
        self.avoided = tuple(one for one in self.avoided if one not in gone)
        return len(gone)

    async def browse(self, person: str, folder: str = "") -> ListingView:
        self.calls.append(("browse", person, folder))
        await trio.lowlevel.checkpoint()
        if person != "anna":
            raise Refused(Reason.NO_SUCH_PERSON)
        return ListingView(ANNA, "anna", folder, self.folder, 3, 9_000_000)

    async def link(self, what: str) -> str:
        self.calls.append(("link", what))
        await trio.lowlevel.checkpoint()
        return "p2pshare:join?key=x" if what == "me" else f"magnet:?dn={what}"

    async def settings(self) -> tuple[SettingView, ...]:
        await trio.lowlevel.checkpoint()
        chosen = values(self.chosen)
        return tuple(
            SettingView(name, chosen[name], declared.default, declared.doc, declared.restart)
            for name, declared in declarations(Settings).items()
        )

    async def change_setting(self, name: str, words: tuple[str, ...]) -> SettingView:
        self.calls.append(("change_setting", name, words))
        try:
            self.chosen = changed(self.chosen, {name: parse(Settings, name, words)})
        except Unfit as error:
            raise LocalTrouble(f"Not changed: {error}") from None
        return next(view for view in await self.settings() if view.name == name)

    async def limits(self) -> tuple[LimitView, ...]:
        chosen = {view.name: view.value for view in await self.settings()}
        views = []
        for name in LIMITS:
            usual = chosen[setting_of(name)]
            assert isinstance(usual, int)
            rate, line = self.scheduled.get(name, (usual, ""))
            views.append(LimitView(name, rate, line, usual))
        return tuple(views)

    async def groups(self) -> tuple[MemberView, ...]:
        await trio.lowlevel.checkpoint()
        return self.members

    async def put_into_group(self, person: str, group: str) -> MemberView:
        self.calls.append(("put_into_group", person, group))
        await trio.lowlevel.checkpoint()
        if person != "anna":
            raise Refused(Reason.NO_SUCH_PERSON)
        member = MemberView(ANNA, person, group)
        self.members = (member,)
        return member

    async def moderate(
        self,
        server: str,
        action: str,
        subject: str,
        target: str,
        for_s: int = 0,
        role: str = "nobody",
        reason: str = "",
        appeal: str = "",
    ) -> RuleView:
        self.calls.append(("moderate", server, action, subject, target, for_s, role, reason, appeal))
        await trio.lowlevel.checkpoint()
        if target == "owner":
            raise Refused(Reason.NOT_YOUR_ROLE)
        until = RULED_AT + for_s if for_s else 0
        rule = RuleView(
            len(self.rules) + 1,
            action,
            subject,
            target,
            "",
            ANNA,
            "anna",
            RULED_AT,
            until,
            role,
            reason,
            appeal,
        )
        self.rules = (rule, *self.rules)
        return rule

    async def server_rules(self, server: str, which: str, after: int = 0, limit: int = 40) -> RulesView:
        self.calls.append(("server_rules", server, which, after, limit))
        await trio.lowlevel.checkpoint()
        return RulesView(len(self.rules), self.rules[after : after + limit])

    async def why_ranked(self, server: str, what: str) -> WhyView:
        self.calls.append(("why_ranked", server, what))
        await trio.lowlevel.checkpoint()
        return self.why

    async def stop(self) -> None:
        self.calls.append(("stop",))
        await trio.lowlevel.checkpoint()
