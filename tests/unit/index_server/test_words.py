"""What the person who runs a server is told."""

from __future__ import annotations

from index_server.config import Config, load_config
from index_server.words import explained, invite_of, started
from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.links import parse_link_untrusted

NODE = NodeId(b"k" * 32)


def config(**flags: str) -> Config:
    return load_config(None, {}, {key.replace("_", ".", 1): text for key, text in flags.items()})


def said(settings: Config, *own_hosts: str) -> str:
    return "\n".join(started(settings, invite_of(settings, NODE, 4747, own_hosts), 4747))


def test_the_invite_leads_to_the_public_addresses_if_there_are_any() -> None:
    invite = invite_of(config(server_public="index.example.org"), NODE, 4747, ["192.168.0.2"])
    assert invite.addresses == (Address("index.example.org", 4747),)


def test_otherwise_it_leads_to_the_machine_itself() -> None:
    assert invite_of(config(), NODE, 4747, ["192.168.0.2"]).addresses == (Address("192.168.0.2", 4747),)
    assert invite_of(config(), NODE, 4747, []).addresses == (Address("127.0.0.1", 4747),)
    only = invite_of(config(server_hosts="::1"), NODE, 4747, ["192.168.0.2"])
    assert only.addresses == (Address("::1", 4747),)


def test_the_invite_that_is_printed_can_be_used() -> None:
    text = said(config(server_public="index.example.org"))
    [link] = [word.strip("'") for word in text.split() if "p2pshare:join?" in word]
    assert parse_link_untrusted(link) == invite_of(config(server_public="index.example.org"), NODE, 4747, [])
    assert "only" not in text


def test_an_invite_that_does_not_reach_far_is_said_to_be_one() -> None:
    assert "this machine only" in said(config(server_hosts="127.0.0.1"))
    assert "local network only" in said(config(), "192.168.0.2")


def test_settings_are_explained_in_sentences() -> None:
    text = "\n".join(
        explained(config(accounts_registration="closed", server_announce="no", server_stop_within="2 min"))
    )
    assert "Nobody new may register." in text
    assert "not announced" in text
    assert "120 s" in text
