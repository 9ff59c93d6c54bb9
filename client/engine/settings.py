"""What a person can choose, kept in `settings.toml` of the profile.

Each setting is declared once, with its default, its rule and its comment; the file's first version is written
from these declarations. Later only changed values are replaced, so that what the person wrote there stays.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from client.engine.declared import Unfit, changed, declarations, setting, tables, understood, values
from client.engine.schedule import LINES_MAX, RATE_MAX_KIB_S, parse_line
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.kinds import FileKind
from p2pshare.limits import OPEN_FILES_MAX
from p2pshare.links import Invite, parse_link_untrusted
from p2pshare.names import display, nick_problem

UPLOAD_SLOTS_MAX = 100  # people served at once; more share one uplink than can be of use to any
QUOTA_MAX_MIB = 1 << 30  # a PiB
CHECK_DAYS_MAX = 3_650
SETTINGS_BYTES_MAX = 1 << 20  # a file written by a person

_TITLE = (
    "Settings of p2pshare. `p2pshare set NAME VALUE` changes one at once; what is changed here holds from"
)
_TITLE_2 = "the next start on."


def _between(low: int, high: int) -> Callable[[Any], str | None]:
    return lambda value: None if low <= value <= high else f"It must be a number from {low} to {high}."


def _invites(values: tuple[str, ...]) -> str | None:
    for text in values:
        try:
            if isinstance(parse_link_untrusted(text), Invite):
                continue
        except BadMessage as error:
            return f'"{display(text)}" is no invite: {error.text}'
        return f'"{display(text)}" is a link to a file, not an invite.'
    return None


def _schedule(lines: tuple[str, ...]) -> str | None:
    if len(lines) > LINES_MAX:
        return f"At most {LINES_MAX} lines."
    for text in lines:
        try:
            parse_line(text)
        except ValueError as error:
            return f'"{display(text)}": {error}'
    return None


_rate = _between(0, RATE_MAX_KIB_S)
_quota = _between(0, QUOTA_MAX_MIB)


@dataclass(frozen=True, kw_only=True)
class GroupRules:
    """What holds for the people of one group. Rates in KiB per second, amounts in MiB; 0 for no limit."""

    upload_rate: int = setting(0, "Upload at most this many KiB per second to all of them together.", _rate)
    download_rate: int = setting(0, "Download at most this from all of them together.", _rate)
    person_rate: int = setting(0, "Upload at most this many KiB per second to each of them.", _rate)
    daily_quota: int = setting(0, "Upload at most this many MiB a day to each of them.", _quota)
    weekly_quota: int = setting(0, "The same for any seven days in a row.", _quota)
    open_files: int = setting(
        OPEN_FILES_MAX, "How many files each may have open at a time.", _between(1, OPEN_FILES_MAX)
    )


@dataclass(frozen=True, kw_only=True)
class OwnSlots(GroupRules):
    """A group for which slots are kept."""

    slots: int = setting(
        2, "How many are served at a time beside everyone else.", _between(1, UPLOAD_SLOTS_MAX)
    )


GROUP_RULES, OWN_SLOTS = GroupRules(), OwnSlots()


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups. Who is in which is told by `p2pshare group`."""

    everyone: Annotated[GroupRules, "Whoever is in no other group."] = GROUP_RULES
    contacts: Annotated[OwnSlots, "People you know. They come before everyone."] = OWN_SLOTS
    trusted: Annotated[OwnSlots, "People you trust. They come first."] = OWN_SLOTS


GROUPS = Groups()


def _kinds(kinds: tuple[str, ...]) -> str | None:
    known = [kind.name.lower() for kind in FileKind]
    wrong = [kind for kind in kinds if kind not in known]
    return f'"{display(wrong[0])}" is none of {", ".join(known)}.' if wrong else None


@dataclass(frozen=True, kw_only=True)
class WishRules:
    """What may be downloaded without asking."""

    size_max: int = setting(700, "Nothing larger than so many MiB; 0 for any size.", _quota)
    per_day: int = setting(20, "So many files within 24 hours; the others wait.", _between(0, 10_000))
    kinds: tuple[str, ...] = setting((), "Only these kinds, such as audio and video; none for all.", _kinds)


