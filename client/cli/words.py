"""Numbers, times and states in the words of a person. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import click

from client.engine.status import (
    AnnouncementView,
    DownloadState,
    DownloadView,
    Priority,
    ServerView,
    TagsView,
)
from p2pshare.names import display

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|sec|m|min|h|)")
_CLOCK = re.compile(r"(?:(\d{1,5}):)?(\d{1,5}):(\d\d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def notices(server: ServerView) -> Iterator[str]:
    """What the operator of an index server says: the message of the day, and announcements."""
    yield from map(display, server.welcome.splitlines())
    yield from map(announcement, server.announcements)


def announcement(said: AnnouncementView) -> str:
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(said.at))
    return f"{at}: {' '.join(map(display, said.text.splitlines()))}"


def size(count: float) -> str:
    """1536 -> "1.5 kB". Units of 1000, as file managers and internet providers count."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    digits = 0 if unit == 0 or count >= 99.95 else 1
    return f"{count:.{digits}f} {_UNITS[unit]}"


def rate(bytes_per_s: float) -> str:
    return f"{size(bytes_per_s)}/s"


def span(seconds: float | None) -> str:
    """How long: "45 s", "3:07 min", "2:05 h", "4 days"; "" if unknown."""
    if seconds is None or seconds < 0:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02} h"
    return f"{whole // 86_400} days"


def took(seconds: float, count: int) -> str:
    """How long something took that is over, and how fast it was."""
    exact = f"{seconds:.1f} s" if seconds < 10 else span(seconds)
    return f"in {exact}, {rate(count / seconds)}" if seconds >= 0.05 else f"in {exact}"


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 file", "3 files"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(done: int, whole: int) -> str:
    """Never 100 % before it is all there."""
    return f"{done * 100 // whole if whole else 100} %"


def about(kind: str, tags: TagsView) -> str:
    """What a file says of itself, in one line: "Band - Song · 3:45 · 320 kbit/s"."""
    parts = [" - ".join(display(text) for text in (tags.artist, tags.title) if text)]
    if tags.length_s:
        minutes, seconds = divmod(tags.length_s, 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}")
    if tags.lossless:
        parts.append("lossless")
    elif tags.bitrate_kbps and kind == "audio":
        parts.append(f"{tags.bitrate_kbps} kbit/s")
    if tags.width and tags.height:
        parts.append(f"{tags.width}x{tags.height}")
    return " · ".join(part for part in parts if part) or kind


def name(view: DownloadView) -> str:
    """A folder ends with a slash."""
    return display(view.name) + ("/" if view.files else "")


def done(view: DownloadView) -> str:
    """How much is here: "45 %"; of a folder, "45 %, 120 of 300 files"."""
    part = percent(view.done_bytes, view.size)
    return f"{part}, {view.files_done:,} of {count(view.files, 'file')}" if view.files else part


def speed(view: DownloadView) -> str:
    """How a running download gets on: "45 %, 3.1 MB/s from 3 sources, 12 s left"."""
    busy = sum(source.state == "downloading" for source in view.sources)
    parts = [done(view), f"{rate(view.rate)} from {count(busy, 'source')}"]
    if view.eta_s is not None:
        parts.append(f"{span(view.eta_s)} left")
    return ", ".join(parts)


def progress(view: DownloadView) -> str:
    """How a download stands, in one line."""
    parts: list[str] = [view.state.value]
    waiting = [source for source in view.sources if source.state == "queued"]
    if view.state is DownloadState.RUNNING:
        parts.append(speed(view))
    elif view.state is not DownloadState.COMPLETE:
        parts.append(done(view))
    if view.state is DownloadState.QUEUED and waiting:
        first = min(waiting, key=lambda source: source.position)
        parts.append(f"number {first.position} in the queue of {display(first.nick)}")
        if first.wait_s:
            parts.append(f"about {span(first.wait_s)} to wait")
    if liars := [display(source.nick) for source in view.sources if source.state == "lied"]:
        parts.append(f"{', '.join(liars)} sent wrong data and is asked no more")
    if view.priority is not Priority.NORMAL and view.state is not DownloadState.COMPLETE:
        parts.append(f"{view.priority} priority")
    if view.problem:
        parts.append(display(view.problem))
    return ", ".join(parts)


def parse_size(text: str) -> int:
    """ "700k", "1.5 GB" or "4GiB" in bytes; for options of click."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no size. Write it as 700k, 1.5GB or 4GiB.")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))


def parse_length(text: str) -> int:
    """ "90", "3min", "3:45" or "1:02:03" in seconds; for options of click."""
    if match := _LENGTH.fullmatch(text.strip()):
        return int(float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2][:1]])
    if clock := _CLOCK.fullmatch(text.strip()):
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + int(clock[3])
    raise click.BadParameter(f"{text!r} is no length. Write it as 90s, 3min or 3:45.")
