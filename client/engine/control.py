"""The engine's face for other processes of the same person: one call per connection on loopback.

Loopback TCP works on every system, but anybody on the machine can connect. So `running.json`, which only its
owner can read, holds two secrets: who calls says `call`, and the engine answers with `answer` first, so that
a stranger who took over the port of a dead engine is found out. Each line is JSON and has a limit:

    caller   {"secret": <call>, "method": "search", "arguments": {"query": "blue"}}
    engine   {"secret": <answer>}
    engine   {"result": ...}   or   {"error": "Refused", "text": ..., "reason": 12, "retry_after_s": 0}

Hanging up cancels the call. The methods, with the types of their arguments and results, are those of `Face`.
"""

from __future__ import annotations

import hmac
import inspect
import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast, get_type_hints

import msgspec
import trio

from client.engine.face import Face
from client.engine.profile import Profile
from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, P2PError, Reason, Refused

CALL_BYTES_MAX = 64 << 10  # a path or a link with all other arguments needs 8 KiB
ANSWER_BYTES_MAX = 256 << 20  # half a million downloads
CALL_TIMEOUT_S = 5  # the caller is on the same machine and speaks at once
CALLS_OPEN_MAX = 64  # a person runs a few commands at a time
HOST = "127.0.0.1"

_OTHER_VERSION = "The running p2pshare is of another version. End it with `p2pshare stop` and try again."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """What `running.json` says."""

    port: int
    call: str
    answer: str
    pid: int


class Method:
    """How one method of Face is called, from its signature."""

    def __init__(self, name: str) -> None:
        function = getattr(Face, name)
        self.signature = inspect.signature(function)
        self.types = get_type_hints(function)

    def arguments_untrusted(self, values: object) -> dict[str, Any]:
        """Raises BadMessage and nothing else."""
        if not isinstance(values, dict):
            raise BadMessage("The arguments are not named.")
        try:
            bound = self.signature.bind(None, **values)  # None stands for self
            return {
                name: msgspec.convert(value, self.types[name])
                for name, value in bound.arguments.items()
                if name != "self"
            }
        except (TypeError, msgspec.ValidationError) as error:
            raise BadMessage(f"The arguments do not fit: {error}.") from None

    def result(self, value: object) -> Any:
        try:
            return msgspec.convert(value, self.types["return"])
        except msgspec.ValidationError:
            raise LocalTrouble(_OTHER_VERSION) from None


METHODS: Final = {
    name: Method(name) for name in vars(Face) if inspect.iscoroutinefunction(getattr(Face, name, None))
}


