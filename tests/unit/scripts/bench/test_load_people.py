from __future__ import annotations

import ipaddress

from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from scripts.bench.corpus import Corpus
from scripts.bench.load_people import Person
from tests.fake_index import FakeIndex

CORPUS = Corpus(500)


def sharer(number: int = 1) -> Person:
    person = Person(number, 0)
    person.wanted = 30
    return person


def test_a_person_is_the_same_in_every_process() -> None:
    one, other = Person(7, 100), Person(7, 100)
    assert (one.static.node_id, one.nick, one.wanted) == (other.static.node_id, other.nick, other.wanted)
    assert [one.offer(CORPUS, each) for each in range(9)] == [other.offer(CORPUS, each) for each in range(9)]


def test_everybody_has_an_address_of_their_own_that_only_this_machine_has() -> None:
    addresses = {Person(number, 0).address for number in (0, 1, 255, 256, 1 << 20, 7 << 20)}
    assert len(addresses) == 6
    assert all(ipaddress.ip_address(each).is_loopback and not each.startswith("127.0.") for each in addresses)


def test_the_digest_is_that_of_the_whole_share() -> None:
    person = sharer()
    person.change(CORPUS, 1, add=30, remove=0)
    person.change(CORPUS, 2, add=4, remove=4)
    share = (person.offer(CORPUS, number) for number in range(4, 34))
    assert person.digest == change_digest(EMPTY_MANIFEST, added=map(offer_hash, share))
    assert person.missing == 0


def test_a_server_takes_every_change_and_a_new_beginning() -> None:
    server, person = FakeIndex(), sharer()
    server.publish(person.change(CORPUS, 1, add=20, remove=0))
    assert person.missing == 10
    server.publish(person.change(CORPUS, 2, add=10, remove=3))
    person.forget()
    anew = person.change(CORPUS, 3, add=person.missing, remove=0)
    assert isinstance(anew, Publish) and anew.reset
    server.publish(anew)
    assert (server.digest, len(server.offers)) == (person.digest, 30)
    assert not person.change(CORPUS, 4, add=1, remove=1).reset


def test_nobody_removes_more_than_there_is() -> None:
    person = sharer()
    assert person.change(CORPUS, 1, add=2, remove=5).removed == ()
    assert person.change(CORPUS, 2, add=0, remove=5).removed == (0, 1)
    assert person.digest == EMPTY_MANIFEST