WISH_RULES = WishRules()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a person can choose. Rates in KiB per second, 0 for no limit."""

    nick: str = setting(
        "", "Your name on the network, 2 to 32 letters and digits.", lambda nick: nick and nick_problem(nick)
    )
    download_folder: str = setting(
        "downloads",
        "Where finished downloads go. ~ is your home folder; a relative path starts at this file's folder.",
        lambda folder: None if folder else "Name a folder.",
    )
    check_days: int = setting(
        30,
        "Read every shared file once in so many days to see whether the disk still holds it; 0 for never.",
        _between(0, CHECK_DAYS_MAX),
        restart=True,
    )
    share_downloads: bool = setting(True, "Share finished downloads onward. This is what keeps files alive.")
    servers: tuple[str, ...] = setting(
        (), "Index servers, as invite links. `p2pshare join LINK` adds one here.", _invites
    )
    listen_port: int = setting(
        0,
        "TCP port that others connect to. 0 chooses one at the next start and keeps it here.",
        _between(0, 65_535),
        restart=True,
    )
    upload_slots: int = setting(
        4,
        "How many people are served at the same time; contacts and trusted people have more of their own.",
        _between(1, UPLOAD_SLOTS_MAX),
    )
    upload_rate: int = setting(0, "Upload at most this many KiB per second; 0 for no limit.", _rate)
    download_rate: int = setting(0, "Download at most this many KiB per second; 0 for no limit.", _rate)
    schedule: tuple[str, ...] = setting(
        (), 'Other limits at other times, like "mon-fri 08:00-18:00 up=500 down=2000".', _schedule
    )
    lan: bool = setting(
        True, "Find people and index servers on the local network, and be found there (key, port and nick)."
    )
    lan_without_ticket: bool = setting(
        True, "Let people on the local network connect without being introduced by an index server."
    )
    report_receipts: bool = setting(
        True,
        "Tell index servers how much you gave to and took from whom there. Those people may tell it, too.",
    )
    share_hidden_files: bool = setting(False, "Share files and folders whose name begins with a dot.")
    exclude: tuple[str, ...] = setting(
        ("*.part", "*.crdownload", "*.tmp", "~$*", "Thumbs.db", "desktop.ini"),
        "Never share what fits one of these patterns, written as in a .gitignore file.",
        lambda patterns: None if all(patterns) else "An empty pattern fits nothing; leave it out.",
    )
    groups: Groups = GROUPS
    wishes: Annotated[WishRules, "What `p2pshare wish add --get` may download by itself."] = WISH_RULES


def load_settings(path: Path) -> Settings:
    """Raises LocalTrouble with the name of the file and what is wrong in it."""
    try:
        return understood(Settings, _document(path).unwrap())
    except Unfit as error:
        raise LocalTrouble(f"The settings in {display(str(path))} cannot be used: {error}") from None


def save_settings(path: Path, settings: Settings) -> None:
    """Writes the changed values, keeps everything else in the file, and replaces it in one step.

    Raises LocalTrouble: a value breaks its rule, or the file cannot be read or written.
    """
    wanted = {name: _plain(value) for name, value in values(settings).items()}
    try:
        changed(Settings(), wanted)
        document = _document(path) if path.exists() else _first_version()
        present = values(understood(Settings, document.unwrap()))
    except Unfit as error:
        raise LocalTrouble(f"The settings in {display(str(path))} cannot be saved: {error}") from None
    for name, value in wanted.items():
        if _plain(present[name]) != value:
            _put(document, name, value)
    _replace(path, tomlkit.dumps(document))


def _document(path: Path) -> tomlkit.TOMLDocument:
    """Raises LocalTrouble or Unfit."""
    try:
        with path.open("rb") as file:
            data = file.read(SETTINGS_BYTES_MAX + 1)
        if len(data) > SETTINGS_BYTES_MAX:
            raise Unfit("the file is far too large for settings.")
        return tomlkit.parse(data.decode())
    except OSError as error:
        raise LocalTrouble(
            f"The settings in {display(str(path))} cannot be read: {error.strerror}."
        ) from None
    except UnicodeDecodeError:
        raise Unfit("the file is not UTF-8 text.") from None
    except ParseError as error:
        raise Unfit(f"line {error.line} is not valid TOML ({display(str(error))}).") from None
    except TOMLKitError as error:
        raise Unfit(f"it is not valid TOML ({display(str(error))}).") from None


def _first_version() -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    document.add(tomlkit.comment(_TITLE))
    document.add(tomlkit.comment(_TITLE_2))
    for declared in declarations(Settings).values():
        if "." not in declared.name:
            document.add(tomlkit.nl())
            document.add(tomlkit.comment(declared.doc))
            document.add(declared.name, tomlkit.item(_plain(declared.default)))
    text = tomlkit.dumps(document)
    for name, doc in tables(Settings):
        text += f"\n# {doc}\n[{name}]\n"
        for declared in declarations(Settings).values():
            inner = declared.name.removeprefix(f"{name}.")
            if inner != declared.name and "." not in inner:
                text += f"{inner} = {tomlkit.item(_plain(declared.default)).as_string()}  # {declared.doc}\n"
    return tomlkit.parse(text)


def _put(document: tomlkit.TOMLDocument, name: str, value: Any) -> None:
    """Set a value, within the tables that its name says; those that are not there yet are made."""
    *outer, last = name.split(".")
    place: Any = document
    for part in outer:
        if part not in place:
            place[part] = tomlkit.table(is_super_table=part != outer[-1])
        place = place[part]
    place[last] = value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _replace(path: Path, text: str) -> None:
    path = path.resolve()  # a link to a file that is kept elsewhere stays a link
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        try:
            # For the owner only: invites are addresses that others handed on in confidence.
            with open(
                os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise LocalTrouble(
            f"The settings could not be saved in {display(str(path))}: {error.strerror}."
        ) from None
