from __future__ import annotations

import base64
import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2pshare.errors import BadMessage, LocalTrouble, Misuse
from p2pshare.identity import (
    CONTEXT_NOISE,
    CONTEXT_TICKET,
    Identity,
    NodeId,
    create_identity,
    export_identity,
    format_node_id,
    import_identity_untrusted,
    is_locked,
    load_identity,
    parse_node_id_untrusted,
    save_identity,
    short_id,
    verify,
)

ALICE = Identity.from_seed(bytes(range(32)))
BOB = Identity.from_seed(b"\x02" * 32)


def counted(n: int) -> bytes:
    """Randomness that is the same every time."""
    return bytes(range(100, 100 + n))


@pytest.fixture(scope="module")
def locked_text() -> str:
    return export_identity(ALICE, "correct horse", counted)


# --- keys and signatures


def test_the_node_id_is_the_public_key_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert Identity.from_seed(seed).node_id == public
    assert Identity.from_seed(seed).seed() == seed


def test_a_signature_holds_for_its_signer_context_and_data_only() -> None:
    signature = ALICE.sign(CONTEXT_NOISE, b"data")
    assert len(signature) == 64
    assert verify(ALICE.node_id, CONTEXT_NOISE, b"data", signature)
    assert not verify(BOB.node_id, CONTEXT_NOISE, b"data", signature)
    assert not verify(ALICE.node_id, CONTEXT_TICKET, b"data", signature)
    assert not verify(ALICE.node_id, CONTEXT_NOISE, b"Data", signature)


def test_the_end_of_a_context_cannot_move_into_the_data() -> None:
    assert not verify(ALICE.node_id, b"conte", b"xt\0data", ALICE.sign(b"context", b"data"))


@pytest.mark.parametrize("key", [b"", b"\xff" * 32, b"\0" * 31, b"\0" * 33])
@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 65])
def test_odd_keys_and_signatures_verify_nothing(key: bytes, signature: bytes) -> None:
    assert verify(NodeId(key), CONTEXT_NOISE, b"data", signature) is False


def test_a_seed_of_the_wrong_length_is_our_own_mistake() -> None:
    with pytest.raises(Misuse):
        Identity.from_seed(b"short")


def test_the_repr_tells_the_short_id_and_not_the_secret() -> None:
    assert repr(ALICE) == f"<Identity {short_id(ALICE.node_id)}>"


# --- ids as text


def test_a_node_id_survives_its_text_in_either_case() -> None:
    text = format_node_id(ALICE.node_id)
    assert len(text) == 52
    assert text == text.lower()
    assert parse_node_id_untrusted(text) == ALICE.node_id
    assert parse_node_id_untrusted(text.upper()) == ALICE.node_id


@pytest.mark.parametrize(
    "text",
    {
        "empty": "",
        "one short": "a" * 51,
        "one long": "a" * 53,
        "digit one": "1" + "a" * 51,
        "padding inside": "a" * 48 + "====",
        "kelvin sign": "\u212a" + "a" * 51,
        "space": " " + "a" * 51,
        "last bits not zero": "a" * 51 + "b",
    }.values(),
)
def test_a_node_id_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_node_id_untrusted(text)


def test_the_short_id_is_three_groups_of_four() -> None:
    assert short_id(NodeId(bytes(32))) == "flni-hqmb-tjjx"
    assert short_id(ALICE.node_id) != short_id(BOB.node_id)


# --- export and import


def test_an_open_export_comes_back() -> None:
    text = export_identity(ALICE, None)
    assert text.startswith("p2pshare-identity:1:plain:")
    assert import_identity_untrusted(text, None).seed() == ALICE.seed()


def test_an_export_typed_in_from_paper_comes_back() -> None:
    text = export_identity(ALICE, None).upper()
    typed = "  " + "\n".join(text[start : start + 11] + " " for start in range(0, len(text), 11))
    assert import_identity_untrusted(typed, None).seed() == ALICE.seed()


def test_a_locked_export_opens_with_its_passphrase_only(locked_text: str) -> None:
    assert import_identity_untrusted(locked_text, "correct horse").seed() == ALICE.seed()
    with pytest.raises(BadMessage, match="does not fit"):
        import_identity_untrusted(locked_text, "correct horsf")
    for passphrase in (None, ""):
        with pytest.raises(BadMessage, match="is locked"):
            import_identity_untrusted(locked_text, passphrase)


