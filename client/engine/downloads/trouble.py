"""What a person reads when the disk stands in the way of a download."""

from __future__ import annotations

import errno

from p2pshare.errors import LocalTrouble

_GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EBADF}
_NOT_A_FOLDER = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}  # what the systems say of a link, with O_NOFOLLOW
_FULL = {errno.ENOSPC, errno.EDQUOT}


def disk_trouble(error: OSError, name: str, folder: str) -> LocalTrouble:
    """The sentence for an error while `name` is written in `folder`; see `disk_full` for a full disk."""
    code = error.errno
    if code in _GONE:
        what = f"The folder {folder} is not there any more."
        then = f"Put it back, or plug the drive in again; {name} goes on by itself."
    elif code in _NOT_A_FOLDER:
        what = f"{folder} leads through a link or a file, so {name} cannot be saved there."
        then = "Rename what is in the way, or choose another download folder."
    elif code in (errno.EACCES, errno.EPERM):
        what = f"{name} may not be written in {folder}."
        then = "Allow it, or choose another download folder; it goes on by itself."
    elif code == errno.EROFS:
        what = f"The drive of {folder} can only be read."
        then = f"Make it writable, or choose another download folder; {name} goes on by itself."
    elif code == errno.ENAMETOOLONG:
        what = f"The path of {name} in {folder} is too long."
        then = "Choose a download folder nearer the top."
    elif code == errno.EFBIG:
        what = f"{name} is larger than a file may be on the drive of {folder}."
        then = "Choose a folder on another drive."
    elif code == errno.EIO:
        what = f"The drive of {folder} reports an error."
        then = f"Check the drive, or choose another download folder; {name} goes on by itself."
    else:
        what = f"{name} cannot be written in {folder}: {error.strerror or error}."
        then = "It is tried again by itself."
    return LocalTrouble(f"{what} {then}")


def is_full(error: OSError) -> bool:
    return error.errno in _FULL


def disk_full(name: str, folder: str, lacking_bytes: int) -> LocalTrouble:
    lacking = amount(lacking_bytes)
    return LocalTrouble(
        f"The disk is full: {name} needs {lacking} more in {folder}. Free some space, it goes on by itself."
    )


def part_gone(name: str, folder: str) -> LocalTrouble:
    return LocalTrouble(f"The unfinished {name} was deleted from {folder}. It starts anew by itself.")


def amount(size: int) -> str:
    """Bytes for people, rounded up, so that this much is enough."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{-(-size * 10 // unit) / 10:.1f}".removesuffix(".0") + f" {name}"
    return f"{max(1, -(-size // 1000))} kB"
