from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from index_server.admin.standing import FilterView, RequestsView, StandingView
from index_server.web.page import STYLE, STYLE_HASH, page

VIEW = StandingView(
    name="Harbour <index>",
    version="p2pshare-index 0.1.0",
    up_s=93_784.0,
    online=4_321,
    online_history=(4_000, 4_100, 4_321),
    connections_max=10_000,
    accounts=20_000,
    registration="invite",
    files=1_234_567,
    kinds={"audio": 1_000_000, "video": 234_567, "image": 0},
    ready=True,
    searches_per_second=123.4,
    search_p50_ms=0.42,
    search_p99_ms=3.9,
    search_history=(100.0, 120.0, 123.4),
    requests=(RequestsView("search", 123.4, 0.42, 3.9, 99_999, 12), RequestsView("look_up", 0, 0, 0, 3, 0)),
    filters=(FilterView("Words hidden from search", "hate & <spam>", 4),),
    late_s=0.012,
    memory_bytes=512_000_000,
    files_open=4_400,
    files_open_max=10_064,
    problems=(),
)


class Reader(HTMLParser):
    """Notes every element, and that each is closed where it should be."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {"style", "onload", "onclick", "src", "href"} & {name for name, _ in attrs} == set()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def words(view: StandingView) -> str:
    return re.sub(r"\s+", " ", " ".join(Reader(page(view)).texts[1:]))


def test_the_page_says_how_the_server_stands() -> None:
    text = words(VIEW)
    for part in (
        "Harbour <index>",
        "All is well",
        "4,321",
        "of 20,000 accounts",
        "1,234,567",
        "0.42 ms",
        "99 of 100 within 3.90 ms",
        "Words hidden from search: 4",
        "hate & <spam>",
        "Registration is invite",
        "512 MB of memory",
        "up 1 d 2 h",
        "look up",
    ):
        assert part in text, part
    assert "image" not in text  # there are none


def test_the_page_has_no_script_and_asks_for_nothing_elsewhere() -> None:
    reader = Reader(page(VIEW))
    assert {"script", "link", "img", "iframe"} & set(reader.tags) == set()
    assert "http" not in page(VIEW).replace("http-equiv", "")
    assert "url(" not in STYLE and "@import" not in STYLE


def test_the_style_is_the_one_that_the_head_allows() -> None:
    styles = re.findall(r"<style>(.*?)</style>", page(VIEW), re.DOTALL)
    assert ["sha256-" + base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()] == [
        STYLE_HASH
    ]


def test_problems_stand_on_top_and_are_counted() -> None:
    text = words(replace(VIEW, problems=("The disk is full.", "Too many <files>.")))
    assert "2 problems" in text
    assert "All is well" not in text
    assert text.index("Too many <files>.") < text.index("Online now")


def test_an_empty_server_has_a_page_too() -> None:
    empty = replace(
        VIEW,
        up_s=3.0,
        online=0,
        online_history=(),
        files=0,
        kinds={},
        search_history=(),
        search_p50_ms=0.0,
        search_p99_ms=0.0,
        requests=(),
        filters=(),
        memory_bytes=0,
    )
    text = words(empty)
    for part in (
        "Nobody has asked",
        "Nobody has offered",
        "Nothing.",
        "nobody searches just now",
        "up 0 min",
    ):
        assert part in text
    assert "memory" not in text


def test_a_curve_reaches_from_edge_to_edge_and_as_high_as_its_highest_value() -> None:
    lines = re.findall(r'polyline class="curve" points="([^"]+)"', page(VIEW))
    points = [tuple(map(float, point.split(","))) for point in lines[1].split()]
    assert (points[0][0], points[-1][0]) == (0.0, 300.0)
    assert min(y for _, y in points) == points[-1][1] == 2.0
