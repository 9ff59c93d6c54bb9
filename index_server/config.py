"""The settings: default.toml, then the operator's file, then the environment, then the command line.

default.toml names every key, with its default and its meaning; the classes below give its type and bounds.
Whatever is wrong is a `LocalTrouble` that names the key, where it was given, and what is wanted.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NewType

import platformdirs

from p2pshare.addresses import Address, parse_address_untrusted, parse_host_untrusted
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.limits import ADDRESSES_MAX, OFFERS_PER_ACCOUNT_MAX, RULE_TEXT_BYTES_MAX, WISHES_MAX

ENVIRONMENT_PREFIX = "P2PSHARE_INDEX_"
DATA_FOLDER = "p2pshare-index"  # in the usual place for data of a user

Seconds = NewType("Seconds", float)
_UNITS_S = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _number(low: int, high: int) -> Any:
    return dataclasses.field(metadata={"range": (low, high)})


def _text(bytes_max: int) -> Any:
    return dataclasses.field(metadata={"bytes_max": bytes_max})


def _choice(*choices: str) -> Any:
    return dataclasses.field(metadata={"choices": choices})


@dataclass(frozen=True, kw_only=True)
class ServerSection:
    name: str = _text(64)
    public: tuple[str, ...]
    port: int = _number(0, 65_535)  # 0: any free one
    data: str
    welcome: str = _text(4_096)
    hosts: tuple[str, ...]
    announce: bool
    stop_within: Seconds


@dataclass(frozen=True, kw_only=True)
class AccountsSection:
    registration: str = _choice("open", "invite", "closed")
    registrations_per_hour: int = _number(1, 1_000_000)
    offers: int = _number(1, OFFERS_PER_ACCOUNT_MAX)
    wishes: int = _number(0, WISHES_MAX)
    receipts: int = _number(1, 8_000)  # more of RECEIPT_TOTAL_MAX each would not add up within 63 bits


@dataclass(frozen=True, kw_only=True)
class ConnectionsSection:
    total: int = _number(1, 1_000_000)
    per_address: int = _number(1, 1_000_000)
    login_within: Seconds
    logins_per_second: int = _number(1, 100_000)
    grace: Seconds


@dataclass(frozen=True, kw_only=True)
class LimitsSection:
    logins_per_minute: int = _number(1, 1_000_000)
    accounts_per_address: int = _number(1, 1_000_000)
    searches_per_minute: int = _number(1, 1_000_000)
    sources_per_minute: int = _number(1, 1_000_000)
    tickets_per_minute: int = _number(1, 1_000_000)
    lookups_per_minute: int = _number(1, 1_000_000)
    publishes_per_minute: int = _number(1, 1_000_000)
    renames_per_minute: int = _number(1, 1_000_000)
    receipt_reports_per_minute: int = _number(1, 1_000_000)
    wish_changes_per_minute: int = _number(1, 1_000_000)
    wish_hits_per_minute: int = _number(1, 1_000_000)
    record_pages_per_minute: int = _number(1, 1_000_000)
    erasures_per_minute: int = _number(1, 60)
    moderation_per_minute: int = _number(1, 1_000_000)
    port_tests_per_minute: int = _number(1, 60)
    port_tests: int = _number(1, 10_000)


@dataclass(frozen=True, kw_only=True)
class WebSection:
    host: str
    port: int = _number(0, 65_535)  # 0: none


@dataclass(frozen=True, kw_only=True)
class RulesSection:
    owners: tuple[str, ...]
    appeal: str = _text(RULE_TEXT_BYTES_MAX)

    def owner_keys(self) -> frozenset[NodeId]:
        return frozenset(map(parse_node_id_untrusted, self.owners))


@dataclass(frozen=True, kw_only=True)
class LogSection:
    format: str = _choice("text", "json")
    level: str = _choice("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Config:
    server: ServerSection
    accounts: AccountsSection
    connections: ConnectionsSection
    limits: LimitsSection
    web: WebSection
    rules: RulesSection
    log: LogSection

    @property
    def data_folder(self) -> Path:
        """Where the key and the database are."""
        if self.server.data:
            return Path(self.server.data).expanduser()
        return platformdirs.user_data_path(DATA_FOLDER, appauthor=False)

    def public_addresses(self, port: int) -> tuple[Address, ...]:
        """The addresses for the invite, those without a port with this one."""
        return tuple(_address(text, port) for text in self.server.public)


# --- reading ---------------------------------------------------------------------------------------------


@cache
def default_text() -> str:
    """default.toml: every key with its default and its meaning."""
    return resources.files("index_server").joinpath("default.toml").read_text(encoding="utf-8")


def load_config(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """`flags` are texts by "section.key". Raises `LocalTrouble`."""
    values = _read_untrusted(tomllib.loads(default_text()), "default.toml", Path())
    if file is not None:
        values |= _read_untrusted(_parse(file), str(file), file.parent)
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX):
            key = _key_of(name)
            values[key] = _value_untrusted(key, text, name, Path())
    for key, text in flags.items():
        values[key] = _value_untrusted(key, text, flag_of(key), Path())
    return Config(
        **{
            section: hint(**{field: values[f"{section}.{field}"] for field in typing.get_type_hints(hint)})
            for section, hint in typing.get_type_hints(Config).items()
        }
    )


@cache
def keys() -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """Every key as "section.key": its type and its bounds, in the order of default.toml."""
    found: dict[str, tuple[Any, Mapping[str, Any]]] = {}
    for section, section_class in typing.get_type_hints(Config).items():
        hints = typing.get_type_hints(section_class)
        for field in dataclasses.fields(section_class):
            found[f"{section}.{field.name}"] = (hints[field.name], field.metadata)
    return found


@cache
def meanings() -> dict[str, str]:
    """The comment above every key in default.toml."""
    found: dict[str, str] = {}
    section, comment = "", list[str]()
    for line in default_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("#"):
            comment.append(line[2:])
        elif not line:
            comment = []
        else:
            found[f"{section}.{line.split(' = ')[0]}"] = " ".join(comment)
    return found


def flag_of(key: str) -> str:
    """The command-line option of a key."""
    return "--" + re.sub("[._]", "-", key)


def _key_of(name: str) -> str:
    """The key that an environment variable names."""
    known = {ENVIRONMENT_PREFIX + key.replace(".", "_").upper(): key for key in keys()}
    if name not in known:
        raise LocalTrouble(f"The environment variable {name} means nothing here.{_suggestion(name, known)}")
    return known[name]


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LocalTrouble(f"The settings in {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise LocalTrouble(f"{file} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise LocalTrouble(f"{file} is not a TOML file: {error}.") from None


def _read_untrusted(document: dict[str, Any], where: str, folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    sections = {key.partition(".")[0] for key in keys()}
    for section, content in document.items():
        if section not in sections or not isinstance(content, dict):
            raise LocalTrouble(f"{where}: there is no section [{section}].{_suggestion(section, sections)}")
        names = [key.partition(".")[2] for key in keys() if key.startswith(f"{section}.")]
        for name, value in content.items():
            if name not in names:
                raise LocalTrouble(f'{where}: [{section}] has no key "{name}".{_suggestion(name, names)}')
            key = f"{section}.{name}"
            values[key] = _value_untrusted(key, value, f"{where}, [{section}] {name}", folder)
    return values


def _suggestion(unknown: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(unknown, list(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else " See --print-config for all there is."


# --- values ----------------------------------------------------------------------------------------------


def _value_untrusted(key: str, value: Any, where: str, folder: Path) -> Any:
    """A value as the type of its key wants it: from TOML, or from the text of a flag or variable."""
    hint, bounds = keys()[key]
    try:
        if hint is Seconds:
            return _seconds(value)
        if hint is bool:
            return _truth(value)
        if hint is int:
            return _whole_number(value, *bounds["range"])
        if hint == tuple[str, ...]:
            return _LISTS.get(key, _addresses)(value)
        if key == "web.host":
            return _hosts([_string(value)])[0]
        if key == "server.data":
            return str(folder / Path(_string(value)).expanduser()) if value else ""
        return _chosen(_string(value), bounds)
    except ValueError as error:
        raise LocalTrouble(f"{where}: {error}") from None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes is wanted.")
    return value


def _chosen(text: str, bounds: Mapping[str, Any]) -> str:
    if "choices" in bounds and text not in bounds["choices"]:
        raise ValueError(f'"{text}" is none of {", ".join(bounds["choices"])}.')
    if "bytes_max" in bounds and len(text.encode()) > bounds["bytes_max"]:
        raise ValueError(f"the text has more than {bounds['bytes_max']} bytes.")
    return text


def _truth(value: Any) -> bool:
    truth = _TRUTHS.get(str(value).lower())
    if truth is None:
        raise ValueError("true or false is wanted.")
    return truth


def _whole_number(value: Any, low: int, high: int) -> int:
    try:
        number = value if type(value) is int else int(_string(value))
    except ValueError:
        raise ValueError("a whole number is wanted.") from None
    if not low <= number <= high:
        raise ValueError(f"{number} is not within {low} to {high}.")
    return number


def _seconds(value: Any) -> Seconds:
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError('a duration is wanted, such as "90 s", "15 min", "2 h" or "7 d".')
    return Seconds(float(match[1]) * _UNITS_S[match[2]])


def _list(value: Any) -> list[str]:
    if isinstance(value, str):  # from a flag or a variable
        return [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, list):
        raise ValueError('a list is wanted, as in ["one", "two"].')
    return [_string(item) for item in value]


def _hosts(value: Any) -> tuple[str, ...]:
    try:
        return tuple(parse_host_untrusted(item) for item in _list(value))
    except BadMessage as error:
        raise ValueError(error.text) from None


def _keys(value: Any) -> tuple[str, ...]:
    try:
        return tuple(format_node_id(parse_node_id_untrusted(item)) for item in _list(value))
    except BadMessage as error:
        raise ValueError(f"{error.text} `p2pshare status --json` shows yours.") from None


def _addresses(value: Any) -> tuple[str, ...]:
    items = _list(value)
    if len(items) > ADDRESSES_MAX:
        raise ValueError(f"at most {ADDRESSES_MAX} addresses fit an invite.")
    for item in items:
        _address(item, 1)
    return tuple(items)


def _address(text: str, port: int) -> Address:
    """host, host:port, [v6]:port or a bare v6."""
    try:
        try:
            return Address(parse_host_untrusted(text), port)
        except BadMessage:
            return parse_address_untrusted(text)
    except BadMessage as error:
        raise ValueError(f'"{text}": {error.text}') from None


_LISTS = {"server.hosts": _hosts, "rules.owners": _keys}
