"""Every protocol number, with its unit in its name and its reason beside it.

protocol.md prints this page as its table of limits: the comment behind a number is the reason given there.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

# --- session: records and frames ---------------------------------------------------------------------
PROTOCOL_NAME = b"p2pshare/1"  # the prologue of the Noise handshake; another protocol fails at once
PROTOCOL_VERSION = 1  # the one version spoken here
RECORD_BYTES_MAX = 65_535  # a Noise message carries a 16-bit length
RECORD_TAG_BYTES = 16  # the AES-GCM tag at the end of each record
RECORD_PLAINTEXT_MAX = RECORD_BYTES_MAX - RECORD_TAG_BYTES  # what a full record carries
REKEY_AFTER_RECORDS = 1 << 20  # a key seals at most 64 GiB, far below the bound of AES-GCM
HANDSHAKE_BYTES_MAX = 4 * KIB  # a hello, a key and a signature need 400 bytes; the rest is room to grow
HANDSHAKE_TIMEOUT_S = 10  # three messages; a peer slower than this holds a place that others need
COME_AGAIN_S_MAX = 60  # what an acceptor without a place can ask for: it has not proven who it is
PING_AFTER_S = 45  # below the shortest NAT timeouts seen for TCP (60 s)
SILENT_AFTER_S = 110  # two pings unanswered, and some
FRAME_BYTES_MAX = 256 * KIB  # the largest declared message; each kind has a cap of its own below it
UNKNOWN_FRAME_BYTES_MAX = 16 * KIB  # an unknown odd kind may be this large and is skipped
OUTBOX_HIGH_WATER_BYTES = 2 * MIB  # a sender waits above this: two data messages, enough to fill a socket
OUTBOX_BYTES_MAX = 8 * MIB  # notices nobody reads pile up to this, then the connection closes
OUTBOX_SPARE_BYTES = 64 * KIB  # behind more than this, news that may be missed is left out
INDEX_OUTBOX_BYTES_MAX = 1 * MIB  # the same at an index server, where ten thousand may be slow at once
CONTROL_MESSAGES_PER_S = (
    2_000  # sustained messages from one connection: a folder of small files needs hundreds
)
CONTROL_MESSAGES_BURST = 10_000  # pages of a listing or a batch of requests at once
CONTROL_BYTES_PER_S = 32 * MIB  # 100,000 offers of some 200 bytes a second, and room
CONTROL_BYTES_BURST = 64 * MIB  # the first publish of a large share
REQUESTS_OPEN_MAX = 64  # requests of one side that wait for an answer at the same time

# --- identities and names ----------------------------------------------------------------------------
KEY_BYTES = 32  # Ed25519 public keys, X25519 public keys, BLAKE3 hashes
SIGNATURE_BYTES = 64  # Ed25519
NICK_CHARS_MIN = 2  # one letter is too easily taken for another
NICK_CHARS_MAX = 32  # fits a column
NICK_BYTES_MAX = 128  # 32 characters of four bytes
AGENT_BYTES_MAX = 64  # program name and version
TEXT_BYTES_MAX = 1 * KIB  # a sentence for a person
PATH_BYTES_MAX = 1 * KIB  # folder and name of an offer; longer ones exist on no common system
NAME_BYTES_MAX = 240  # ext4, NTFS and APFS take 255; the rest is room for " (2)" and ".part"
PATH_DEPTH_MAX = 32  # folders within folders
HOST_BYTES_MAX = 255  # a DNS name
ADDRESSES_MAX = 8  # addresses told for one peer
LINK_BYTES_MAX = 2 * KIB  # a link that a person can paste anywhere

# --- files and pieces --------------------------------------------------------------------------------
FILE_BYTES_MAX = 1 * TIB  # 65,536 pieces of 16 MiB: a list of 2 MiB
PIECE_BYTES_MIN = 64 * KIB  # one record; a 4 MiB song still has 64 pieces to trade
PIECE_BYTES_MAX = 16 * MIB  # what one lie can cost at most
PIECES_AIM = 1_024  # the smallest piece size that keeps a file at or below this many pieces
PIECES_MAX = FILE_BYTES_MAX // PIECE_BYTES_MAX  # the longest piece list
HASHES_PER_MESSAGE = 4_096  # 128 KiB of piece hashes in one message
DATA_BYTES_MAX = 1 * MIB  # bytes in one data message, so that others can pass between two of them
FETCH_PIECES_MAX = 256  # pieces in one request
FETCHES_OPEN_MAX = 32  # requests for data that wait at one source
OPEN_FILES_MAX = 64  # files that one peer may have open at another
SMALL_FILE_BYTES_MAX = 256 * KIB  # a file that may come whole among others: what one lie costs, four pieces
FETCH_FILES_MAX = 1_000  # files in one request

# --- index server ------------------------------------------------------------------------------------
QUERY_BYTES_MAX = 256  # characters typed, not pasted
QUERY_WORDS_MAX = 16  # words and phrases of one query
RESUME_TOKEN_BYTES = 16  # nobody guesses one, and it only works with the key of its account
SEARCH_PAGE_MAX = 100  # hits on one page
HIT_NAMES_MAX = 4  # other names of one file; more of them tell nothing new
FACET_EXTENSIONS_MAX = 12  # extensions counted for one search: what fits a side bar
CONTACTS_PER_SEARCH_MAX = 128  # contacts named in one search, 4 KiB of keys
SLOTS_PER_MINUTE = 12  # notices of one client on its slots: one in five seconds tells enough
HIT_SOURCES_MAX = 8  # sources named in a hit; find_sources gives more
SOURCES_MAX = 100  # sources on one page of find_sources
SEARCHES_OPEN_MAX = 8  # searches of one client under way at the same time
EXTENSIONS_MAX = 16  # extensions in one filter
EXTENSION_BYTES_MAX = 16  # "flac", "torrent"; longer ones are not extensions
PUBLISH_BATCH = 500  # offers added or removed by one message: 500 x some 200 bytes stays below 256 KiB
OFFERS_PER_ACCOUNT_MAX = 1_000_000  # the default of a server's own limit
TAG_TEXT_BYTES_MAX = 200  # title, artist, album
TICKET_BYTES = 184  # fixed layout, see the section on tickets
TICKET_LIFETIME_S = 120  # long enough to dial every address, short enough to be useless when stolen
CLOCK_SKEW_S = 300  # clocks of two honest machines may differ by this
PORT_TEST_TIMEOUT_S = 5  # a port that answers later is not of much use
PORT_TESTS_PER_MINUTE = 4  # of one account; each makes the server open a connection
TICKETS_PER_MINUTE = 240  # of one account; a large folder from many people needs dozens
RULE_TEXT_BYTES_MAX = 300  # a reason or an appeal: both fit one sentence that is shown
RULES_PAGE_MAX = 40  # rules on one page: some 1 KiB each
BUDGETS_MAX = 64  # kinds of requests, and room to grow
ANNOUNCEMENT_BYTES_MAX = 2 * KIB  # what an operator says to everybody at once
RECORD_LINE_BYTES_MAX = 64 * KIB  # one thing that a server keeps about an account
RECORD_PAGE_MAX = 500  # such things on one page
INVITE_CODE_BYTES_MAX = 64  # proves that somebody was invited
WISHES_MAX = 500  # wishes of one account: their numbers fit one message
WISH_HITS_MAX = 40  # hits told at once: with long names and tags some 140 KiB
WISH_FOUND_MAX = 500  # files found for one wish; one that finds more is no wish, and rests

# --- peers -------------------------------------------------------------------------------------------
LISTING_PAGE_MAX = 500  # entries on one page of a folder
HAVES_PER_MESSAGE = 512  # pieces told by one have message
OTHERS_MAX = 20  # people named in one answer: a random graph of that degree has no bottleneck at any size
OTHERS_PAUSE_S = 1  # before somebody asks for others of the same file again
QUEUE_TICKET_BYTES = 144  # fixed layout, see the section on queue tickets
QUEUE_TICKET_LIFETIME_S = 604_800  # a week: somebody who was away over a weekend has not waited in vain
PREVIEW_BYTES = 1 * MIB  # at the beginning and at the end of a file: what a player or a viewer looks at first

# --- credit ------------------------------------------------------------------------------------------
RECEIPT_BYTES = 200  # fixed layout, see the section on receipts
RECEIPT_TOTAL_MAX = 1024 * TIB  # thousands of such totals still add up within 63 bits
RECEIPT_AHEAD_BYTES_MAX = 16 * MIB  # a taker has counted what its giver is only about to count
RECEIPTS_PER_REPORT = 32  # 64 signatures to check: some 10 ms of an index server's time, others in between
