"""identity: the key that a person is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from client.cli.output import Output
from client.cli.run import PASSPHRASE_VARIABLE, Ending, Front, json_option
from client.engine.profile import Profile
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.identity import (
    Identity,
    export_identity,
    format_node_id,
    import_identity_untrusted,
    is_locked,
    load_identity,
    save_identity,
    short_id,
)


@click.group()
def identity() -> None:
    """Show, back up, restore or lock your key. Whoever has the key can be you."""


@identity.command("show")
@json_option
@click.pass_obj
def show(front: Front, as_json: bool) -> None:
    """Show who you are, and where the key is. No secrets."""
    with _in_words():
        mine, locked = _load(front.profile), is_locked(front.profile.identity_file)
    out = Output(as_json)
    out.result(
        {
            "person": format_node_id(mine.node_id),
            "short": short_id(mine.node_id),
            "file": str(front.profile.identity_file),
            "locked": locked,
        }
    )
    out.say(f"{short_id(mine.node_id)}\n{format_node_id(mine.node_id)}")
    out.say(f"{front.profile.identity_file}, {'locked by a passphrase' if locked else 'not locked'}")


@identity.command("export")
@click.option("--unlocked", is_flag=True, help="Without a passphrase: whoever finds the copy can be you.")
@click.pass_obj
def export(front: Front, unlocked: bool) -> None:
    """Print your secret key as one line, to be kept in a safe place. It is locked by a passphrase."""
    with _in_words():
        mine = _load(front.profile)
        click.echo(export_identity(mine, None if unlocked else _new_passphrase("Passphrase for this copy")))


@identity.command("import")
@click.argument("file", type=click.File(), default="-")
@click.pass_obj
def import_(front: Front, file: TextIO) -> None:
    """Restore a key from a FILE that `export` made, or from stdin. Never replaces a key.

    It is locked afterwards if the copy was.
    """
    text = "\n".join(line for line in file.read(4096).splitlines() if not line.startswith("#"))
    with _in_words():
        passphrase = None
        try:
            restored = import_identity_untrusted(text, None)
        except BadMessage as error:
            if ":locked:" not in text.lower():
                raise LocalTrouble(error.text) from None
            passphrase = _passphrase("Passphrase of this copy")
            try:
                restored = import_identity_untrusted(text, passphrase)
            except BadMessage as wrong:
                raise LocalTrouble(wrong.text) from None
        front.profile.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_identity(front.profile.identity_file, restored, passphrase)
    click.echo(f"You are {short_id(restored.node_id)} again.")
    if not front.profile.settings_file.exists():
        click.echo("Go on with: p2pshare init")


@identity.command("passphrase")
@click.option("--remove", is_flag=True, help="Keep the key without a passphrase.")
@click.pass_obj
def passphrase(front: Front, remove: bool) -> None:
    """Lock your key with a passphrase, or change it, or remove it."""
    path = front.profile.identity_file
    with _in_words():
        mine = _load(front.profile)
        chosen = None if remove else _new_passphrase("New passphrase")
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        save_identity(draft, mine, chosen)
        draft.replace(path)
    click.echo("Your key is not locked any more." if remove else "Your key is locked by the new passphrase.")


def _load(profile: Profile) -> Identity:
    path: Path = profile.identity_file
    return load_identity(path, _passphrase("Passphrase of your key") if is_locked(path) else None)


def _passphrase(question: str) -> str:
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given
    return _prompted(question)


def _new_passphrase(question: str) -> str:
    return _prompted(question, confirmation_prompt=True)


def _prompted(question: str, confirmation_prompt: bool = False) -> str:
    if not sys.stdin.isatty():
        raise LocalTrouble(f"{question}: nobody can be asked here. Run this in a terminal.")
    answer: str = click.prompt(question, hide_input=True, confirmation_prompt=confirmation_prompt, err=True)
    return answer


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except LocalTrouble as error:
        raise Ending(str(error)) from None
    except OSError as error:
        raise Ending(f"{error.filename}: {error.strerror}.") from None
