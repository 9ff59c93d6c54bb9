"""What a person can choose, kept in `settings.toml` of the profile.

Each setting is declared once, with its default, its rule and its comment; the file's first version is written
from these declarations. Later only changed values are replaced, so that what the person wrote there stays.
"""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.links import Invite, parse_link_untrusted
from p2pshare.names import display, nick_problem

UPLOAD_SLOTS_MAX = 100  # people served at once; more share one uplink than can be of use to any
RATE_MAX_KIB_S = 1 << 30  # a TiB per second
SETTINGS_BYTES_MAX = 1 << 20  # a file written by a person

_TITLE = "Settings of p2pshare. Changes take effect at the next start."


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


def _setting(default: Any, doc: str, problem: Callable[[Any], str | None] = lambda value: None) -> Any:
    """`problem` says in a sentence what is wrong with a value of the right type, or None."""
    return field(default=default, metadata={"doc": doc, "problem": problem})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a person can choose. Rates in KiB per second, 0 for no limit."""

    nick: str = _setting(
        "", "Your name on the network, 2 to 32 letters and digits.", lambda nick: nick and nick_problem(nick)
    )
    download_folder: str = _setting(
        "downloads",
        "Where finished downloads go. ~ is your home folder; a relative path starts at this file's folder.",
        lambda folder: None if folder else "Name a folder.",
    )
    share_downloads: bool = _setting(True, "Share finished downloads onward. This is what keeps files alive.")
    servers: tuple[str, ...] = _setting(
        (), "Index servers, as invite links. `p2pshare join LINK` adds one here.", _invites
    )
    listen_port: int = _setting(
        0,
        "TCP port that others connect to. 0 chooses one at the next start and keeps it here.",
        _between(0, 65_535),
    )
    upload_slots: int = _setting(
        4, "How many people are served at the same time.", _between(1, UPLOAD_SLOTS_MAX)
    )
    upload_rate: int = _setting(
        0, "Upload at most this many KiB per second; 0 for no limit.", _between(0, RATE_MAX_KIB_S)
    )
    download_rate: int = _setting(
        0, "Download at most this many KiB per second; 0 for no limit.", _between(0, RATE_MAX_KIB_S)
    )
    lan: bool = _setting(
        True, "Find people and index servers on the local network, and be found there (key, port and nick)."
    )
    lan_without_ticket: bool = _setting(
        True, "Let people on the local network connect without being introduced by an index server."
    )
    share_hidden_files: bool = _setting(False, "Share files and folders whose name begins with a dot.")
    exclude: tuple[str, ...] = _setting(
        ("*.part", "*.crdownload", "*.tmp", "~$*", "Thumbs.db", "desktop.ini"),
        "Never share what fits one of these patterns, written as in a .gitignore file.",
        lambda patterns: None if all(patterns) else "An empty pattern fits nothing; leave it out.",
    )


_TYPES = get_type_hints(Settings)
_WORDS = {str: "a text in quotes", bool: "true or false", int: "a whole number", tuple: "a list of texts"}


def load_settings(path: Path) -> Settings:
    """Raises LocalTrouble with the name of the file and what is wrong in it."""
    try:
        return _understood(_document(path).unwrap())
    except _Unfit as error:
        raise LocalTrouble(f"The settings in {display(str(path))} cannot be used: {error}") from None


def save_settings(path: Path, settings: Settings) -> None:
    """Writes the changed values, keeps everything else in the file, and replaces it in one step.

    Raises LocalTrouble: a value breaks its rule, or the file cannot be read or written.
    """
    wanted = {setting.name: _plain(getattr(settings, setting.name)) for setting in fields(Settings)}
    try:
        _understood(wanted)
        document = _document(path) if path.exists() else _first_version()
        present = _understood(document.unwrap())
    except _Unfit as error:
        raise LocalTrouble(f"The settings in {display(str(path))} cannot be saved: {error}") from None
    for name, value in wanted.items():
        if _plain(getattr(present, name)) != value:
            document[name] = value
    _replace(path, tomlkit.dumps(document))


class _Unfit(ValueError):
    """A value that breaks a declaration, in a sentence."""


def _understood(values: dict[str, Any]) -> Settings:
    """Typed settings from what a TOML file says. Raises _Unfit."""
    declared = {setting.name: setting for setting in fields(Settings)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else f" There are: {', '.join(declared)}."
            raise _Unfit(f'there is no setting "{display(name)}".{hint}')
        kind = get_origin(_TYPES[name]) or _TYPES[name]
        if kind is tuple and isinstance(value, list) and all(type(part) is str for part in value):
            value = tuple(value)
        if type(value) is not kind:
            raise _Unfit(f'"{name}" must be {_WORDS[kind]}.')
        if problem := declared[name].metadata["problem"](value):
            raise _Unfit(f'"{name}" does not fit. {problem}')
        chosen[name] = value
    return Settings(**chosen)


def _document(path: Path) -> tomlkit.TOMLDocument:
    """Raises LocalTrouble or _Unfit."""
    try:
        with path.open("rb") as file:
            data = file.read(SETTINGS_BYTES_MAX + 1)
        if len(data) > SETTINGS_BYTES_MAX:
            raise _Unfit("the file is far too large for settings.")
        return tomlkit.parse(data.decode())
    except OSError as error:
        raise LocalTrouble(
            f"The settings in {display(str(path))} cannot be read: {error.strerror}."
        ) from None
    except UnicodeDecodeError:
        raise _Unfit("the file is not UTF-8 text.") from None
    except ParseError as error:
        raise _Unfit(f"line {error.line} is not valid TOML ({display(str(error))}).") from None
    except TOMLKitError as error:
        raise _Unfit(f"it is not valid TOML ({display(str(error))}).") from None


def _first_version() -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    document.add(tomlkit.comment(_TITLE))
    for setting in fields(Settings):
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(setting.metadata["doc"]))
        document.add(setting.name, tomlkit.item(_plain(setting.default)))
    return document


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
