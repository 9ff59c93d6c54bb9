"""Settings from four places, and what is said when they are wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
import platformdirs
import pytest
import tomlkit
from hypothesis import given

from index_server.config import (
    Config,
    Seconds,
    default_text,
    flag_of,
    keys,
    load_config,
    meanings,
)
from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import LocalTrouble

NOTHING: Mapping[str, str] = {}


def written(folder: Path, text: str) -> Path:
    file = folder / "index.toml"
    file.write_text(text, encoding="utf-8")
    return file


def trouble(
    file: Path | None = None, environment: Mapping[str, str] = NOTHING, flags: Mapping[str, str] = NOTHING
) -> str:
    with pytest.raises(LocalTrouble) as caught:
        load_config(file, environment, flags)
    return str(caught.value)


def test_the_default_file_names_every_key_in_order_each_with_a_comment() -> None:
    written_keys = [
        f"{section}.{key}" for section, content in tomllib.loads(default_text()).items() for key in content
    ]
    assert written_keys == list(keys()) == list(meanings())
    assert all(meanings().values())


def test_defaults_that_the_protocol_names_are_those_of_the_protocol() -> None:
    config = load_config(None, NOTHING, NOTHING)
    assert config.accounts.offers == limits.OFFERS_PER_ACCOUNT_MAX
    assert config.limits.tickets_per_minute == limits.TICKETS_PER_MINUTE
    assert config.limits.port_tests_per_minute == limits.PORT_TESTS_PER_MINUTE


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nname = "file"\nport = 1\nwelcome = "file"\n')
    environment = {
        "P2PSHARE_INDEX_SERVER_NAME": "environment",
        "P2PSHARE_INDEX_SERVER_PORT": "2",
        "HOME": "x",
    }
    server = load_config(file, environment, {"server.name": "flag"}).server
    assert (server.name, server.port, server.welcome) == ("flag", 2, "file")


def test_texts_mean_what_their_key_wants() -> None:
    flags = {
        "server.hosts": "127.0.0.1, ::1",
        "server.announce": "no",
        "server.stop_within": "1.5 min",
        "connections.total": "1_000",
    }
    config = load_config(None, NOTHING, flags)
    assert config.server.hosts == ("127.0.0.1", "::1")
    assert config.server.announce is False
    assert config.server.stop_within == Seconds(90)
    assert config.connections.total == 1_000


def test_public_addresses_without_a_port_get_that_of_the_server() -> None:
    config = load_config(None, NOTHING, {"server.public": "Index.Example.org, [2001:db8::1]:9, 2001:db8::2"})
    assert config.public_addresses(4747) == (
        Address("index.example.org", 4747),
        Address("2001:db8::1", 9),
        Address("2001:db8::2", 4747),
    )


def test_a_data_folder_in_a_file_is_relative_to_that_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, '[server]\ndata = "state"\n'), NOTHING, NOTHING)
    assert config.data_folder == tmp_path / "state"
    assert load_config(None, NOTHING, NOTHING).data_folder == platformdirs.user_data_path(
        "p2pshare-index", appauthor=False
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]", 'Did you mean "server"?'),
        ('[server]\nlissten = "x"', "--print-config"),
        ("[server]\nprot = 1", 'Did you mean "port"?'),
        ("server = 1", "section"),
        ("[server]\nport = 65_536", "within 0 to 65535"),
        ("[server]\nport = true", "whole number"),
        ('[server]\nport = "many"', "whole number"),
        ("[server]\nname = 1", "text in quotes"),
        ("[server]\nhosts = 1", "list"),
        ("[server]\nhosts = [1]", "text in quotes"),
        ('[server]\nhosts = ["a b"]', "host"),
        ('[server]\npublic = ["a:b:c"]', "brackets"),
        ("[server]\nannounce = 2", "true or false"),
        ("[server]\nstop_within = 3", '"90 s"'),
        ('[log]\nformat = "xml"', "text, json"),
        ('[server]\nname = "' + "x" * 65 + '"', "more than 64 bytes"),
        ("[server", "TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_the_file_and_the_key(
    tmp_path: Path, text: str, said: str
) -> None:
    file = written(tmp_path, text)
    sentence = trouble(file)
    assert said in sentence and str(file) in sentence


def test_wrong_variables_and_flags_are_named_as_they_were_given() -> None:
    assert 'Did you mean "P2PSHARE_INDEX_SERVER_PORT"?' in trouble(None, {"P2PSHARE_INDEX_SERVER_PROT": "1"})
    assert "P2PSHARE_INDEX_SERVER_PORT: " in trouble(None, {"P2PSHARE_INDEX_SERVER_PORT": "x"})
    assert "--limits-port-tests: " in trouble(None, NOTHING, {"limits.port_tests": "0"})


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    assert "cannot be read" in trouble(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xe9")
    assert "UTF-8" in trouble(tmp_path / "latin.toml")


def test_flags_are_all_different() -> None:
    assert len({flag_of(key) for key in keys()}) == len(keys())


toml_values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text("ab1. \n")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ab"), inner, max_size=3)),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(keys())), value=toml_values)
def test_any_value_in_a_file_is_taken_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    section, name = key.split(".")
    folder = tmp_path_factory.getbasetemp()
    try:
        load_config(written(folder, tomlkit.dumps({section: {name: value}})), NOTHING, NOTHING)
    except LocalTrouble as error:
        assert name in str(error)


@given(st.sampled_from(sorted(keys())), st.text())
def test_any_text_for_any_key_is_taken_or_refused_in_words(key: str, text: str) -> None:
    try:
        assert isinstance(load_config(None, NOTHING, {key: text}), Config)
    except LocalTrouble as error:
        assert flag_of(key) in str(error)
