from __future__ import annotations

from dataclasses import replace

from index_server.admin.health import Signs, problems

WELL = Signs(
    filled=True,
    online=10,
    connections_max=100,
    files_open=20,
    files_open_max=1_024,
    late_s=0.01,
    disk_free_bytes=1 << 40,
)


def test_a_server_that_is_well_has_no_problems() -> None:
    assert problems(WELL) == ()
    assert problems(replace(WELL, files_open=10_000, files_open_max=0)) == ()


def test_each_sign_of_trouble_is_a_sentence_that_says_what_to_do() -> None:
    for ill, words in (
        (replace(WELL, disk_free_bytes=1 << 20), "1 MB left. Free some space"),
        (replace(WELL, files_open=1_000), "Raise the limit of the system"),
        (replace(WELL, online=95), "Raise connections.total"),
        (replace(WELL, late_s=3.0), "wait 3.0 s for the processor"),
        (replace(WELL, filled=False), "being read from disk"),
    ):
        [problem] = problems(ill)
        assert words in problem


def test_the_worst_comes_first() -> None:
    both = problems(replace(WELL, disk_free_bytes=0, filled=False))
    assert [problem.split()[1] for problem in both] == ["disk", "people"]
