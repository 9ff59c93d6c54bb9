"""One end of a BitTorrent transfer, for an interpreter that has libtorrent (see torrent.py).

    python torrent_end.py seed|fetch TORRENT FOLDER HOST PORT rc4|plain

The seed says its port and runs until it is ended. The other end fetches once for each line on its input and
says how many seconds that took, from the request to the complete file.
"""

from __future__ import annotations

import sys
import time

import libtorrent  # type: ignore[import-not-found,unused-ignore]

PAUSE_MS = 10


def session(host: str, rc4: bool) -> libtorrent.session:
    """As it comes, but with TCP only, on this machine only, and nobody else is looked for."""
    policy = libtorrent.enc_policy.forced if rc4 else libtorrent.enc_policy.disabled
    return libtorrent.session(
        {
            "listen_interfaces": f"{host}:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_incoming_utp": False,
            "enable_outgoing_utp": False,
            "allow_multiple_connections_per_ip": True,
            "out_enc_policy": policy,
            "in_enc_policy": policy,
            "allowed_enc_level": libtorrent.enc_level.rc4 if rc4 else libtorrent.enc_level.plaintext,
            "alert_mask": libtorrent.alert.category_t.storage_notification,
        }
    )


def adding(torrent: str, folder: str) -> libtorrent.add_torrent_params:
    """Neither paused nor waiting in a queue."""
    wanted = libtorrent.load_torrent_file(torrent)
    wanted.save_path = folder
    wanted.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    return wanted


def seed(own: libtorrent.session, torrent: str, folder: str) -> None:
    wanted = adding(torrent, folder)
    wanted.flags |= libtorrent.torrent_flags.seed_mode
    own.add_torrent(wanted)
    print(own.listen_port(), flush=True)
    while True:
        time.sleep(60)


def fetch(own: libtorrent.session, torrent: str, folder: str, seed_at: tuple[str, int]) -> None:
    print("ready", flush=True)
    for _ in sys.stdin:
        own.pop_alerts()
        began = time.perf_counter()
        handle = own.add_torrent(adding(torrent, folder))
        handle.connect_peer(seed_at)
        while not handle.status().is_seeding:
            own.wait_for_alert(PAUSE_MS)
            own.pop_alerts()
        handle.flush_cache()  # it says that it has everything before everything is in the file
        while not any(isinstance(each, libtorrent.cache_flushed_alert) for each in own.pop_alerts()):
            own.wait_for_alert(PAUSE_MS)
        print(time.perf_counter() - began, flush=True)
        own.remove_torrent(handle)


def main() -> None:
    role, torrent, folder, host, port, cipher = sys.argv[1:]
    own = session(host, cipher == "rc4")
    if role == "seed":
        seed(own, torrent, folder)
    else:
        fetch(own, torrent, folder, (host, int(port)))


if __name__ == "__main__":
    main()
