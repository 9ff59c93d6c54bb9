"""Every program that ours is compared with."""

from scripts.bench.programs import direct_connect, ssh, syncthing, torrent, web, wormhole

OTHERS = (
    syncthing.PROGRAM,
    wormhole.PROGRAM,
    *ssh.PROGRAMS,
    *torrent.PROGRAMS,
    *direct_connect.PROGRAMS,
    *web.PROGRAMS,
)
