"""An account: what the server keeps of it, its end, and the operator's words to whoever has one."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.wire.fields import Cursor, RequestId, UnixTime
from p2pshare.wire.schema import Message, Size, spec

RecordLine = Annotated[str, Size(2, limits.RECORD_LINE_BYTES_MAX)]


class AskRecord(Message, kind=12, name="ask_record"):
    """What does the server keep about this account?"""

    request: RequestId = spec("Chosen by the client.")
    cursor: Cursor = spec("From the page before; empty for the first.", default=b"")


class Record(Message, kind=14, name="record", frame_max=limits.FRAME_BYTES_MAX, answers=(AskRecord,)):
    """One page of what the server keeps about the account."""

    request: RequestId = spec("The request it answers.")
    lines: Annotated[tuple[RecordLine, ...], Size(0, limits.RECORD_PAGE_MAX)] = spec(
        "Each a JSON object, in which `what` names what it describes; `account` comes first."
    )
    cursor: Cursor = spec("Ask with it for the next page; empty on the last.", default=b"")


class EraseAccount(Message, kind=16, name="erase_account"):
    """Forget this account and everything about it. It cannot be undone."""

    request: RequestId = spec("Chosen by the client.")


class AccountErased(Message, kind=18, name="account_erased", answers=(EraseAccount,)):
    """Nothing of it is kept any more. The server closes the connection behind this."""

    request: RequestId = spec("The request it answers.")


class Announcement(Message, kind=19, name="announcement", frame_max=8 * limits.KIB):
    """The operator says something to everybody who is online."""

    at: UnixTime = spec("When it was said, in Unix seconds.")
    text: Annotated[str, Size(1, limits.ANNOUNCEMENT_BYTES_MAX)] = spec("The words, for people.")
