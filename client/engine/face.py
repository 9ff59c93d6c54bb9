"""The engine's whole public face: what a front may ask, and nothing else.

`Engine` implements it in this process; `control.connect` returns the same face of an engine that runs in
another process. Every argument and result is plain data (see `status.py`). All errors are `LocalTrouble`,
`Refused` or `Disconnected`, with a sentence fit to show.
"""

from __future__ import annotations

from typing import Protocol

from client.engine.moderating import RulesView, RuleView, WhyView
from client.engine.search_view import NO_FILTERS, SearchFilters, SearchView
from client.engine.status import (
    CheckView,
    CreditView,
    DistrustedView,
    DownloadView,
    EngineView,
    LimitView,
    ListingView,
    MemberView,
    PlayView,
    Priority,
    RecordView,
    SettingView,
    ShareView,
    UploadView,
    WishHitView,
    WishView,
)


class Face(Protocol):
    """Plain calls down, frozen snapshots up."""

    async def status(self) -> EngineView:
        """Everything at one glance."""

    async def join(self, link: str) -> str:
        """Use the index server of an invite link (or `host:port`). Returns its name once logged in."""

    async def leave(self, server: str) -> None:
        """Forget an index server, named by node id, name or address."""

    async def account_record(self, server: str, cursor: str = "") -> RecordView:
        """A page of everything that an index server (node id, name or address; "" if there is only one) keeps
        about our account there."""

    async def erase_account(self, server: str) -> None:
        """Have our account there forgotten, with everything about it, and leave the server."""

    async def rename(self, nick: str) -> None:
        """Change the nick, here and on every server."""

    async def add_share(self, path: str) -> ShareView:
        """Share a folder. Searchable at once; hashed in the background."""

    async def remove_share(self, path: str) -> None:
        """Share a folder no longer. Nothing on disk is touched."""

    async def rescan(self) -> tuple[ShareView, ...]:
        """Look for changes in every shared folder now."""

    async def search(
        self,
        query: str,
        filters: SearchFilters = NO_FILTERS,
        sort: str = "relevance",
        limit: int = 50,
    ) -> SearchView:
        """Search every connected index server. The results are kept, so that `get` can name them by
        number. Sort by "relevance", "sources", "speed", "size", "smallest", "date" or "oldest".
        """

    async def search_more(self, limit: int = 50) -> SearchView:
        """The next results of the last search, numbered on."""

    async def add_wish(self, query: str, automatic: bool = False) -> WishView:
        """Have every index server keep a search, and tell what it finds from now on; what is there already
        comes first. With `automatic`, it is downloaded within the limits of the settings `wishes`."""

    async def remove_wishes(self, wishes: tuple[int, ...]) -> None:
        """Wish for these no longer, and forget what was found for them. Downloads go on."""

    async def wishes(self) -> tuple[WishView, ...]:
        """What is wished for, the oldest first."""

    async def wish_hits(self, wish: int | None = None, again: bool = False) -> tuple[WishHitView, ...]:
        """What was found for one wish, or for all, and never shown; with `again`, everything. It counts as
        shown from now on, and is kept as results, so that `get` can name it by number."""

    async def get(self, what: str, target: str | None = None) -> tuple[DownloadView, ...]:
        """Download: the number of a result, a `magnet:` link, or `NICK/folder/or/file` as `browse` shows it.
        `target` is a folder or a file name; the download folder if None. Returns what was started, a folder
        as one."""

    async def play(self, what: str) -> PlayView:
        """An address at which a player on this machine can open a file: what `get` takes, which is then
        downloaded, or the full path of a file that is shared from here."""

    async def play_download(self, download: int) -> PlayView:
        """The same for a download, running or complete. A paused one goes on."""

    async def downloads(self) -> tuple[DownloadView, ...]:
        """All downloads, oldest first; each folder as one."""

    async def downloads_in(self, folder: int) -> tuple[DownloadView, ...]:
        """The files of a folder that is downloaded. Each has a number of its own."""

    async def pause(self, download: int) -> None:
        """Stop a download until `resume`: a file, or a folder with all that is in it."""

    async def resume(self, download: int) -> None:
        """Go on with a paused, failed or stuck download."""

    async def cancel(self, download: int) -> None:
        """Give a download up and delete its partial data."""

    async def prioritise(self, download: int, priority: Priority) -> None:
        """Let a download, or all files of a folder, go before others or after them."""

    async def clear(self) -> int:
        """Forget downloads that are complete, failed or cancelled. Returns how many."""

    async def uploads(self) -> tuple[UploadView, ...]:
        """Who is being served, and who waits."""

    async def check(self, path: str | None = None) -> CheckView:
        """Begin to hold a shared file, folder, or everything that is shared against its hashes."""

    async def checks(self) -> CheckView:
        """How that stands, or how the last check ended."""

    async def repair(self, path: str | None = None, keep_old: bool = False) -> tuple[DownloadView, ...]:
        """Mend what a check found rotten there, with pieces from others. Returns what was started."""

    async def distrusted(self) -> tuple[DistrustedView, ...]:
        """Who sent wrong data lately."""

    async def trust(self, person: str) -> int:
        """Ask somebody (nick or node id, "all" for everybody) again. Returns how many that are."""

    async def browse(self, person: str, folder: str = "") -> ListingView:
        """One folder of what a person (nick or node id) shares."""

    async def link(self, what: str) -> str:
        """A link for: a path of a shared file, the number of a result, a download, or "me"/"invite" for an
        invite to the first connected index server."""

    async def credit(self, person: str | None = None) -> CreditView:
        """What we and each person, or one (nick or node id), have given each other, and what others vouch."""

    async def settings(self) -> tuple[SettingView, ...]:
        """Everything that the person can choose."""

    async def change_setting(self, name: str, words: tuple[str, ...]) -> SettingView:
        """Choose something else: one word, or all of a list. Takes effect at once unless the setting says
        that it needs a restart; kept in any case."""

    async def limits(self) -> tuple[LimitView, ...]:
        """The limits of bytes a second as they hold now."""

    async def groups(self) -> tuple[MemberView, ...]:
        """Who was put into which group."""

    async def put_into_group(self, person: str, group: str) -> MemberView:
        """From now on a person (nick or node id) is one of "blocked", "everyone", "contacts", "trusted"."""

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
        """Make or take back a rule of an index server, named as in `account_record`: "ban", "unban", "hide",
        "unhide", "give_role", for an "account", "address", "file" or "word". A file may be a file id, a link,
        or the number of a result. `for_s` is 0 for a ban without end."""

    async def server_rules(self, server: str, which: str, after: int = 0, limit: int = 40) -> RulesView:
        """Its "bans", what is "hidden" there, its "roles", or the "log" of its moderators; newest first."""

    async def why_ranked(self, server: str, what: str) -> WhyView:
        """What speaks there against a file: a file id, a link, or the number of a result."""

    async def stop(self) -> None:
        """End the engine. Downloads go on where they were at the next start."""
