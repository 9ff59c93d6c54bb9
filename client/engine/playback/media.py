"""What a browser is told about a file: its type and its name. Pure.

Whatever is not sound, picture, film or subtitle is only ever saved, never shown: a page or a script of a
stranger must not come to life at an address of this machine.
"""

from __future__ import annotations

from urllib.parse import quote

from p2pshare.names import safe_leaf_name

SAVED_ONLY = "application/octet-stream"

TYPES = {
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "ape": "audio/x-ape",
    "apng": "image/apng",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "dts": "audio/vnd.dts",
    "flac": "audio/flac",
    "flv": "video/x-flv",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "m2ts": "video/mp2t",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "m4v": "video/mp4",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mts": "video/mp2t",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "png": "image/png",
    "srt": "application/x-subrip",
    "ts": "video/mp2t",
    "vob": "video/mpeg",
    "vtt": "text/vtt",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "wma": "audio/x-ms-wma",
    "wmv": "video/x-ms-wmv",
    "wv": "audio/x-wavpack",
}


def media_type(name: str) -> str:
    """By the ending of the name."""
    return TYPES.get(name.rpartition(".")[2].casefold(), SAVED_ONLY)


def disposition(name: str) -> str:
    """The Content-Disposition header: shown or saved, and under which name."""
    name = safe_leaf_name(name)
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    kind = "attachment" if media_type(name) == SAVED_ONLY else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def address_part(name: str) -> str:
    """The name as the last part of an address; players show it, and some go by its ending."""
    return quote(safe_leaf_name(name), safe="")
