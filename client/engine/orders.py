"""From what a person asks for to downloads: a result, a link, or a file or folder of somebody's shares.

Every name that comes from outside is made safe here, part by part, before it becomes a place on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client.engine.browsing import Browser, Somebody
from client.engine.downloads.records import KnownSource, Record
from client.engine.search import kept_result
from client.engine.status import ResultView
from p2pshare.database import Database
from p2pshare.errors import BadMessage, LocalTrouble, Reason, Refused
from p2pshare.hashing import parse_file_id_untrusted
from p2pshare.identity import parse_node_id_untrusted
from p2pshare.links import FileLink, parse_link_untrusted
from p2pshare.names import safe_leaf_name, split_path_untrusted
from p2pshare.wire.fields import Offer

HOW = (
    "Give the number of a search result, a magnet: link, or PERSON/folder/file as `p2pshare browse` shows it."
)


@dataclass(frozen=True)
class Place:
    """Where a download goes."""

    folder: str  # exists, or is made; everything happens below it
    name: str | None  # of the file or of the folder that is made for a folder; None: as it is called


def place_for(target: str | None, download_folder: Path) -> Place:
    """A target as a person gives it: nothing, an existing folder or one that ends with "/", or a file
    name.
    """
    if target is None:
        return Place(str(download_folder), None)
    path = Path(target).expanduser()
    if target.endswith(("/", "\\")) or path.is_dir():
        return Place(str(path.absolute()), None)
    if safe_leaf_name(path.name) != path.name:
        raise LocalTrouble(f'"{path.name}" is not a name that every system can store. Choose another one.')
    return Place(str(path.absolute().parent), path.name)


def make_folder(path: str) -> None:
    """Somebody asked for something to be put there. Blocks. Raises `LocalTrouble`."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalTrouble(f"The folder {path} cannot be made: {error.strerror}.") from error


@dataclass(frozen=True)
class Order:
    """What is to be downloaded."""

    files: list[Record]
    folder: Record | None = None
    """The folder that they are, if they are one."""


def record_of(result: ResultView, place: Place, unix_now: float) -> Record:
    """The download of something that was found."""
    sources = tuple(
        KnownSource(
            parse_node_id_untrusted(source.server),
            parse_node_id_untrusted(source.person),
            source.nick,
            source.offer,
        )
        for source in result.sources
    )
    file = parse_file_id_untrusted(result.file) if result.file is not None else None
    return Record(
        file=file,
        person=sources[0].node if file is None and sources else None,
        offer=sources[0].offer if file is None and sources else None,
        size=result.size,
        name=result.name,
        target_folder=place.folder,
        target_path=place.name or safe_leaf_name(result.name),
        sources=sources,
        added_at=unix_now,
    )


class Orders:
    """Makes records of downloads; starting them is up to the caller."""

    def __init__(self, database: Database, browser: Browser, unix_now: float) -> None:
        self._database = database
        self._browser = browser
        self._unix_now = unix_now

    async def records(self, what: str, place: Place) -> list[Record]:
        """One record for each file. Raises `LocalTrouble`, `Refused` or `Disconnected`."""
        return (await self.order(what, place)).files

    async def order(self, what: str, place: Place) -> Order:
        """The same, and the folder that they are. Raises `LocalTrouble`, `Refused` or `Disconnected`."""
        if what.isascii() and what.isdigit():
            result = await self._database.read(kept_result, int(what))
            if result is None:
                raise LocalTrouble(f"There is no result number {what}. Search first; the last search counts.")
            return Order([record_of(result, place, self._unix_now)])
        if what.lower().startswith("magnet:"):
            return Order([self._of_link(what, place)])
        if "/" in what:
            return await self._of_path(what, place)
        raise LocalTrouble(f'"{what}" cannot be downloaded. {HOW}')

    def _of_link(self, text: str, place: Place) -> Record:
        try:
            link = parse_link_untrusted(text)
        except BadMessage as error:
            raise LocalTrouble(error.text) from error
        assert isinstance(link, FileLink)  # a magnet link is nothing else
        return Record(
            file=link.file_id,
            size=link.size,
            name=link.name,
            target_folder=place.folder,
            target_path=place.name or safe_leaf_name(link.name),
            added_at=self._unix_now,
        )

    async def _of_path(self, what: str, place: Place) -> Order:
        who, _, path = what.partition("/")
        path = path.strip("/")
        somebody = await self._browser.find(who)
        outer, _, name = path.rpartition("/")
        listing = await self._browser.open_folder(somebody, outer)
        for offer in listing.offers:
            if offer.path == path:
                target = place.name or safe_leaf_name(name)
                return Order([self._model("", place).changed(**self._what_differs(somebody, offer, target))])
        if path and name not in [folder.name for folder in listing.folders]:
            raise Refused(
                Reason.NO_SUCH_FILE,
                f'{somebody.nick} shares nothing called "{path}". `p2pshare browse` shows what is there.',
            )
        top = place.name or safe_leaf_name(name or somebody.nick)
        files = []
        model = self._model(top, place)
        folders: dict[str, str] = {}  # as they are called there, and here
        for offer in await self._browser.walk(somebody, path):
            outer, _, leaf = offer.path.rpartition("/")
            if (folder := folders.get(outer)) is None:
                inner = split_path_untrusted(outer)[len(path.split("/")) if path else 0 :] if outer else ()
                folder = folders[outer] = "/".join([top, *map(safe_leaf_name, inner)])
            target = f"{folder}/{safe_leaf_name(leaf)}"
            files.append(model.changed(**self._what_differs(somebody, offer, target)))
        whole = Record(
            file=None,
            size=sum(file.size for file in files),
            name=top,
            target_folder=place.folder,
            target_path=top,
            added_at=self._unix_now,
            files=len(files),
        )
        return Order(files, whole)

    def _model(self, folder: str, place: Place) -> Record:
        """What is the same for all files of an order."""
        return Record(
            file=None,
            size=0,
            name="",
            target_folder=place.folder,
            target_path="",
            folder=folder,
            added_at=self._unix_now,
        )

    def _what_differs(self, somebody: Somebody, offer: Offer, target: str) -> dict[str, object]:
        return {
            "file": offer.file,
            "person": somebody.node if offer.file is None else None,
            "offer": offer.offer if offer.file is None else None,
            "size": offer.size,
            "name": offer.path.rpartition("/")[2],
            "target_path": target,
            "sources": (KnownSource(somebody.server, somebody.node, somebody.nick, offer.offer),),
        }
