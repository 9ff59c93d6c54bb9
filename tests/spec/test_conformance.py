"""Every message kind has been seen accepted in a real conversation, and refused when it was wrong.

A kind that no test ever passes from one real program to another, or that nothing ever refuses, is found here.
"""

from __future__ import annotations

import pytest

from p2pshare import limits
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.cipher import PLAINTEXT_MAX
from p2pshare.session.handshake import NoiseStatic
from p2pshare.session.session import Session
from p2pshare.session.states import ALWAYS, Party, Phase, Talk, is_allowed
from p2pshare.wire.fields import Role
from p2pshare.wire.schema import MISSING, REGISTRY, Message, encode, pack
from p2pshare.wire.session import Hello
from tests.session_pair import ALICE, BOB, seal_all, static_of
from tests.sim.scenarios import credit, fetching, keeping, operators, rules, servers, sources, wishes
from tests.sim.world import run_scenario
from tests.wire_values import example
from tests.world import World

KINDS = sorted(REGISTRY.values(), key=lambda message: message.KIND)
ROLES = {
    Talk.WITH_INDEX: (Role.CLIENT, Role.INDEX),
    Talk.PEERS: (Role.CLIENT, Role.CLIENT),
    Talk.PROBE: (Role.INDEX, Role.CLIENT),
}


# --- accepted -----------------------------------------------------------------------------------------------


async def people_who_do_everything(world: World) -> None:
    """What the scenarios below leave out: somebody renames themselves, and idles until a ping is due."""
    await world.index()
    alice = await world.person("alice")
    await alice.face.rename("alicia")
    await world.pass_time(3 * limits.PING_AFTER_S)


TOLD = [
    people_who_do_everything,
    credit.the_index_server_adds_up_what_both_signed_once_whoever_tells_it,
    fetching.a_folder_comes_as_it_was_with_everything_in_it,
    fetching.somebody_with_a_part_gives_it_to_the_next,
    keeping.paused_it_rests_and_resumed_it_goes_on,
    keeping.who_waits_sees_a_place_and_gets_a_slot_when_it_is_free,
    operators.what_the_operator_says_reaches_who_is_there_and_who_comes_back,
    operators.who_deletes_an_account_takes_everything_along_and_does_not_come_back,
    rules.hidden_results_are_counted_and_a_banned_file_cannot_be_found,
    rules.who_is_banned_is_told_why_and_is_back_when_it_is_over,
    servers.a_nick_that_looks_like_another_is_refused_in_words,
    wishes.who_was_away_is_told_at_the_next_login_and_once,
    sources.somebody_behind_a_firewall_connects_to_whoever_wants_their_file,
]


def test_every_kind_passes_between_real_programs() -> None:
    seen: set[type[Message]] = set()
    for scenario in TOLD:
        seen |= run_scenario(scenario, seed=1).kinds
    assert {message.NAME for message in KINDS} - {message.NAME for message in seen} == set()


# --- refused ------------------------------------------------------------------------------------------------


def connected(talk: Talk, phase: Phase) -> dict[Party, Session]:
    """Both ends after the handshake, in a phase."""
    ends = {}
    for party, identity, role in zip(Party, (ALICE, BOB), ROLES[talk], strict=True):
        static: NoiseStatic = static_of(identity)
        hello = Hello(role=role, versions=(limits.PROTOCOL_VERSION,))
        ends[party] = Session(
            party, static, hello, now=0, ephemeral=identity.seed()[:31] + party.name[:1].encode()
        )
    for sender in (Party.DIALER, Party.ACCEPTOR, Party.DIALER):
        ends[sender.other].receive_data(ends[sender].data_to_send(limits.MIB), 0)
    for session in ends.values():
        session._phase = phase
    return ends


def said(body: bytes, talk: Talk, phase: Phase, sender: Party) -> CloseCode | None:
    """How the other end takes a frame: None, or the code it closes with."""
    ends = connected(talk, phase)
    frame = len(body).to_bytes(3, "big") + body
    texts = [frame[at : at + PLAINTEXT_MAX] for at in range(0, len(frame), PLAINTEXT_MAX)]
    hearer = ends[sender.other]
    try:
        hearer.receive_data(seal_all(ends[sender]._outbox._sealer, texts), 0)
    except PeerFault as fault:
        assert hearer.over
        return fault.code
    return None


def places(message: type[Message], *, allowed: bool) -> list[tuple[Talk, Phase, Party]]:
    """Where it may be said, or may not."""
    return [
        (talk, phase, party)
        for talk in Talk
        for phase in Phase
        for party in Party
        if (talk, phase) != (Talk.PROBE, Phase.READY)
        if is_allowed(talk, phase, party, message) is allowed
    ]


@pytest.mark.parametrize("message", KINDS, ids=lambda message: message.NAME)
def test_a_kind_is_refused_wherever_it_is_not_allowed(message: type[Message]) -> None:
    body = encode(example(message))
    forbidden = places(message, allowed=False)
    assert bool(forbidden) == (message not in ALWAYS)
    for place in forbidden:
        assert said(body, *place) is CloseCode.WRONG_ORDER, place


@pytest.mark.parametrize("message", KINDS, ids=lambda message: message.NAME)
def test_a_kind_that_is_allowed_is_heard_if_sound_and_refused_if_broken(message: type[Message]) -> None:
    for place in places(message, allowed=True):
        assert said(encode(example(message)), *place) is None, place
        too_long = pack([message.KIND, *[0] * 12]) + bytes(message.FRAME_MAX)
        assert said(too_long, *place) is CloseCode.BAD_FRAME
        for number, field in enumerate(message.FIELDS):
            plain = [each.dump(getattr(example(message), each.name)) for each in message.FIELDS]
            plain[number] = {}  # no field is ever a map
            assert said(pack([message.KIND, *plain]), *place) is CloseCode.BAD_MESSAGE, field.name
        required = [field for field in message.FIELDS if field.default is MISSING]
        if required:
            assert said(pack([message.KIND]), *place) is CloseCode.BAD_MESSAGE


def test_a_hello_is_refused_once_the_handshake_is_over() -> None:
    assert places(Hello, allowed=True) == []
