"""The one place for rules about text: names of files, words to search, nicks, and what a terminal may see.

All of it is pure. Text of strangers is compared, stored and shown only in a form made here.

**Words.** Client and server must fold alike, so the rule is exact:

1. Normalise to NFKD, fold the case (Unicode full case folding), normalise to NFKD again.
2. Drop every character in DROPPED: the diacritics of Latin, Greek and Cyrillic, the optional vowel points of
   Hebrew and Arabic, joiners, variation selectors. Marks elsewhere (Indic and Thai vowels, the voicing of
   kana) are part of the word and stay.
3. Normalise to NFC, which puts Korean syllables and voiced kana together again.
4. Replace the LETTERS that have no decomposition (ø by o, ae for æ; ß became ss by case folding).
5. A character that is neither letter, digit nor mark (Unicode categories L, N, M) separates words. So do
   underscores and apostrophes.
6. In the scripts written without spaces (UNSPACED) each character that is not a mark begins a word, and a
   character outside these scripts that follows one inside begins a word too. So each character is a word,
   with the marks that follow it, and a query for a longer text means these words side by side.

For ASCII this comes to: lower case, and words are the runs of a-z and 0-9.

Normalisation and case folding of assigned characters never change, so programs of different age fold alike; a
character newer than the Unicode tables of a Python only separates words there until that Python is renewed.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

from p2pshare.errors import BadMessage
from p2pshare.limits import (
    EXTENSION_BYTES_MAX,
    NAME_BYTES_MAX,
    NICK_CHARS_MAX,
    NICK_CHARS_MIN,
    PATH_BYTES_MAX,
    PATH_DEPTH_MAX,
)
from p2pshare.lookalikes import LOOKALIKES

# --- what must not be printed ------------------------------------------------------------------------

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_HOSTILE = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ud800-\udfff{_BIDI}]")
_JOINERS = "\u200c\u200d"  # shape Persian and Indic words, and families of emoji
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def display(text: str) -> str:
    """The text with everything that could steer a terminal or hide itself written as an escape, as in Python:
    control characters (ANSI sequences begin with one), line ends, bidi controls, zero-width characters, lone
    surrogates. One line in, one line out."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if _is_hidden(char) and char not in _JOINERS else char
        for char in text
    )


def has_control_characters(text: str) -> bool:
    """Does it contain control or direction characters, line ends or lone surrogates? No name needs them."""
    return not text.isprintable() and _HOSTILE.search(text) is not None


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES


# --- names of files ----------------------------------------------------------------------------------

_FORBIDDEN = set('<>:"/\\|?*')  # by Windows; a superset of what the others forbid
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    device + digit for device in ("com", "lpt") for digit in "0123456789¹²³"
}
_EXTENSION = re.compile(r"(?:\.tar)?\.[^. ]+$")
_NAMELESS = "unnamed"
_PLAIN = re.compile(r"[A-Za-z0-9 ()._-]*")  # most names: nothing in them is unsafe or changes under NFC
_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN_PART = r"[A-Za-z0-9][ -.0-9;-\[\]-~]*"  # ASCII without / : and the backslash; never . or ..
_PLAIN_PATH = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART}){{0,{PATH_DEPTH_MAX - 1}}}")


def safe_leaf_name(name: str) -> str:
    """A file name that Windows, macOS and Linux all take, from any text; never empty, never a way out.

    NFC, at most NAME_BYTES_MAX bytes of UTF-8 (the extension survives), nothing that separates, hides or is
    reserved, no dot or space at an end. Given its own result it changes nothing. Two names may become one:
    whoever creates the file must expect it to exist, in another case too.
    """
    while (safer := _safer(name)) != name:  # what was cut may have hidden another fault
        name = safer
    return name


