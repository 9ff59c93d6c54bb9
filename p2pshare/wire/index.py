"""Messages between a client and an index server."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.wire.fields import (
    NO_FACET_COUNTS,
    NO_FILTERS,
    Addresses,
    AddressField,
    Budget,
    Count,
    Cursor,
    Digest,
    FacetCounts,
    FileId,
    Filters,
    Hit,
    Nick,
    NodeId,
    Offer,
    OfferId,
    Port,
    ReceiptBytes,
    RequestId,
    Seconds,
    SortBy,
    Source,
    Text,
    UnixTime,
)
from p2pshare.wire.schema import Message, Range, Size, spec

TicketBytes = Annotated[bytes, Size(limits.TICKET_BYTES, limits.TICKET_BYTES)]


class Register(Message, kind=32, name="register"):
    """Make an account for the key of this connection, under a nick."""

    request: RequestId = spec("Chosen by the client.")
    nick: Nick = spec("The wanted nick.")
    code: Annotated[str, Size(0, limits.INVITE_CODE_BYTES_MAX)] = spec(
        "From the invite, if that has one.", default=""
    )


class Registered(Message, kind=34, name="registered", answers=(Register,)):
    """The account exists now; log in next."""

    request: RequestId = spec("The request it answers.")
    nick: Nick = spec("The nick as the server keeps it.")


class Login(Message, kind=36, name="login"):
    """Come online with the account of this connection's key."""

    request: RequestId = spec("Chosen by the client.")
    resume: Annotated[bytes, Size(0, limits.RESUME_TOKEN_BYTES)] = spec(
        "From the last `logged_in`, to go on with that session; empty for a new one.", default=b""
    )


class LoggedIn(Message, kind=38, name="logged_in", frame_max=8 * limits.KIB, answers=(Login,)):
    """Welcome: what the server knows of the client."""

    request: RequestId = spec("The request it answers.")
    nick: Nick = spec("The nick of the account.")
    manifest: Digest = spec("Digest of the manifest that the server keeps for the account.")
    observed: AddressField = spec("The address the client's connection comes from.")
    server_name: Annotated[str, Size(0, 64)] = spec("What the operator calls this server.", default="")
    welcome: Annotated[str, Size(0, 4 * limits.KIB)] = spec("The operator's words for people.", default="")
    unix_now: UnixTime = spec("The server's clock, to notice a wrong one.", default=0)
    offers_max: Count = spec(
        "How many offers the account may publish.", default=limits.OFFERS_PER_ACCOUNT_MAX
    )
    budgets: Annotated[tuple[Budget, ...], Size(0, limits.BUDGETS_MAX)] = spec(
        "How often the account may ask for what; kinds that are not named have no limit of their own.",
        default=(),
    )
    resume: Annotated[bytes, Size(0, limits.RESUME_TOKEN_BYTES)] = spec(
        "Goes on with this session after the connection is lost; empty if that is not possible.", default=b""
    )
    resumed: bool = spec(
        "The session that the client named goes on: what `listen` found still holds.", default=False
    )


class Rename(Message, kind=40, name="rename"):
    """Change the nick of the account."""

    request: RequestId = spec("Chosen by the client.")
    nick: Nick = spec("The wanted nick.")


class Renamed(Message, kind=42, name="renamed", answers=(Rename,)):
    """The nick is changed."""

    request: RequestId = spec("The request it answers.")
    nick: Nick = spec("The nick as the server keeps it.")


class Listen(Message, kind=44, name="listen"):
    """Tell the port on which the client takes connections, and have it tested from outside."""

    request: RequestId = spec("Chosen by the client.")
    port: Port = spec("The TCP port.")


class Listening(Message, kind=46, name="listening", frame_max=2 * limits.KIB, answers=(Listen,)):
    """What the test of the port found."""

    request: RequestId = spec("The request it answers.")
    reachable: bool = spec("Whether the client's own key answered there.")
    observed: AddressField = spec("The address and port that were tried.")
    text: Text = spec("What went wrong, in one sentence; empty if nothing did.", default="")


class Publish(Message, kind=48, name="publish", frame_max=limits.FRAME_BYTES_MAX):
    """Change the manifest: what the client offers. Applied whole or not at all."""

    request: RequestId = spec("Chosen by the client.")
    base: Digest = spec("Digest of the manifest that this change starts from.")
    result: Digest = spec("Digest of the manifest that it leads to.")
    removed: Annotated[tuple[OfferId, ...], Size(0, limits.PUBLISH_BATCH)] = spec("Offers to drop.")
    added: Annotated[tuple[Offer, ...], Size(0, limits.PUBLISH_BATCH)] = spec(
        "Offers to add; one whose number exists replaces it."
    )
    reset: bool = spec(
        "Forget the whole manifest first; `base` is then that of the empty one.", default=False
    )


class Published(Message, kind=50, name="published", answers=(Publish,)):
    """The change is stored and searchable."""

    request: RequestId = spec("The request it answers.")
    offers: Count = spec("How many offers the manifest has now.")
    banned: Annotated[int, Range(0, limits.PUBLISH_BATCH)] = spec(
        "How many of those just added are of files that are banned here: they are kept, and not found.",
        default=0,
    )


