"""Links that people pass on: to a file, and to an index server.

    magnet:?xt=urn:p2pshare:<file id>&dn=<name>&xl=<size in bytes>
    p2pshare:join?key=<node id of the server>&at=<host:port>&at=<host:port>&name=<its name>&code=<code>

Values are percent-encoded UTF-8; "+" means itself. Scheme and keys may come in either case, ids too. Unknown
keys are ignored, so that links may grow. In a magnet link other networks may add `xt` of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from p2pshare.addresses import Address, format_address, parse_address_untrusted
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.hashing import FileId, format_file_id, parse_file_id_untrusted
from p2pshare.identity import NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.limits import (
    ADDRESSES_MAX,
    FILE_BYTES_MAX,
    INVITE_CODE_BYTES_MAX,
    LINK_BYTES_MAX,
    NAME_BYTES_MAX,
)
from p2pshare.names import has_control_characters, split_path_untrusted

_MAGNET = "magnet:?"
_JOIN = "p2pshare:join?"
_URN = "urn:p2pshare:"
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_LINK_CHARS = re.compile(r"[!-~]*")
_CODE = re.compile(rf"[0-9A-Za-z]{{0,{INVITE_CODE_BYTES_MAX}}}")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class FileLink:
    file_id: FileId
    name: str  # one part of a path, at most NAME_BYTES_MAX bytes; not yet safe for every disk
    size: int  # bytes


@dataclass(frozen=True)
class Invite:
    server: NodeId
    addresses: tuple[Address, ...]  # 1 to ADDRESSES_MAX
    name: str  # of the server, for people; may be empty
    code: str = ""  # lets somebody register where that takes an invite


def format_link(link: FileLink | Invite) -> str:
    """Raises LocalTrouble for a link too long to pass on."""
    if isinstance(link, FileLink):
        text = (
            f"{_MAGNET}xt={_URN}{format_file_id(link.file_id)}&dn={quote(link.name, safe='')}&xl={link.size}"
        )
    else:
        at = "".join(f"&at={quote(format_address(address), safe=':[]')}" for address in link.addresses)
        name = f"&name={quote(link.name, safe='')}" if link.name else ""
        code = f"&code={link.code}" if link.code else ""
        text = f"{_JOIN}key={format_node_id(link.server)}{at}{name}{code}"
    if len(text) > LINK_BYTES_MAX:
        raise LocalTrouble(f"The link would have more than {LINK_BYTES_MAX} characters. Shorten its names.")
    return text


def parse_link_untrusted(text: str) -> FileLink | Invite:
    """Raises BadMessage and nothing else; its text names what is wrong with the link."""
    if len(text) > LINK_BYTES_MAX:
        raise BadMessage(f"The link has more than {LINK_BYTES_MAX} characters.")
    if not _LINK_CHARS.fullmatch(text):
        raise BadMessage("The link contains spaces or other characters that a link cannot have.")
    if text.lower().startswith(_MAGNET):
        return _file_link_untrusted(_values_untrusted(text[len(_MAGNET) :]))
    if text.lower().startswith(_JOIN):
        return _invite_untrusted(_values_untrusted(text[len(_JOIN) :]))
    raise BadMessage(f'This is no link of ours: one starts with "{_MAGNET}" or "{_JOIN}".')


def _file_link_untrusted(values: dict[str, list[str]]) -> FileLink:
    topics = [topic for topic in values.get("xt", []) if topic.lower().startswith(_URN)]
    if len(topics) != 1:
        raise BadMessage(
            f"The link names {len(topics)} files of this network; it must name one, as xt={_URN}..."
        )
    size = _one_untrusted(values, "xl")
    if not _SIZE.fullmatch(size) or int(size) > FILE_BYTES_MAX:
        raise BadMessage(f"The size in the link (xl) is not a number of bytes up to {FILE_BYTES_MAX}.")
    name = _one_untrusted(values, "dn")
    _check_name_untrusted(name, "The name in the link (dn)")
    if len(split_path_untrusted(name)) != 1:
        raise BadMessage('The name in the link (dn) contains "/"; it must be a plain file name.')
    return FileLink(parse_file_id_untrusted(topics[0][len(_URN) :]), name, int(size))


def _invite_untrusted(values: dict[str, list[str]]) -> Invite:
    server = parse_node_id_untrusted(_one_untrusted(values, "key"))
    at = values.get("at", [])
    if not 1 <= len(at) <= ADDRESSES_MAX:
        raise BadMessage(f"The invite has {len(at)} addresses (at); it must have 1 to {ADDRESSES_MAX}.")
    addresses = tuple(parse_address_untrusted(address) for address in at)
    name = _one_untrusted(values, "name") if "name" in values else ""
    if name:
        _check_name_untrusted(name, "The name in the invite")
    code = _one_untrusted(values, "code") if "code" in values else ""
    if not _CODE.fullmatch(code):
        raise BadMessage(
            f"The code in the invite must be at most {INVITE_CODE_BYTES_MAX} letters and digits."
        )
    return Invite(server, addresses, name, code)


def _values_untrusted(query: str) -> dict[str, list[str]]:
    if _BAD_PERCENT.search(query):
        raise BadMessage('The link has a "%" that is not followed by two hexadecimal digits.')
    values: dict[str, list[str]] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        try:
            values.setdefault(key.lower(), []).append(unquote(value, errors="strict"))
        except UnicodeDecodeError:
            raise BadMessage(f'The value of "{key}" in the link is not UTF-8 text.') from None
    return values


def _one_untrusted(values: dict[str, list[str]], key: str) -> str:
    found = values.get(key, [])
    if len(found) != 1:
        raise BadMessage(f'The link has {len(found)} values for "{key}"; it must have one.')
    return found[0]


def _check_name_untrusted(name: str, what: str) -> None:
    if not name or len(name.encode()) > NAME_BYTES_MAX or has_control_characters(name):
        raise BadMessage(f"{what} must be 1 to {NAME_BYTES_MAX} bytes of text without control characters.")
