"""A long wire between two network namespaces: every packet comes out later, and no faster than the rate.

    python wire.py NAMESPACE ADDRESS NAMESPACE ADDRESS ONE_WAY_MS MBIT_PER_S QUEUE_MS      (as root)

It stands in for the kernel's netem, which not every kernel has. Packets are read from a tunnel device in one
namespace and written to one in the other, segments of one stream still joined (as a network card with
segmentation offload sees them), so a gigabit costs little. What has to queue for longer is dropped.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
CHECKSUMS, SEGMENTS_IPV4 = 1, 2
CLONE_NEWNET = 0x40000000
HEADER_BYTES = 10  # says how the segments are joined; it is not on the wire
PACKET_BYTES_MAX = (1 << 16) + HEADER_BYTES
IDLE_S = 1.0


@contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Networks of their own, each with a loopback, that exist while the block runs."""
    made = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=True)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and the processes that it starts, are in that namespace while the block runs."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    # os.setns came with Python 3.12
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


def tunnel(device: str, namespace: str, address: str) -> int:
    """A tunnel device in a namespace, with both ends of the wire in its subnet. Its file descriptor."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETOFFLOAD, CHECKSUMS | SEGMENTS_IPV4)
    for command in (
        ["ip", "link", "set", device, "netns", namespace],
        ["ip", "-n", namespace, "address", "add", f"{address}/24", "dev", device],
        ["ip", "-n", namespace, "link", "set", device, "up"],
    ):
        subprocess.run(command, check=True)
    return fd


@dataclass
class Direction:
    """One way through the wire. Times in seconds; `free_at` is when the last packet has left its start."""

    into: int
    delay_s: float
    bytes_per_s: float
    queue_s: float
    free_at: float = 0.0
    dropped: int = 0

    def arrival(self, length: int, now: float) -> float | None:
        """When a packet that is sent now comes out; None if it is dropped."""
        start = max(now, self.free_at)
        if start - now > self.queue_s:
            self.dropped += 1
            return None
        self.free_at = start + length / self.bytes_per_s
        return self.free_at + self.delay_s


def carry(ways: dict[int, Direction]) -> None:
    """Carries packets until the process is ended. `ways` has a direction for each device read from."""
    under_way: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else IDLE_S
        for fd in select.select(list(ways), [], [], wait_s)[0]:
            for packet in _waiting(fd):
                arrival = ways[fd].arrival(len(packet) - HEADER_BYTES, time.monotonic())
                if arrival is not None:
                    number += 1  # so that packets of the same moment stay in order
                    heapq.heappush(under_way, (arrival, number, ways[fd].into, packet))
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, into, packet = heapq.heappop(under_way)
            try:
                os.write(into, packet)
            except OSError:
                pass  # the device does not take it: lost, as on any wire


def _waiting(fd: int) -> Iterator[bytes]:
    for _ in range(64):
        try:
            yield os.read(fd, PACKET_BYTES_MAX)
        except BlockingIOError:
            return


def main() -> None:
    (one, one_address, other, other_address), numbers = sys.argv[1:5], map(float, sys.argv[5:])
    delay_ms, mbit_per_s, queue_ms = numbers
    shape = delay_ms / 1e3, mbit_per_s * 1e6 / 8, queue_ms / 1e3
    left = tunnel(f"wire{os.getpid()}a"[:15], one, one_address)
    right = tunnel(f"wire{os.getpid()}b"[:15], other, other_address)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # a wire does not wait for a processor
    print("ready", flush=True)
    carry({left: Direction(right, *shape), right: Direction(left, *shape)})


if __name__ == "__main__":
    main()