class Search(Message, kind=52, name="search", frame_max=8 * limits.KIB):
    """Find files by name, tags and filters among what people online offer."""

    request: RequestId = spec("Chosen by the client.")
    query: Annotated[str, Size(0, limits.QUERY_BYTES_MAX)] = spec(
        'Words, `"phrases"`, `-exclusions`, `OR`, `begin*` and filters such as `size:>10m`; see below.'
    )
    filters: Filters = spec("What narrows it down further.", default=NO_FILTERS)
    sort: SortBy = spec("In which order.", default=SortBy.RELEVANCE)
    cursor: Cursor = spec("From the page before; empty for the first.", default=b"")
    limit: Annotated[int, Range(1, limits.SEARCH_PAGE_MAX)] = spec("Most hits wanted.", default=50)
    contacts: Annotated[tuple[NodeId, ...], Size(0, limits.CONTACTS_PER_SEARCH_MAX)] = spec(
        "Whom `contacts:` in the query means, and `contacts` in the hits counts.", default=()
    )


class SearchHits(Message, kind=54, name="search_hits", frame_max=limits.FRAME_BYTES_MAX, answers=(Search,)):
    """One page of what was found, best first."""

    request: RequestId = spec("The request it answers.")
    total: Count = spec("How many files match in all.")
    hits: Annotated[tuple[Hit, ...], Size(0, limits.SEARCH_PAGE_MAX)] = spec("This page.")
    cursor: Cursor = spec("Ask with it for the next page; empty on the last.", default=b"")
    facets: FacetCounts = spec(
        "What all matches are like; with the first page only.", default=NO_FACET_COUNTS
    )
    suggestion: Annotated[str, Size(0, 2 * limits.QUERY_BYTES_MAX)] = spec(
        "A query with words spelt otherwise that finds more, if this one found little; else empty.",
        default="",
    )
    instead: bool = spec(
        "The query found nothing: `total`, `hits` and `cursor` are those of the suggestion.", default=False
    )
    hidden: Count = spec("How many more match that the server's rules hide.", default=0)


class FindSources(Message, kind=56, name="find_sources"):
    """Who holds this file?"""

    request: RequestId = spec("Chosen by the client.")
    file: FileId = spec("The file.")
    limit: Annotated[int, Range(1, limits.SOURCES_MAX)] = spec(
        "Most sources wanted.", default=limits.SOURCES_MAX
    )


class Sources(Message, kind=58, name="sources", frame_max=64 * limits.KIB, answers=(FindSources,)):
    """People online who hold it, but for the asker: all, or some at random if more than asked for."""

    request: RequestId = spec("The request it answers.")
    total: Count = spec("How many there are in all.")
    some: Annotated[tuple[Source, ...], Size(0, limits.SOURCES_MAX)] = spec("The chosen ones.")


class AskTicket(Message, kind=60, name="ask_ticket"):
    """Ask to reach a person."""

    request: RequestId = spec("Chosen by the client.")
    node: NodeId = spec("Whom.")


class TicketIssued(Message, kind=62, name="ticket_issued", frame_max=8 * limits.KIB, answers=(AskTicket,)):
    """What is needed to reach them."""

    request: RequestId = spec("The request it answers.")
    ticket: TicketBytes = spec("Signed by the server; shown to the person in `knock`.")
    addresses: Addresses = spec("Where they take connections.")
    reverse: bool = spec(
        "They cannot be reached from outside and were asked to connect to the asker; wait for them.",
        default=False,
    )


class Caller(Message, kind=63, name="caller", frame_max=8 * limits.KIB):
    """The server tells a client that somebody was given a ticket to reach it."""

    node: NodeId = spec("Who.")
    nick: Nick = spec("Their nick.")
    ticket: TicketBytes = spec("A ticket in the other direction, to use when connecting to them.")
    addresses: Addresses = spec("Where they take connections; empty unless `reverse`.")
    reverse: bool = spec("Connect to them: they cannot reach you.", default=False)


class LookUp(Message, kind=64, name="look_up"):
    """Who is this? By key, or by nick when the key is nil."""

    request: RequestId = spec("Chosen by the client.")
    node: NodeId | None = spec("The key, if known.", default=None)
    nick: Annotated[str, Size(0, limits.NICK_BYTES_MAX)] = spec(
        "The nick, if the key is not known.", default=""
    )


class Person(Message, kind=66, name="person", answers=(LookUp,)):
    """A person with an account on this server."""

    request: RequestId = spec("The request it answers.")
    node: NodeId = spec("Their key.")
    nick: Nick = spec("Their nick.")
    online: bool = spec("Whether they are online now.")
    offers: Count = spec("How many files they offer.", default=0)
    given_bytes: Count = spec("Bytes given to others here, by receipts that both signed.", default=0)
    given_people: Count = spec("To how many.", default=0)
    taken_bytes: Count = spec("Bytes taken from others here, by receipts that both signed.", default=0)
    taken_people: Count = spec("From how many.", default=0)


class ReportReceipts(Message, kind=68, name="report_receipts", frame_max=8 * limits.KIB):
    """Tell receipts that the client holds as giver or as taker; the newest of each pair."""

    request: RequestId = spec("Chosen by the client.")
    receipts: Annotated[tuple[ReceiptBytes, ...], Size(1, limits.RECEIPTS_PER_REPORT)] = spec("The receipts.")


class ReceiptsReported(Message, kind=70, name="receipts_reported", answers=(ReportReceipts,)):
    """They are stored, as far as they were news."""

    request: RequestId = spec("The request it answers.")
    news: Annotated[int, Range(0, limits.RECEIPTS_PER_REPORT)] = spec("How many of them were news.")


class Slots(Message, kind=71, name="slots"):
    """How long somebody new would wait for an upload slot here, told when it changes; nothing answers it."""

    wait_s: Seconds = spec("How long, in seconds; 0: a slot is free.")
