"""What a media file says of itself: title, artist, length, picture size. Through libmediainfo (pymediainfo).

One library reads audio, video and pictures. It is C++ and meets files of strangers, as finished downloads are
shared, too: of some thousand damaged files that were tried, one crashed it and one kept it busy for half a
minute. So the engine never calls it. `tag_worker.py` does, in a process of its own that may be lost.
"""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from pymediainfo import MediaInfo

from p2pshare.limits import KIB, MIB, TAG_TEXT_BYTES_MAX
from p2pshare.wire.fields import NO_TAGS, Tags

READ_BYTES_MAX = 64 * MIB  # of one file: headers, indexes and cover pictures are found in far less
_JOINERS = "\u200c\u200d"  # invisible, but parts of Persian and Indic words
# libmediainfo does not say of these that they are lossless; of formats that can be either it does.
_ALWAYS_LOSSLESS = {"PCM", "ALAC", "DSD", "TTA"}


def read_tags(file: BinaryIO) -> Tags:
    """What the file says. May crash or never return: see above. Junk says nothing."""
    try:
        # Each buffer is parsed to its end even when its beginning said all, so small ones are fast.
        report = MediaInfo.parse(
            _Bounded(file), output="JSON", full=False, parse_speed=0, buffer_size=16 * KIB
        )
        return tags_of(json.loads(str(report), strict=False))
    except (ValueError, RuntimeError):
        return NO_TAGS


class _Bounded:
    """The file, which seems to end once too much of it was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = READ_BYTES_MAX
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def tags_of(report: Any) -> Tags:
    """The tags in libmediainfo's JSON, within the limits of the wire."""
    tracks = (report.get("media") or {}).get("track") or []
    general = _first(tracks, "General")
    audio, video, picture = _first(tracks, "Audio"), _first(tracks, "Video"), _first(tracks, "Image")
    extra = general.get("extra") or {}
    shown = video or picture
    rate = general.get("OverallBitRate") if video else audio.get("BitRate") or general.get("OverallBitRate")
    mode = audio.get("Compression_Mode")
    return Tags(
        title=_text(general.get("Title") or general.get("Track") or general.get("Movie")),
        artist=_text(general.get("Performer") or extra.get("ARTIST") or general.get("Director")),
        album=_text(general.get("Album") or extra.get("ALBUM")),
        track=_number(general.get("Track_Position") or general.get("Part_Position"), 65_535),
        year=_year(general.get("Recorded_Date") or general.get("Released_Date") or extra.get("DATE")),
        length_s=_number(general.get("Duration"), 2**31 - 1),
        bitrate_kbps=_number(rate, 2**31 - 1, unit=1_000),
        lossless=mode == "Lossless" or (not mode and audio.get("Format") in _ALWAYS_LOSSLESS),
        width=_number(shown.get("Width"), 2**20),
        height=_number(shown.get("Height"), 2**20),
    )


def _first(tracks: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((track for track in tracks if track.get("@type") == kind), {})


def _text(value: Any) -> str:
    """One line without anything invisible, cut between two characters."""
    text = value if isinstance(value, str) else ""
    try:
        # RIFF and AIFF do not say how their text is encoded. What is UTF-8 by chance is UTF-8 on purpose.
        text = text.encode("latin-1").decode()
    except UnicodeError:
        pass
    text = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join(text.split()).encode()[:TAG_TEXT_BYTES_MAX].decode(errors="ignore").rstrip()


def _number(value: Any, high: int, unit: int = 1) -> int:
    """The first number in the text, in units; 0 if there is none or it is out of all proportion."""
    match = re.match(r"\s*(\d{1,18}(?:\.\d+)?)", str(value))
    number = round(float(match.group(1)) / unit) if match else 0
    return number if number <= high else 0


def _year(value: Any) -> int:
    match = re.search(r"(?<!\d)\d{4}(?!\d)", str(value))
    return int(match.group()) if match else 0
