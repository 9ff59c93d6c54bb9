"""libtorrent doing the same: a process of its own with one session for each person. Prints JSON.

Everybody is told of everybody at the start, which is the best a tracker could do; TCP only; its own choice of
slots and of pieces; local connections are held to the limits like all others.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent as lt

PATIENCE_S = 1_200.0
LOOK_EVERY_S = 0.25
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "connection_speed": 200,
    "alert_mask": 0,
}


def main(folder: Path, people: int, uplink: int, piece_size: int) -> None:
    [path] = (folder / "seed").iterdir()
    torrent = make_torrent(path, piece_size)
    sessions = [session(uplink) for _ in range(people + 1)]
    handles = []
    for number, each in enumerate(sessions):
        place = folder / ("seed" if number == 0 else f"lt{number}")
        place.mkdir(exist_ok=True)
        params = lt.add_torrent_params()
        params.ti = torrent
        params.save_path = str(place)
        handles.append(each.add_torrent(params))
    while handles[0].status().progress < 1:
        time.sleep(0.05)
    for handle in handles[1:]:
        while str(handle.status().state) != "downloading":
            time.sleep(0.02)
    began = time.monotonic()
    for number, handle in enumerate(handles[1:], start=1):
        for other, each in enumerate(sessions):
            if other != number:
                handle.connect_peer(("127.0.0.1", each.listen_port()))
    print(json.dumps(watch(handles, began, path.stat().st_size)))


def make_torrent(path: Path, piece_size: int) -> Any:
    made = lt.create_torrent(lt.list_files(str(path)), piece_size, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(path.parent))
    return lt.torrent_info(lt.bdecode(lt.bencode(made.generate())))


def session(uplink: int) -> Any:
    made = lt.session({**SETTINGS, "listen_interfaces": "127.0.0.1:0", "upload_rate_limit": uplink})
    everybody = lt.ip_filter()  # no exception for the local network
    everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
    made.set_peer_class_filter(everybody)
    return made


def watch(handles: list[Any], began: float, size: int) -> dict[str, Any]:
    finished: dict[int, float] = {}
    growth = []
    all_out_bytes = 0
    while len(finished) < len(handles) - 1:
        time.sleep(LOOK_EVERY_S)
        now = time.monotonic() - began
        if now > PATIENCE_S:
            raise SystemExit("libtorrent did not finish")
        views = [handle.status() for handle in handles]
        growth.append((now, sum(view.total_wanted_done for view in views[1:]) / size))
        for number, view in enumerate(views[1:], start=1):
            if view.is_seeding:
                finished.setdefault(number, now)
        pieces = [view.pieces for view in views[1:]]
        if not all(any(column) for column in zip(*pieces, strict=True)):
            all_out_bytes = views[0].total_payload_upload
    wasted = sum(handle.status().total_redundant_bytes for handle in handles[1:])
    return {
        "finished": list(finished.values()),
        "growth": growth,
        "wasted": wasted,
        "seed_bytes": all_out_bytes,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
