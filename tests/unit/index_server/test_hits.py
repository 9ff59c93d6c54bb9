"""Hits are packed without their structs: byte for byte what the declarations make of them."""

from __future__ import annotations

import random
from dataclasses import replace

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from index_server.hits import UNTOLD_WAIT_S, best_sources, packed_hit
from index_server.online import Online, Visitor
from index_server.search.catalogue import Catalogue
from index_server.search.copies import PARTIAL, Copy
from index_server.search.found import Found
from index_server.searching import hear_receipt
from index_server.speeds import TAKERS, Speeds
from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.kinds import kind_of
from p2pshare.limits import HIT_SOURCES_MAX
from p2pshare.receipts import Receipt
from p2pshare.wire.fields import NO_TAGS, Hit, Source, SpeedClass
from p2pshare.wire.index import SearchHits
from p2pshare.wire.schema import (
    decode_untrusted,
    dump,
    encode,
    load_untrusted,
    pack,
    packed,
    unpack_untrusted,
)
from tests.wire_values import strategy

ASKER = NodeId(b"a" * 32)
PORT = Address("192.0.2.1", 50_000)
people = st.lists(strategy(Source), max_size=2 * HIT_SOURCES_MAX)


def visitor_of(account: int, source: Source) -> Visitor:
    visitor = Visitor(account, source.node, source.nick, None, PORT, b"")
    visitor.reachable, visitor.wait_s = source.reachable, source.wait_s
    return visitor


def told(sources: list[Source], visitors: dict[int, Visitor]) -> bytes:
    copies = [
        Copy(account, source.offer, 1_700_000_000 << 16 | PARTIAL * source.partial | 7)
        for account, source in enumerate(sources)
    ]
    return best_sources(copies, visitors.get, lambda account: sources[account].speed, ASKER)


def order(source: Source) -> tuple[bool, bool, int, int]:
    wait_s = UNTOLD_WAIT_S if source.wait_s is None else source.wait_s
    return not source.reachable, source.partial, wait_s, -source.speed


@settings(max_examples=40)
@given(strategy(Hit), people, st.integers(0, 20))
def test_a_packed_hit_is_what_its_declaration_makes_of_it(hit: Hit, sources: list[Source], own: int) -> None:
    sources = [
        replace(source, node=ASKER) if place == own else source for place, source in enumerate(sources)
    ]
    visitors = {account: visitor_of(account, source) for account, source in enumerate(sources)}
    others = [source for source in sources if source.node != ASKER]
    hit = replace(hit, kind=kind_of(hit.path), some=tuple(sorted(others, key=order)[:HIT_SOURCES_MAX]))
    tags = b"" if hit.tags == NO_TAGS else pack(dump(hit.tags))
    for _ in range(2):  # the second time, what is told of everybody is packed already
        some = told(sources, visitors)
        found = Found(
            file=hit.file,
            path=hit.path,
            size=hit.size,
            changed=hit.changed,
            tags=tags,
            sources=hit.sources,
            free=hit.free,
            contacts=hit.contacts,
            names=hit.names,
            some=(),
            doubts=hit.doubts,
            cursor=b"",
        )
        made = packed_hit(found, some)
        assert made == pack(dump(hit))
    page = SearchHits(request=1, total=1, hits=(packed(Hit, made),))
    assert decode_untrusted(encode(page)) == replace(page, hits=(hit,))


def test_who_is_not_here_any_more_is_not_named() -> None:
    here = Source(node=NodeId(b"h" * 32), nick="here", offer=1)
    gone = Source(node=NodeId(b"g" * 32), nick="gone", offer=1)
    assert told([gone, here], {1: visitor_of(1, here)}) == pack([dump(here)])
    assert told([gone], {}) == pack([])


async def test_a_receipt_may_change_what_is_told_of_its_giver() -> None:
    giver = visitor_of(1, Source(node=NodeId(b"g" * 32), nick="giver", offer=1))
    online, catalogue, speeds = Online(), Catalogue(random.Random(1)), Speeds()
    online.arrive(giver)

    def speed() -> SpeedClass:
        some = best_sources([Copy(1, 1, 0)], online.by_account, catalogue.speed_of, ASKER)
        return load_untrusted(Source, unpack_untrusted(some)[0]).speed

    assert speed() is SpeedClass.UNKNOWN
    for number in range(TAKERS):
        taker = NodeId(bytes([number]) * 32)
        speeds.note(Receipt(giver.node, taker, 1, b"", b""), trio.current_time() - 60)
        hear_receipt(catalogue, online, speeds, taker, Receipt(giver.node, taker, 3_000_000_000, b"", b""))
    assert speed() is SpeedClass.FAST
