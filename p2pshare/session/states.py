"""Which message is allowed in which state, for whom: tables, printed in protocol.md as they stand here.

Both ends keep the same table and the same phase, because a phase changes only when a message that both see
has passed: `logged_in` or `admitted`. This file does not know which end it runs on.
"""

from __future__ import annotations

from enum import Enum

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.wire import account, index, peer, rules, session, wishes
from p2pshare.wire.fields import Role
from p2pshare.wire.schema import Message


class Talk(Enum):
    """What a connection is for; follows from the roles at its ends."""

    WITH_INDEX = "a client connected to an index server"
    PEERS = "a client connected to a client"
    PROBE = "an index server connected to a client to test its port"


class Party(Enum):
    """One end of a connection."""

    DIALER = "the end that connected"
    ACCEPTOR = "the end that was connected to"

    @property
    def other(self) -> Party:
        return Party.ACCEPTOR if self is Party.DIALER else Party.DIALER


class Phase(Enum):
    """How far the two have come."""

    GREETED = "the handshake is done"
    READY = "logged in, or admitted"


ALWAYS: frozenset[type[Message]] = frozenset(
    {session.Ping, session.Pong, session.Close, session.Refused, session.Cancel}
)

_PEER_WORDS = frozenset[type[Message]](
    {
        peer.OpenFile,
        peer.FileOpened,
        peer.AskHashes,
        peer.Hashes,
        peer.Fetch,
        peer.Data,
        peer.QueueMoved,
        peer.DropFile,
        peer.Have,
        peer.AskOthers,
        peer.Others,
        peer.Turn,
        peer.Browse,
        peer.Listing,
        peer.FetchFiles,
        peer.Files,
        peer.SignReceipt,
        peer.ReceiptSigned,
    }
)

# (talk, phase, who sends) -> what may be sent besides ALWAYS
ALLOWED: dict[tuple[Talk, Phase, Party], frozenset[type[Message]]] = {
    (Talk.WITH_INDEX, Phase.GREETED, Party.DIALER): frozenset({index.Register, index.Login}),
    (Talk.WITH_INDEX, Phase.GREETED, Party.ACCEPTOR): frozenset({index.Registered, index.LoggedIn}),
    (Talk.WITH_INDEX, Phase.READY, Party.DIALER): frozenset(
        {
            index.Rename,
            index.Listen,
            index.Publish,
            index.Search,
            index.FindSources,
            index.AskTicket,
            index.LookUp,
            index.ReportReceipts,
            index.Slots,
            account.AskRecord,
            account.EraseAccount,
            rules.Moderate,
            rules.ListRules,
            rules.AskWhy,
            wishes.ChangeWishes,
            wishes.TakeWishHits,
        }
    ),
    (Talk.WITH_INDEX, Phase.READY, Party.ACCEPTOR): frozenset(
        {
            index.Renamed,
            index.Listening,
            index.Published,
            index.SearchHits,
            index.Sources,
            index.TicketIssued,
            index.Caller,
            index.Person,
            index.ReceiptsReported,
            account.Record,
            account.AccountErased,
            account.Announcement,
            rules.Moderated,
            rules.RulesListed,
            rules.Why,
            wishes.WishesKept,
            wishes.WishHits,
            wishes.WishHitsTaken,
        }
    ),
    (Talk.PEERS, Phase.GREETED, Party.DIALER): frozenset({peer.Knock}),
    (Talk.PEERS, Phase.GREETED, Party.ACCEPTOR): frozenset({peer.Admitted}),
    (Talk.PEERS, Phase.READY, Party.DIALER): _PEER_WORDS,
    (Talk.PEERS, Phase.READY, Party.ACCEPTOR): _PEER_WORDS,
    (Talk.PROBE, Phase.GREETED, Party.DIALER): frozenset(),
    (Talk.PROBE, Phase.GREETED, Party.ACCEPTOR): frozenset(),
}

# (talk, phase) -> the message that ends the phase, and the next one
NEXT: dict[tuple[Talk, Phase], tuple[type[Message], Phase]] = {
    (Talk.WITH_INDEX, Phase.GREETED): (index.LoggedIn, Phase.READY),
    (Talk.PEERS, Phase.GREETED): (peer.Admitted, Phase.READY),
}


def settle_talk(dialer: Role, acceptor: Role) -> Talk:
    """What two roles have to talk about. Raises `PeerFault` if nothing."""
    if (dialer, acceptor) == (Role.CLIENT, Role.INDEX):
        return Talk.WITH_INDEX
    if (dialer, acceptor) == (Role.CLIENT, Role.CLIENT):
        return Talk.PEERS
    if (dialer, acceptor) == (Role.INDEX, Role.CLIENT):
        return Talk.PROBE
    raise PeerFault(CloseCode.WRONG_ORDER, "An index server does not connect to an index server.")


def is_allowed(talk: Talk, phase: Phase, sender: Party, message: type[Message]) -> bool:
    """Whether the table lets `sender` say this now."""
    return message in ALWAYS or message in ALLOWED[talk, phase, sender]


def phase_after(talk: Talk, phase: Phase, message: type[Message]) -> Phase:
    """The phase once this message has passed, in either direction."""
    ending = NEXT.get((talk, phase))
    return ending[1] if ending is not None and message is ending[0] else phase
