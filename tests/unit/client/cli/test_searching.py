"""`p2pshare search`: what is asked, and what is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from client.engine.search_view import FacetsView, FacetView, SearchFilters, SearchView
from client.engine.status import TagsView
from tests.fake_face import result_view

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal

BLUE = result_view(1, "Blue \x1b[31mMoon\u202e.flac")
GREEN = replace(result_view(2, "green.pdf", 500), tags=TagsView(), kind="document", have=True, source_count=1)


@pytest.fixture
def found(terminal: Terminal) -> Terminal:
    terminal.face.found = (BLUE, GREEN)
    return terminal


def test_results_are_lines_with_tabs_for_programs(found: Terminal) -> None:
    result = found.type("search", "moon")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    about = "Band - Song · 3:45 · 320 kbit/s"
    name = "Blue \\x1b[31mMoon\\u202e.flac"
    assert first.split("\t") == ["1", name, "3.0 MB", about, "2", "", ""]
    assert second.split("\t") == ["2", "green.pdf", "500 B", "document", "1", "", "have"]


def test_a_line_says_how_soon_it_can_begin_and_what_else_helps_to_choose(found: Terminal) -> None:
    source = BLUE.sources[0]
    waits = (replace(source, wait_s=130, speed="fast"), replace(source, wait_s=60))
    found.face.found = (
        replace(BLUE, free=2, contacts=1, had=True, names=("\x1bblau.flac", "b.flac")),
        replace(BLUE, sources=waits),
    )
    first, second = found.type("search", "moon").stdout.splitlines()
    assert first.split("\t")[5:] == ["2 free", "had, 1 contact, also \\x1bblau.flac"]
    assert second.split("\t")[5:] == ["about 1:00 min", "fast"]


def test_json_is_the_snapshot_and_nothing_else(found: Terminal) -> None:
    found.face.about_search = {"facets": FacetsView(kinds=(FacetView("audio", 2),)), "suggestion": "moon"}
    view = msgspec.convert(found.json("search", "mon"), SearchView)
    assert view.results == (BLUE, GREEN)
    assert view.facets.kinds == (FacetView("audio", 2),) and view.suggestion == "moon"


def test_filters_reach_the_engine(found: Terminal) -> None:
    found.type(
        *"search moon --kind audio --ext .FLAC,mp3 --min-size 1k --max-size 2M --limit 1".split(),
        *"--min-length 3:45 --max-length 1.5h --min-bitrate 256 --lossless --year 1957.. --free".split(),
        *"--min-sources 2 --sort smallest --from anna --contacts".split(),
    )
    filters = SearchFilters(
        kinds=("audio",),
        extensions=("flac", "mp3"),
        size_min=1_000,
        size_max=2_000_000,
        length_min_s=225,
        length_max_s=5_400,
        bitrate_min_kbps=256,
        year_min=1957,
        lossless=True,
        free=True,
        sources_min=2,
    )
    assert found.face.calls == [("search", "moon from:anna contacts:", filters, "smallest", 1)]


@pytest.mark.parametrize(
    ("typed", "years"),
    [("1959", (1959, 1959)), ("1957..1960", (1957, 1960)), ("..1960", (0, 1960)), ("1957..", (1957, None))],
)
def test_years_are_one_or_a_span(found: Terminal, typed: str, years: tuple[int, int | None]) -> None:
    found.type("search", "moon", "--year", typed)
    [(_, _, filters, _, _)] = found.face.calls
    assert (filters.year_min, filters.year_max) == years


def test_what_is_no_year_or_length_is_told(found: Terminal) -> None:
    assert "no year" in found.type("search", "moon", "--year", "fifties").stderr
    assert "no length" in found.type("search", "moon", "--min-length", "long").stderr
    assert found.face.calls == []


def test_minus_words_are_no_options_but_mistyped_options_are_told(found: Terminal) -> None:
    assert found.type("search", "moon", "-live").exit_code == 0
    assert found.face.calls[0][1] == "moon -live"
    result = found.type("search", "moon", "--knd", "audio")
    assert result.exit_code == 2
    assert "--knd" in result.stderr


def test_the_next_page_is_asked_for_alone(found: Terminal) -> None:
    result = found.type("search", "--next", "--limit", "5")
    assert found.face.calls == [("search_more", 5)]
    assert result.stdout.startswith("2\tgreen.pdf")
    assert found.type("search", "moon", "--next").exit_code == 2
    assert found.type("search").exit_code == 2


def test_somebodys_files_can_be_listed_without_a_word(found: Terminal) -> None:
    assert found.type("search", "--from", "anna", "--kind", "audio").exit_code == 0
    assert found.face.calls[0][1] == "from:anna"


def test_a_better_spelling_is_offered_or_has_been_taken(found: Terminal) -> None:
    found.face.about_search = {"suggestion": "moon"}
    assert found.type("search", "mon").stderr == "Did you mean moon?\n"
    found.face.about_search = {"suggestion": "moon", "instead": True}
    assert found.type("search", "mon").stderr == "Nothing was found for mon. This is moon:\n"


def test_what_the_rules_hide_is_counted(found: Terminal) -> None:
    found.face.about_search = {"hidden": 3}
    assert found.type("search", "moon").stderr == "3 results hidden by this server's rules.\n"


def test_nothing_found_has_a_code_of_its_own(terminal: Terminal) -> None:
    result = terminal.type("search", "nope")
    assert (result.exit_code, result.stderr) == (3, "Nothing was found for nope.\n")