def _safer(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        name = "".join("_" if _is_unsafe(char) else char for char in unicodedata.normalize("NFC", name))
    name = name.strip().rstrip(". ")
    if name.startswith("."):
        name = "_" + name[1:]  # nothing that arrives hides itself
    if name.split(".")[0].rstrip().casefold() in _RESERVED:
        name = "_" + name
    return _shortened(name) or _NAMELESS


def _is_unsafe(char: str) -> bool:
    # macOS refuses unassigned characters (Cn).
    return char in _FORBIDDEN or (
        unicodedata.category(char) in _HIDDEN_CATEGORIES | {"Cn"} and char not in _JOINERS
    )


def _shortened(name: str) -> str:
    data = name.encode()
    if len(data) <= NAME_BYTES_MAX:
        return name
    match = _EXTENSION.search(name)
    extension = match.group().encode() if match else b""
    if len(extension) > EXTENSION_BYTES_MAX:
        extension = b""
    stem = data[: NAME_BYTES_MAX - len(extension)].decode(errors="ignore")
    return stem.rstrip(". ") + extension.decode()


def is_plain_path(path: str) -> bool:
    """Whether `split_path_untrusted` takes it, seen at a glance: a publish has hundreds of paths."""
    return len(path) <= PATH_BYTES_MAX and _PLAIN_PATH.fullmatch(path) is not None


def split_path_untrusted(path: str) -> tuple[str, ...]:
    """The parts of a path as it travels: relative, separated by "/". Raises BadMessage and nothing else.

    A part may still be a name that some system cannot store: pass each through `safe_leaf_name` before it
    touches a disk. A backslash is refused, because on Windows it separates.
    """
    if is_plain_path(path):
        return tuple(path.split("/"))
    if not path:
        raise BadMessage("The path is empty.")
    if has_control_characters(path):
        raise BadMessage("The path contains control or direction characters.")
    if len(path.encode()) > PATH_BYTES_MAX:
        raise BadMessage(f"The path is longer than {PATH_BYTES_MAX} bytes.")
    if "\\" in path:
        raise BadMessage('The path contains a backslash; its parts are separated by "/".')
    parts = tuple(path.split("/"))
    if len(parts) > PATH_DEPTH_MAX:
        raise BadMessage(f"The path is deeper than {PATH_DEPTH_MAX} folders.")
    if not parts[0] or _DRIVE.fullmatch(parts[0]):
        raise BadMessage("The path is absolute; it must be relative to a share.")
    for part in parts:
        if part in ("", ".", ".."):
            raise BadMessage(f'The path has a part "{part}", which names no file or folder.')
    return parts


# --- words to search for -----------------------------------------------------------------------------

# All ranges give their first and last code point.
DROPPED = (
    (0x0300, 0x036F),  # combining diacritical marks, here and in the four blocks below
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE20, 0xFE2F),
    (0x0483, 0x0489),  # Cyrillic titlos
    (0x0591, 0x05BD),  # Hebrew accents and points, less the punctuation between them
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),
    (0x0610, 0x061A),  # Arabic vowel signs, the stretching of words, marks of the Quran
    (0x0640, 0x0640),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x06DF, 0x06E4),
    (0x06E7, 0x06E8),
    (0x06EA, 0x06ED),
    (0x00AD, 0x00AD),  # soft hyphen
    (0x061C, 0x061C),  # direction marks, joiners and other invisible characters
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFE00, 0xFE0F),  # variation selectors and tags
    (0xE0000, 0xE0FFF),
)
LETTERS = {
    "ø": "o",
    "ł": "l",
    "æ": "ae",
    "œ": "oe",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ħ": "h",
    "ŧ": "t",
    "ŋ": "n",
    "\u0131": "i",
    "ĸ": "k",
}
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han: iteration and closing marks, zero
    (0x3021, 0x3029),
    (0x3031, 0x3035),
    (0x303B, 0x303C),
    (0x3041, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x1AFF0, 0x1B16F),  # historic kana
    (0x20000, 0x3FFFF),  # all later planes of Han
)


def _char_class(ranges: tuple[tuple[int, int], ...]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_DROPPED = re.compile(f"[{_char_class(DROPPED)}]+")
_LEAVING_UNSPACED = re.compile(f"(?<=[{_char_class(UNSPACED)}])(?=[^{_char_class(UNSPACED)}])")
_ASCII_FOLD = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)).ljust(256)


