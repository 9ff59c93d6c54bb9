"""What `import p2pshare` offers to somebody who writes a bot."""

from __future__ import annotations

import p2pshare


def test_every_public_name_is_there_and_listed() -> None:
    missing = [name for name in p2pshare.__all__ if not hasattr(p2pshare, name)]
    assert missing == []
    offered = {
        name
        for name, value in vars(p2pshare).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("p2pshare.")
    }
    assert offered - set(p2pshare.__all__) == set(), "list them in __all__, or import them under another name"


def test_no_public_name_is_listed_twice() -> None:
    assert len(set(p2pshare.__all__)) == len(p2pshare.__all__)
