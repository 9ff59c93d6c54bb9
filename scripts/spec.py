#!/usr/bin/env python3
"""Writes the tables of protocol.md from the declarations in the code; `--check` fails if one has drifted.

A generated part stands between `<!-- NAME ARGUMENT -->` and `<!-- end -->`. Further rules that are checked:
every message has a section of its own, and every sentence that the code quotes (`# protocol.md: "..."`)
stands there.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import tokenize
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from p2pshare import errors, kinds, limits, names  # noqa: E402
from p2pshare.session import states  # noqa: E402
from p2pshare.wire import REGISTRY, fields, wishes  # noqa: E402
from p2pshare.wire.schema import Message, Struct  # noqa: E402

SPEC = ROOT / "protocol.md"
VECTORS = ROOT / "tests" / "vectors"
PART = re.compile(r"<!-- (\w+)(?: ([^>]*?))? -->\n.*?<!-- end -->", re.DOTALL)
QUOTE = re.compile(r'# protocol\.md: "((?:[^"]|\n\s*# )+)"')
FOR_RUNNERS = ("expect:", "comment:", "what:", "name:", "kind:")  # lines of a vector that no reader needs
BY_NAME = {message.NAME: message for message in REGISTRY.values()}


def main() -> int:
    text = SPEC.read_text(encoding="utf-8")
    fresh = PART.sub(lambda match: part(match[1], match[2] or ""), text)
    problems = [
        f"protocol.md has no section on `{name}`."
        for name in BY_NAME
        if f"<!-- message {name} -->" not in text
    ]
    problems += missing_quotes(fresh)
    if "--check" in sys.argv[1:]:
        if fresh != text:
            problems.append(
                "protocol.md differs from the code. Run scripts/spec.py and look at what changed."
            )
    elif fresh != text:
        SPEC.write_text(fresh, encoding="utf-8")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def part(name: str, argument: str) -> str:
    mark = f"<!-- {name} {argument} -->" if argument else f"<!-- {name} -->"
    return f"{mark}\n{WRITERS[name](argument)}\n<!-- end -->"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(
        lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    )


def message_part(name: str) -> str:
    message = BY_NAME[name]
    facts = [f"Kind {message.KIND}", f"frame of at most {message.FRAME_MAX:,} bytes"]
    if message.PAYLOAD:
        facts.append(f"followed by a payload of `{message.PAYLOAD}` bytes")
    if message.ANSWERS:
        facts.append(
            "answers "
            + ", ".join(f"`{asked.NAME}`" for asked in message.ANSWERS if issubclass(asked, Message))
        )
    words = f"{one_line(message.__doc__)}\n\n{'; '.join(facts)}."
    return f"{words}\n\n{fields_table(message)}\n\nExample:\n\n{vector_part(f'message_{name}')}"


def struct_part(name: str) -> str:
    struct = getattr(fields, name, None) or getattr(wishes, name)
    return f"{one_line(struct.__doc__)}\n\n{fields_table(struct)}"


def fields_table(struct: type[Struct]) -> str:
    if not struct.FIELDS:
        return "No fields."
    rows = []
    for field in struct.FIELDS:
        default = "" if field.default is dataclasses.MISSING else default_text(field.default)
        rows.append(
            (
                f"`{field.name}`",
                field.type_text.replace("AddressField", "Address"),
                field.limits_text,
                default,
                field.doc,
            )
        )
    return table(("field", "type", "limits", "default", "meaning"), rows)


def default_text(value: object) -> str:
    if isinstance(value, Struct):
        return "all defaults"
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if value in ((), b"", ""):
        return "empty"
    return f"{value:,}" if isinstance(value, int) else repr(value)


def enum_part(name: str) -> str:
    enum: type[IntEnum] = getattr(errors, name, None) or getattr(fields, name)
    documented = any(member.__doc__ != enum.__doc__ for member in enum)
    rows = [(str(member.value), f"`{member.name}`", str(member.__doc__ or "")) for member in enum]
    if not documented:
        return table(("value", "name"), [row[:2] for row in rows])
    return table(("value", "name", "meaning"), rows)


def limits_part(_: str) -> str:
    """NAME = value  # reason, as limits.py says it."""
    source = Path(inspect.getfile(limits))
    comments: dict[int, str] = {}
    with source.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                comments[token.start[0]] = token.string.lstrip("# ")
    rows = []
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.lineno in comments:
            value = getattr(limits, node.targets[0].id)
            shown = f"{value:,}" if isinstance(value, int) else f'"{value.decode()}"'
            rows.append((f"`{node.targets[0].id}`", shown, comments[node.lineno]))
    return table(("limit", "value", "reason"), rows)