class _FoldTable(dict[int, str]):
    """Rules 4 to 6 for one character, for `str.translate`; worked out when a character is first seen."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = self._fold(chr(code))
        return folded

    @staticmethod
    def _fold(char: str) -> str:
        category = unicodedata.category(char)[0]
        if category not in "LNM":
            return " "
        if category != "M" and any(first <= ord(char) <= last for first, last in UNSPACED):
            return " " + char
        return LETTERS.get(char, char)


_FOLD_TABLE = _FoldTable()


def search_words(text: str) -> list[str]:
    """The words of a text in order, folded by the rules on top: "Wu-Tang Clan" gives wu, tang, clan."""
    if text.isascii():
        return text.encode().translate(_ASCII_FOLD).decode().split()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = unicodedata.normalize("NFC", _DROPPED.sub("", text))
    return _LEAVING_UNSPACED.sub(" ", text.translate(_FOLD_TABLE)).split()


def fold(text: str) -> str:
    """The folded words in one string, one space between two. Folding it again changes nothing."""
    return " ".join(search_words(text))


# --- nicks -------------------------------------------------------------------------------------------

_NICK_CATEGORIES = {"Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd"}  # the LetterDigits of PRECIS (RFC 8264)
_NICK_PUNCTUATION = "-_."
# Letters and marks that show nothing, or no more than an apostrophe.
_UNSEEN = re.compile(
    "[\u02b0-\u02ff\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MARKS_TOGETHER_MAX = 3  # what an Indic syllable needs; more are piled up for show
_THAI_LAO_AM = re.compile("[\u0e33\u0eb3]")  # everyday letters that NFKC takes apart
# Scripts with many letters that look alike: a word of two of them is meant to deceive.
_RESEMBLING = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU", "DESERET", "OSAGE"}


def nick_problem(nick: str) -> str | None:
    """What is wrong with a nick, as a sentence for the person, or None.

    In the line of PRECIS usernames (RFC 8265): letters, digits and marks of any script, - _ . between them,
    nothing invisible, no styled variants of letters, no mixture of scripts that resemble each other.
    """
    if not NICK_CHARS_MIN <= len(nick) <= NICK_CHARS_MAX:
        return f"A nick has {NICK_CHARS_MIN} to {NICK_CHARS_MAX} characters; this one has {len(nick)}."
    for char in nick:
        if char not in _NICK_PUNCTUATION and (
            unicodedata.category(char) not in _NICK_CATEGORIES or _UNSEEN.match(char)
        ):
            return f'A nick is made of letters, digits and "-", "_", "."; "{display(char)}" is not.'
    if nick[0] in _NICK_PUNCTUATION or nick[-1] in _NICK_PUNCTUATION or _is_mark(nick[0]):
        return "A nick begins and ends with a letter or a digit."
    marks = 0
    for before, char in itertools.pairwise(nick):
        if before in _NICK_PUNCTUATION and char in _NICK_PUNCTUATION:
            return 'A nick has no two of "-", "_", "." side by side.'
        marks = marks + 1 if _is_mark(char) else 0
        if marks > _MARKS_TOGETHER_MAX:
            return f"A nick has at most {_MARKS_TOGETHER_MAX} accents on one letter."
    if not unicodedata.is_normalized("NFC", nick):
        return "A nick is written with composed characters (Unicode NFC), é rather than e and an accent."
    if not unicodedata.is_normalized("NFKC", _THAI_LAO_AM.sub("-", nick)):
        return "A nick is written in plain letters, not in wide, raised or decorative ones."
    scripts = sorted(_RESEMBLING & {unicodedata.name(char, "").split(" ")[0] for char in nick})
    if len(scripts) > 1:
        return f"A nick cannot mix {scripts[0].title()} with {scripts[1].title()} letters, which look alike."
    return None


def nick_skeleton(nick: str) -> str:
    """Equal for two nicks that a person could take for each other; to be compared and stored, never shown.

    Blind to case, width and style, and to twins across scripts: Latin, Greek and Cyrillic a; 0 and O; 1, l, I
    and i; rn and m; vv and w. Accents do count. It rests on Unicode data that is stable once a character is
    assigned, and on our own frozen table; only a nick with characters newer than a Python's Unicode could get
    another skeleton there, and `nick_problem` refuses those.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", nick).casefold())
    text = unicodedata.normalize("NFD", text.translate(LOOKALIKES))
    return text.replace("rn", "m").replace("vv", "w")


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"
