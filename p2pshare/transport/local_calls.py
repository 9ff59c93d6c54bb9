"""What a running program lets other processes of the same person call: one call per connection on loopback.

Loopback TCP works on every system, but anybody on the machine can connect. So a file that only its owner can
read holds two secrets: who calls says `call`, and the program answers with `answer` first, so that a stranger
who took over the port of a dead program is found out. Each line is JSON and has a limit:

    caller   {"secret": <call>, "method": "search", "arguments": {"query": "blue"}}
    program  {"secret": <answer>}
    program  {"result": ...}   or   {"error": "Refused", "text": ..., "reason": 12, "retry_after_s": 0}

Hanging up cancels the call. The methods, with the types of their arguments and results, are those of a class.
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
from pathlib import Path
from typing import Any, cast, get_type_hints

import msgspec
import trio

from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, P2PError, Reason, Refused

CALL_BYTES_MAX = 64 << 10  # a path or a link with all other arguments needs 8 KiB
ANSWER_BYTES_MAX = 256 << 20  # half a million downloads
CALL_TIMEOUT_S = 5  # the caller is on the same machine and speaks at once
CALLS_OPEN_MAX = 64  # a person runs a few commands at a time
HOST = "127.0.0.1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """What the file says."""

    port: int
    call: str
    answer: str
    pid: int


class Method:
    """How one method is called, from its signature."""

    def __init__(self, function: Any) -> None:
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


class LocalCalls:
    """The async methods of a class, for other processes to call."""

    def __init__(self, face: type, program: str, other_version: str) -> None:
        """`other_version`: the sentence for whoever calls a program that runs in another version."""
        self.program = program
        self.other_version = other_version
        self.methods = {
            name: Method(function)
            for name, function in vars(face).items()
            if inspect.iscoroutinefunction(function)
        }

    async def serve(
        self, face: object, file: Path, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Answers until cancelled; `file` tells where. Started once others can call. Raises LocalTrouble."""
        try:
            listeners = await trio.open_tcp_listeners(0, host=HOST)
            port = listeners[0].socket.getsockname()[1]
            running = Running(port, secrets.token_hex(32), secrets.token_hex(32), os.getpid())
            _write_private(file, running)
        except OSError as error:
            raise LocalTrouble(f"Other commands cannot reach this one: {error.strerror}.") from None
        calls_open = 0

        async def answer(stream: trio.SocketStream) -> None:
            nonlocal calls_open
            calls_open += 1
            try:
                async with stream:
                    if calls_open <= CALLS_OPEN_MAX:
                        await self._answer_untrusted(stream, face, running)
            except (BadMessage, trio.BrokenResourceError, trio.TooSlowError) as error:
                _log.debug("A call from another process ended: %s", error)
            except Exception:  # of one call; the program and the other calls go on
                _log.exception("A call from another process failed.")
            finally:
                calls_open -= 1

        try:
            await trio.serve_listeners(answer, listeners, task_status=cast(Any, task_status))
        finally:
            _remove(file, running)

    async def connect(self, file: Path) -> RunningProgram | None:
        """The program that runs in another process and wrote `file`; None if none does."""
        running = _read(file)
        if running is None:
            return None
        program = RunningProgram(self, running)
        try:
            await program.knock()
        except Disconnected:
            return None
        return program

    async def _answer_untrusted(self, stream: trio.SocketStream, face: object, running: Running) -> None:
        """One call of a caller who may be anybody. Raises BadMessage, BrokenResourceError, TooSlowError."""
        lines = Lines(stream)
        with trio.fail_after(CALL_TIMEOUT_S):
            call = await lines.read_untrusted(CALL_BYTES_MAX)
        if not _same(call.get("secret"), running.call):
            raise BadMessage("The secret is wrong.")
        await stream.send_all(_line({"secret": running.answer}))
        name = call.get("method")
        if name == "":
            await stream.send_all(_line({"result": None}))
            return
        method = self.methods.get(name) if isinstance(name, str) else None
        if method is None:
            raise BadMessage("There is no such method.")
        arguments = method.arguments_untrusted(call.get("arguments"))
        async with trio.open_nursery() as nursery:

            async def hung_up() -> None:
                with suppress(trio.BrokenResourceError):
                    await stream.receive_some(1)
                nursery.cancel_scope.cancel()

            nursery.start_soon(hung_up)
            answer = _line(await self._outcome(getattr(face, str(name)), arguments))
            with suppress(trio.BrokenResourceError):
                await stream.send_all(answer)
            nursery.cancel_scope.cancel()

    async def _outcome(self, call: Any, arguments: dict[str, Any]) -> dict[str, object]:
        """Whatever goes wrong in a call of another process must not end this one."""
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
            text = f"The running {self.program} made a mistake; its log says which."
            return {"error": "LocalTrouble", "text": text}


class RunningProgram:
    """Every method of the class, carried out by another process."""

    def __init__(self, calls: LocalCalls, running: Running) -> None:
        self._calls = calls
        self._running = running

    def __getattr__(self, name: str) -> Any:
        try:
            method = self._calls.methods[name]
        except KeyError:
            raise AttributeError(name) from None

        async def call(*positional: object, **named: object) -> Any:
            arguments = method.signature.bind(None, *positional, **named).arguments
            del arguments["self"]
            result = await self._ask(name, arguments)
            try:
                return msgspec.convert(result, method.types["return"])
            except msgspec.ValidationError:
                raise LocalTrouble(self._calls.other_version) from None

        return call

    async def knock(self) -> None:
        """Is the program there? Raises Disconnected."""
        await self._ask("", {})

    async def _ask(self, method: str, arguments: dict[str, object]) -> object:
        program = self._calls.program
        try:
            async with await trio.open_tcp_stream(HOST, self._running.port) as stream:
                lines = Lines(stream)
                call = {
                    "secret": self._running.call,
                    "method": method,
                    "arguments": msgspec.to_builtins(arguments),
                }
                await stream.send_all(_line(call))
                with trio.fail_after(CALL_TIMEOUT_S):
                    greeting = await lines.read_untrusted(CALL_BYTES_MAX)
                if not _same(greeting.get("secret"), self._running.answer):
                    raise Disconnected(f"Another program has taken the port of the running {program}.")
                answer = await lines.read_untrusted(ANSWER_BYTES_MAX)
        except (OSError, BadMessage, trio.TooSlowError):
            raise Disconnected(f"The running {program} ended.") from None
        if "error" in answer:
            raise self._error(answer)
        return answer.get("result")

    def _error(self, answer: dict[str, Any]) -> P2PError:
        text = str(answer.get("text"))
        try:
            if answer["error"] == "Refused":
                return Refused(Reason(answer["reason"]), text, int(answer["retry_after_s"]))
        except (KeyError, TypeError, ValueError):
            return LocalTrouble(self._calls.other_version)
        return Disconnected(text) if answer["error"] == "Disconnected" else LocalTrouble(text)


class Lines:
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


def _read(file: Path) -> Running | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write_private(file: Path, running: Running) -> None:
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(msgspec.json.encode(running))
    draft.replace(file)


def _remove(file: Path, running: Running) -> None:
    if _read(file) == running:  # whoever took over has written its own
        file.unlink(missing_ok=True)
