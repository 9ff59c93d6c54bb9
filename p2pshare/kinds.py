"""What kind of file an extension says it is. One table for every client and index server."""

from __future__ import annotations

from enum import IntEnum


class FileKind(IntEnum):
    """A coarse class for filters. An extension is a claim of its owner, never a promise."""

    OTHER = 0
    AUDIO = 1
    VIDEO = 2
    PICTURE = 3
    DOCUMENT = 4
    ARCHIVE = 5
    PROGRAM = 6


EXTENSIONS: dict[FileKind, str] = {
    FileKind.AUDIO: "aac ac3 aif aiff alac ape dsf dts flac it m3u m3u8 m4a m4b mid midi mka mod mp2 mp3 mpc"
    " oga"
    " ogg opus ra s3m spx tak tta wav wma wv xm",
    FileKind.VIDEO: "3gp asf avi divx flv m2ts m4v mk3d mkv mov mp4 mpeg mpg mts ogm ogv qt rm rmvb srt ssa"
    " sub"
    " swf ts vob webm wmv",
    FileKind.PICTURE: "avif bmp cr2 dng gif heic heif ico jpe jpeg jpg jxl kra nef orf png psd raw svg tga"
    " tif"
    " tiff webp xcf",
    FileKind.DOCUMENT: "azw azw3 cbr cbz chm csv djvu doc docx epub fb2 htm html log md mobi nfo odp ods odt"
    " pdf"
    " ppt pptx ps rtf tex txt xls xlsx xml",
    FileKind.ARCHIVE: "7z ace arj bz2 cab gz img iso jar lha lz lz4 lzma nrg rar sfv tar tbz2 tgz txz xz z"
    " zip zst",
    FileKind.PROGRAM: "apk app bat bin cmd com deb dmg elf exe flatpak msi pkg ps1 py rpm run sh snap vbs",
}

_KIND_OF = {extension: kind for kind, words in EXTENSIONS.items() for extension in words.split()}


def extension_of(name: str) -> str:
    """The lower-case extension of a file name without its dot; "" if there is none that could be one."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem.strip("./") or not extension.isalnum() or len(extension.encode()) > 16:
        return ""
    return extension.lower()


def kind_of(name: str) -> FileKind:
    """The kind that a file name claims."""
    return _KIND_OF.get(extension_of(name), FileKind.OTHER)