def test_a_locked_export_is_what_the_docstring_says(locked_text: str) -> None:
    prefix, _, text = locked_text.rpartition(":")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    salt, nonce, sealed = data[:16], data[16:28], data[28:76]
    assert (salt, nonce) == (counted(16), counted(12))
    key = hashlib.scrypt(b"correct horse", salt=salt, n=1 << 17, r=8, p=1, maxmem=1 << 28, dklen=32)
    assert AESGCM(key).decrypt(nonce, sealed, f"{prefix}:".encode()) == ALICE.seed()


def test_a_passphrase_typed_with_composed_or_split_accents_is_the_same() -> None:
    text = export_identity(ALICE, "cafe\u0301", counted)
    assert import_identity_untrusted(text, "caf\u00e9").seed() == ALICE.seed()


def test_an_empty_passphrase_locks_nothing() -> None:
    with pytest.raises(LocalTrouble, match="passphrase is empty"):
        export_identity(ALICE, "", counted)


def test_every_single_typing_error_is_found() -> None:
    text = export_identity(ALICE, None)
    start = text.rindex(":") + 1
    for place in range(start, len(text) - 1):  # the last character has spare bits
        wrong = "b" if text[place] == "a" else "a"
        with pytest.raises(BadMessage, match="mistyped"):
            import_identity_untrusted(text[:place] + wrong + text[place + 1 :], None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "p2pshare-identity:2:plain:aaaa",
        "p2pshare-identity:1:plain:",
        "p2pshare-identity:1:plain:8é",
    ],
)
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        import_identity_untrusted(text, None)


# --- the file


def test_a_created_identity_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    created = create_identity(path, None, ALICE.seed(), counted)
    assert created.node_id == load_identity(path, None).node_id == ALICE.node_id
    assert not is_locked(path)
    assert os.listdir(tmp_path) == ["identity"]


def test_a_locked_file_needs_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    save_identity(path, ALICE, "secret", counted)
    assert is_locked(path)
    assert ALICE.seed() not in path.read_bytes()
    with pytest.raises(LocalTrouble, match="is locked"):
        load_identity(path, None)
    with pytest.raises(LocalTrouble, match="does not fit"):
        load_identity(path, "guess")
    assert load_identity(path, "secret").seed() == ALICE.seed()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_file_is_private_before_a_byte_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real_open = os.open

    def watched_open(path: Path, flags: int, mode: int = 0o777) -> int:
        handle = real_open(path, flags, mode)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(os, "open", watched_open)
    previous = os.umask(0)
    try:
        save_identity(tmp_path / "identity", ALICE, None)
    finally:
        os.umask(previous)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "my identity"
    save_identity(path, ALICE, None)
    path.chmod(mode)
    with pytest.raises(LocalTrouble) as caught:
        load_identity(path, None)
    assert str(caught.value).endswith(f"Run: chmod 600 '{path}'")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_nothing_is_ever_overwritten(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "identity", tmp_path / "other"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        if kind == "link":
            other.write_text("precious")
        path.symlink_to(other)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(LocalTrouble, match="already is a file"):
        save_identity(path, ALICE, None)
    assert sorted(os.listdir(tmp_path)) == before
    if kind in ("file", "link"):
        assert path.read_text() == "precious"


def test_a_missing_file_or_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalTrouble, match="There is no identity in"):
        load_identity(tmp_path / "none", None)
    with pytest.raises(LocalTrouble, match="could not be saved"):
        save_identity(tmp_path / "none" / "identity", ALICE, None)


@pytest.mark.parametrize(
    "data", [b"", b"#\n", b"\xff" * 100, b"x" * 10_000, b"p2pshare-identity:1:plain:aaaa\n"], ids=range(5)
)
def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "identity"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(LocalTrouble, match="cannot be used"):
        load_identity(path, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_folder_in_the_place_of_the_file_hangs_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path):
        with pytest.raises(LocalTrouble, match="is not a file"):
            load_identity(path, None)


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(LocalTrouble, match="Operation not permitted"):
        save_identity(tmp_path / "identity", ALICE, None)
    assert os.listdir(tmp_path) == []