async def serve_control(
    face: Face, profile: Profile, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answers other processes until cancelled. Started once they can call. Raises LocalTrouble."""
    try:
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        port = listeners[0].socket.getsockname()[1]
        running = Running(port, secrets.token_hex(32), secrets.token_hex(32), os.getpid())
        _write_private(profile, running)
    except OSError as error:
        raise LocalTrouble(f"Other commands cannot reach this one: {error.strerror}.") from None
    calls_open = 0

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal calls_open
        calls_open += 1
        try:
            async with stream:
                if calls_open <= CALLS_OPEN_MAX:
                    await _answer_untrusted(stream, face, running)
        except (BadMessage, trio.BrokenResourceError, trio.TooSlowError) as error:
            _log.debug("A call from another process ended: %s", error)
        except Exception:  # of one call; the engine and the other calls go on
            _log.exception("A call from another process failed.")
        finally:
            calls_open -= 1

    try:
        await trio.serve_listeners(answer, listeners, task_status=cast(Any, task_status))
    finally:
        profile.running_file.unlink(missing_ok=True)


async def connect_running(profile: Profile) -> Face | None:
    """The face of the engine that runs on this profile in another process; None if none does."""
    try:
        running = msgspec.json.decode(profile.running_file.read_bytes(), type=Running)
        face = RunningEngine(running)
        await face.knock()
    except (OSError, Disconnected, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return cast(Face, face)


class RunningEngine:
    """Every method of Face, carried out by the engine of another process."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def __getattr__(self, name: str) -> Any:
        try:
            method = METHODS[name]
        except KeyError:
            raise AttributeError(name) from None

        async def call(*positional: object, **named: object) -> Any:
            arguments = method.signature.bind(None, *positional, **named).arguments
            del arguments["self"]
            return method.result(await self._ask(name, arguments))

        return call

    async def knock(self) -> None:
        """Is the engine there? Raises Disconnected."""
        await self._ask("", {})

    async def _ask(self, method: str, arguments: dict[str, object]) -> object:
        try:
            async with await trio.open_tcp_stream(HOST, self._running.port) as stream:
                lines = _Lines(stream)
                call = {"secret": self._running.call, "method": method, "arguments": arguments}
                await stream.send_all(_line(call))
                with trio.fail_after(CALL_TIMEOUT_S):
                    greeting = await lines.read_untrusted(CALL_BYTES_MAX)
                if not _same(greeting.get("secret"), self._running.answer):
                    raise Disconnected("Another program has taken the port of the running p2pshare.")
                answer = await lines.read_untrusted(ANSWER_BYTES_MAX)
        except (OSError, BadMessage, trio.TooSlowError):
            raise Disconnected("The running p2pshare ended.") from None
        if "error" in answer:
            raise _error(answer)
        return answer.get("result")


async def _answer_untrusted(stream: trio.SocketStream, face: Face, running: Running) -> None:
    """One call of a caller who may be anybody. Raises BadMessage, BrokenResourceError and TooSlowError."""
    lines = _Lines(stream)
    with trio.fail_after(CALL_TIMEOUT_S):
        call = await lines.read_untrusted(CALL_BYTES_MAX)
    if not _same(call.get("secret"), running.call):
        raise BadMessage("The secret is wrong.")
    await stream.send_all(_line({"secret": running.answer}))
    name = call.get("method")
    if name == "":
        await stream.send_all(_line({"result": None}))
        return
    method = METHODS.get(name) if isinstance(name, str) else None
    if method is None:
        raise BadMessage("There is no such method.")
    arguments = method.arguments_untrusted(call.get("arguments"))
    async with trio.open_nursery() as nursery:

        async def hung_up() -> None:
            with suppress(trio.BrokenResourceError):
                await stream.receive_some(1)
            nursery.cancel_scope.cancel()

        nursery.start_soon(hung_up)
        answer = _line(await _outcome(getattr(face, str(name)), arguments))
        with suppress(trio.BrokenResourceError):
            await stream.send_all(answer)
        nursery.cancel_scope.cancel()


async def _outcome(call: Any, arguments: dict[str, Any]) -> dict[str, object]:
    """Whatever goes wrong in a call of another process must not end the engine of this one."""
    try:
        return {"result": msgspec.to_builtins(await call(**arguments))}
    except Refused as error:
        reason, wait = int(error.reason), error.retry_after_s
        return {"error": "Refused", "text": error.text, "reason": reason, "retry_after_s": wait}
    except P2PError as error:
        known = isinstance(error, (LocalTrouble, Disconnected))
        return {"error": type(error).__name__ if known else "LocalTrouble", "text": str(error)}
    except Exception:
        _log.exception("A call from another process failed.")
        return {"error": "LocalTrouble", "text": "The running p2pshare made a mistake; its log says which."}


def _error(answer: dict[str, Any]) -> P2PError:
    text = str(answer.get("text"))
    try:
        if answer["error"] == "Refused":
            return Refused(Reason(answer["reason"]), text, int(answer["retry_after_s"]))
    except (KeyError, TypeError, ValueError):
        return LocalTrouble(_OTHER_VERSION)
    return Disconnected(text) if answer["error"] == "Disconnected" else LocalTrouble(text)


class _Lines:
    """Lines of JSON from a stream."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def read_untrusted(self, bytes_max: int) -> dict[str, Any]:
        """The next line. Raises BadMessage (too long, no JSON object, cut off) and BrokenResourceError."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            data = await self._stream.receive_some(1 << 20)
            if not data or searched > bytes_max:
                raise BadMessage("The line does not end.")
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise BadMessage("The line is no JSON.") from None
        if not isinstance(value, dict):
            raise BadMessage("The line is no JSON object.")
        return value


def _line(value: Mapping[str, object]) -> bytes:
    # ASCII with escapes, so that even a path that is no valid text survives the way.
    return json.dumps(value).encode() + b"\n"


def _same(said: object, expected: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "replace"), expected.encode())


def _write_private(profile: Profile, running: Running) -> None:
    draft = profile.running_file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(running))
    draft.replace(profile.running_file)
