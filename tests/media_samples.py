"""Small media files with tags, made on the spot."""

from __future__ import annotations

import io
import struct
import wave
import zlib


def wav(seconds: int = 2) -> bytes:
    """Uncompressed sound."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(2 * 8_000 * seconds))
    return buffer.getvalue()


def flac(seconds: int = 3, **comments: str) -> bytes:
    """The head of a FLAC file, which says everything about it."""
    rate, channels, bits = 44_100, 2, 16
    packed = (rate << 44) | ((channels - 1) << 41) | ((bits - 1) << 36) | (rate * seconds)
    info = struct.pack(">HH", 4_096, 4_096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    entries = [f"{key}={value}".encode() for key, value in comments.items()]
    words = struct.pack("<I", 4) + b"test" + struct.pack("<I", len(entries))
    words += b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    return b"fLaC\x00" + len(info).to_bytes(3, "big") + info + b"\x84" + len(words).to_bytes(3, "big") + words


def mp3(seconds: int = 2, **frames: str) -> bytes:
    """Silence at 128 kbit/s behind an ID3 tag."""
    body = b""
    for name, text in frames.items():
        data = b"\x01" + text.encode("utf-16")
        body += name.encode() + struct.pack(">IH", len(data), 0) + data
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    one = b"\xff\xfb\x90\x64" + bytes(413)
    return b"ID3\x03\x00\x00" + size + body + one * (seconds * 38)


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes(width)) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
