"""The connections to one source, among which requests are divided.

A system lets only so many bytes be on their way in one connection. Far away, that is less than the line could
carry; then every further connection carries as much again. One is opened on trial, and kept if more arrives.
"""

from __future__ import annotations

from client.engine.network.peers import PeerLink
from p2pshare.limits import KIB

PATHS_MAX = 4  # what Syncthing and download accelerators found to be enough, and polite
FAR_S = 0.02  # from asking to an answer; nearer by, no window is too small
UNDER_WAY_BYTES = 128 * KIB  # with less than this on its way, another limit than the window holds
TRIAL_S = 3.0  # how long what arrives is measured, before and with another connection
WORTH = 1.15  # how many times as much must arrive for it to be kept
PAUSE_S = 60.0  # before another trial, after one that was of no use


class Paths:
    """The open connections and the pieces asked over each."""

    def __init__(self, main: PeerLink) -> None:
        self.main = main
        self._asked = {main: 0}

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, link: PeerLink) -> None:
        self._asked[link] = 0

    def remove(self, link: PeerLink) -> None:
        """It is over. The main one stays: without it there is no source."""
        if link is not self.main:
            self._asked.pop(link, None)

    def choose(self) -> PeerLink:
        """The one over which the least is asked for."""
        return min(self._asked, key=self._asked.__getitem__)

    def asked(self, link: PeerLink, pieces: int) -> None:
        """So many more were asked for; fewer, if negative."""
        if link in self._asked:
            self._asked[link] += pieces


def may_gain(answered_s: float, bytes_per_s: float) -> bool:
    """Whether another connection is worth a trial, by how soon a question is answered and what arrives."""
    return answered_s >= FAR_S and bytes_per_s * answered_s >= UNDER_WAY_BYTES
