"""Things that Linux can do and Python's `os` cannot ask for. Elsewhere all answer False."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Any

_RENAME_NOREPLACE = 1
CAN_NAME_THE_UNNAMED = hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")
_NOT_HERE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # this kernel or this file system cannot


def _function(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), name, None)  # musl has no renameat2


_fallocate = _function("fallocate64") or _function("fallocate")
_renameat2 = _function("renameat2")
_syncfs = _function("syncfs")
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def reserve(fd: int, size: int) -> bool:
    """Give the file `size` bytes of the disk. False if that cannot be had here. Raises OSError.

    `os.posix_fallocate` would write into every block where the file system cannot reserve: minutes for a
    large file.
    """
    return _fallocate is not None and _done(_fallocate(fd, 0, 0, size))


def rename_without_replacing(folder: int, old: str, new: str) -> bool:
    """Rename within an open folder. False if that cannot be had here.

    Raises OSError; FileExistsError if `new` exists.
    """
    return _renameat2 is not None and _done(
        _renameat2(folder, os.fsencode(old), folder, os.fsencode(new), _RENAME_NOREPLACE)
    )


def sync_file_system(fd: int) -> bool:
    """Everything that was written to the file system of `fd` is on the disk when this returns. False if that
    cannot be had here. Raises OSError."""
    return _syncfs is not None and _done(_syncfs(fd))


def _done(result: int) -> bool:
    if result == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_HERE:
        return False
    raise OSError(code, os.strerror(code))
