from __future__ import annotations

import pytest

from p2pshare.hashing import FileId
from p2pshare.kinds import FileKind
from p2pshare.wire.fields import NO_TAGS, Hit
from p2pshare.wire.index import Search, SearchHits
from p2pshare.wire.schema import Message, decode_untrusted, encode
from scripts.bench.load_line import read_cheaply_untrusted

HIT = Hit(
    file=FileId(bytes(32)),
    path="music/song.mp3",
    size=5,
    kind=FileKind.AUDIO,
    changed=1,
    tags=NO_TAGS,
    sources=3,
    some=(),
)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_of_an_answer_to_a_search_all_but_the_hits_is_read(count: int) -> None:
    body = encode(SearchHits(request=70_000, total=12_345, hits=(HIT,) * count, cursor=b"next"))
    read = read_cheaply_untrusted(memoryview(body))
    assert read == SearchHits(request=70_000, total=12_345, hits=(), cursor=b"next")


def test_any_other_message_is_read_as_it_is() -> None:
    search: Message = Search(request=1, query="wu-tang")
    assert read_cheaply_untrusted(memoryview(encode(search))) == decode_untrusted(encode(search)) == search