def states_part(_: str) -> str:
    rows = []
    for (talk, phase, party), allowed in states.ALLOWED.items():
        names = (
            ", ".join(f"`{message.NAME}`" for message in sorted(allowed, key=lambda m: m.KIND)) or "nothing"
        )
        following = states.NEXT.get((talk, phase))
        ends = f"`{following[0].NAME}`: {following[1].name}" if following else "no message"
        rows.append((talk.value, phase.name, party.name.lower(), names, ends))
    always = ", ".join(f"`{message.NAME}`" for message in sorted(states.ALWAYS, key=lambda m: m.KIND))
    head = ("connection", "phase", "sender", "may send", "what ends the phase")
    return f"{table(head, rows)}\n\nIn every phase either end may send {always}."


def kinds_part(_: str) -> str:
    rows = []
    for kind in kinds.FileKind:
        words = kinds.EXTENSIONS.get(kind, "everything else")
        rows.append((str(kind.value), kind.name.lower(), words))
    return table(("value", "kind", "extensions"), rows)


def folding_part(_: str) -> str:
    """The sets of characters that `names.search_words` treats in its own way."""

    def spans(ranges: Iterable[tuple[int, int]]) -> str:
        return ", ".join(
            f"{first:04X}" if first == last else f"{first:04X}-{last:04X}" for first, last in ranges
        )

    letters = ", ".join(
        f"{letter} (U+{ord(letter):04X}): `{typed}`" for letter, typed in names.LETTERS.items()
    )
    rows = [("dropped", spans(names.DROPPED)), ("letters", letters), ("unspaced", spans(names.UNSPACED))]
    return table(("set", "characters"), rows)


def registry_part(_: str) -> str:
    rows = [
        (str(kind), f"`{message.NAME}`", one_line(message.__doc__))
        for kind, message in sorted(REGISTRY.items())
    ]
    return table(("kind", "message", "purpose"), rows)


def vector_part(name: str) -> str:
    """A vector as it stands in its file, less what only a runner needs: examples are never copied by hand."""
    lines = (VECTORS / f"{name}.txt").read_text(encoding="utf-8").rstrip().split("\n")
    shown = [line for line in lines if not line.startswith(FOR_RUNNERS)]
    return "\n".join(["```", *shown, "```"])


def one_line(doc: str | None) -> str:
    return " ".join((doc or "").split())


WRITERS: dict[str, Callable[[str], str]] = {
    "message": message_part,
    "struct": struct_part,
    "enum": enum_part,
    "limits": limits_part,
    "states": states_part,
    "kinds": kinds_part,
    "folding": folding_part,
    "registry": registry_part,
    "vector": vector_part,
}


def missing_quotes(spec: str) -> list[str]:
    """Sentences that the code claims to obey and that the specification does not say."""
    said = " ".join(spec.split())
    problems = []
    for folder in ("p2pshare", "index_server", "client"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for quote in QUOTE.findall(path.read_text(encoding="utf-8")):
                sentence = " ".join(re.sub(r"\n\s*# ", " ", quote).split())
                if sentence not in said:
                    problems.append(
                        f'{path.relative_to(ROOT)} quotes what protocol.md does not say: "{sentence}"'
                    )
    return problems


if __name__ == "__main__":
    sys.exit(main())
