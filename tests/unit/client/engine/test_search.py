"""Several servers' answers as one list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from client.engine.library import MIGRATIONS
from client.engine.search import (
    Continued,
    facets_view,
    keep_results,
    keep_search,
    kept_result,
    kept_search,
    merge_hits,
)
from client.engine.search_view import FacetView
from p2pshare.database import open_database
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.kinds import FileKind
from p2pshare.limits import FILE_BYTES_MAX
from p2pshare.links import FileLink, parse_link_untrusted
from p2pshare.wire.fields import ExtensionCount, FacetCounts, Hit, KindCount, SizeCount, Source, Tags
from p2pshare.wire.index import Search

ONE, TWO = NodeId(b"1" * 32), NodeId(b"2" * 32)  # index servers
ANNA, BERT = NodeId(b"a" * 32), NodeId(b"b" * 32)


def file(number: int) -> FileId:
    return FileId(bytes([number]) * 32)


def hit(
    file: FileId | None,
    *people: NodeId,
    path: str = "Music/song.flac",
    sources: int | None = None,
    offer: int = 7,
) -> Hit:
    some = tuple(Source(node=node, nick="somebody", offer=offer, reachable=True) for node in people)
    return Hit(
        file=file,
        path=path,
        size=1_000,
        kind=FileKind.AUDIO,
        changed=0,
        tags=Tags(title="Song"),
        sources=len(people) if sources is None else sources,
        some=some,
    )


def test_the_same_content_on_two_servers_is_one_result_with_everybody_who_holds_it() -> None:
    [result] = merge_hits(
        [(ONE, [hit(file(1), ANNA, path="a/x.flac")]), (TWO, [hit(file(1), ANNA, BERT, path="b/y.flac")])],
        limit=10,
        have=(),
    )
    assert {source.person for source in result.sources} == {s.person for s in result.sources}
    assert len(result.sources) == 2 and result.source_count == 2
    assert (result.name, result.folder) == ("y.flac", "b"), "the name most people give it"


def test_unhashed_files_of_two_people_stay_two_results() -> None:
    results = merge_hits([(ONE, [hit(None, ANNA), hit(None, BERT)])], limit=10, have=())
    assert [result.file for result in results] == [None, None]
    assert [result.link for result in results] == [None, None]


def test_what_more_servers_rank_high_stands_first() -> None:
    answers = [
        (ONE, [hit(file(1), ANNA), hit(file(2), ANNA), hit(file(3), ANNA)]),
        (TWO, [hit(file(2), BERT), hit(file(3), BERT)]),
    ]
    order = [result.file for result in merge_hits(answers, limit=10, have=())]
    first_of_one = merge_hits([answers[0]], limit=1, have=())[0].file
    assert order[0] != first_of_one, "second and first together beat a single first place"
    assert len(order) == 3


def test_results_are_numbered_limited_and_marked_when_they_are_here_already() -> None:
    hits = [hit(file(number), ANNA) for number in range(1, 6)]
    results = merge_hits([(ONE, hits)], limit=3, have={file(2)})
    assert [result.number for result in results] == [1, 2, 3]
    assert [result.have for result in results] == [False, True, False]


def test_a_link_of_a_result_leads_to_its_file() -> None:
    [result] = merge_hits([(ONE, [hit(file(9), ANNA, path="x/../evil:name?.mp3")])], limit=1, have=())
    assert result.link is not None
    link = parse_link_untrusted(result.link)
    assert isinstance(link, FileLink) and link.file_id == file(9) and "/" not in link.name


async def test_kept_results_come_back_by_their_number(tmp_path: Path) -> None:
    results = merge_hits([(ONE, [hit(file(1), ANNA), hit(None, BERT)])], limit=10, have=())
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS) as database:
        await database.write(keep_results, results)
        assert await database.read(kept_result, 2) == results[1]
        assert await database.read(kept_result, 3) is None
        await database.write(keep_results, results[:1])
        assert await database.read(kept_result, 2) is None


def test_a_result_says_what_was_here_who_is_trusted_and_who_has_time() -> None:
    here = hit(file(1), ANNA, BERT)
    some = tuple(replace(source, wait_s=wait) for source, wait in zip(here.some, (0, 90), strict=True))
    here = replace(here, some=some, names=("other.flac", "song.flac"), free=1)
    again = replace(here, some=(), names=("third.flac",), sources=7, free=3)
    [result] = merge_hits([(ONE, [here]), (TWO, [again])], have=(), had={file(1)}, contacts={BERT})
    assert (result.have, result.had) == (False, True)
    assert (result.contacts, result.free, result.source_count) == (1, 3, 7)
    assert result.names == ("other.flac", "third.flac")
    assert [source.wait_s for source in result.sources] == [0, 90]
    [result] = merge_hits([(ONE, [here])], have={file(1)}, had={file(1)})
    assert (result.have, result.had) == (True, False)


def test_counts_of_several_servers_do_not_add_up() -> None:
    def counts(audio: int, small: int) -> FacetCounts:
        return FacetCounts(
            kinds=(KindCount(kind=FileKind.AUDIO, files=audio), KindCount(kind=FileKind.VIDEO, files=2)),
            extensions=(ExtensionCount(extension="mp3", files=audio),),
            sizes=(
                SizeCount(size_min=0, size_max=999_999, files=small),
                SizeCount(size_min=10_000_000_000, size_max=FILE_BYTES_MAX, files=1),
            ),
        )

    facets = facets_view([counts(1, 5), counts(3, 4)])
    assert facets.kinds == (FacetView("audio", 3), FacetView("video", 2))
    assert facets.extensions == (FacetView("mp3", 3),)
    assert facets.sizes == (FacetView("..1m", 5), FacetView("10g..", 1))


async def test_a_search_goes_on_where_it_stopped_until_there_is_another(tmp_path: Path) -> None:
    asked = {ONE: Search(request=1, query="wu", cursor=b"there")}
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS) as database:
        assert await database.read(kept_search) is None
        await database.write(keep_search, Continued("wu", 9, 3, asked))
        assert await database.read(kept_search) == Continued("wu", 9, 3, asked)
        await database.write(keep_search, Continued("wu", 9, 9, {}))
        assert await database.read(kept_search) == Continued("wu", 9, 9, {})
        await database.write(keep_results, ())
        assert await database.read(kept_search) is None
