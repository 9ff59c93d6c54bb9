from __future__ import annotations

import unicodedata

import pytest

from p2pshare.errors import BadMessage
from p2pshare.limits import NAME_BYTES_MAX
from p2pshare.names import (
    display,
    fold,
    has_control_characters,
    nick_problem,
    nick_skeleton,
    safe_leaf_name,
    search_words,
    split_path_untrusted,
)

# --- display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text.flac", "plain text.flac"),
        ("Beyoncé 東京 हिन्दी 🎵", "Beyoncé 東京 हिन्दी 🎵"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("lone \udc80", "lone \\udc80"),
        ("no\u00a0break", "no\u00a0break"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("👨\u200d👩 می\u200cخواهم", "👨\u200d👩 می\u200cخواهم"),
    ],
)
def test_display_escapes_what_steers_a_terminal_and_nothing_else(text: str, shown: str) -> None:
    assert display(text) == shown


# --- safe_leaf_name


@pytest.mark.parametrize(
    ("name", "safe"),
    {
        "plain": ("03 - Da Front.flac", "03 - Da Front.flac"),
        "unicode": ("Beyoncé 東京.mp3", "Beyoncé 東京.mp3"),
        "composed": ("e\u0301.mp3", "\u00e9.mp3"),
        "empty": ("", "unnamed"),
        "dots": ("..", "unnamed"),
        "one dot": (".", "unnamed"),
        "blanks": (" \u3000", "unnamed"),
        "climbs": ("../../etc/passwd", "_._.._etc_passwd"),
        "backslashes": ("..\\..\\x", "_._.._x"),
        "forbidden by Windows": ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        "stream": ("file.txt:evil", "file.txt_evil"),
        "zero byte": ("a\0b", "a_b"),
        "ANSI": ("a\x1b[2Jb", "a_[2Jb"),
        "bidi": ("gpj.\u202eexe", "gpj._exe"),
        "line separator": ("a\u2028b", "a_b"),
        "lone surrogate": ("a\udc80b", "a_b"),
        "no character": ("a\ufffeb", "a_b"),
        "hidden": (".bashrc", "_bashrc"),
        "ends": (" a. . ", "a"),
        "wide space at the end": ("a\u3000", "a"),
        "reserved": ("CON", "_CON"),
        "reserved with extension": ("nul.tar.gz", "_nul.tar.gz"),
        "reserved with space": ("Aux .txt", "_Aux .txt"),
        "reserved with digit": ("lpt9", "_lpt9"),
        "reserved with raised digit": ("com\u00b9.x", "_com\u00b9.x"),
        "not reserved": ("console.txt", "console.txt"),
        "emoji family": ("👨\u200d👩.png", "👨\u200d👩.png"),
    }.values(),
)
def test_a_file_name_is_made_safe(name: str, safe: str) -> None:
    assert safe_leaf_name(name) == safe
    assert safe_leaf_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a" * 300 + ".flac", "a.flac"),
        ("é" * 300 + ".tar.gz", "é.tar.gz"),
        ("東" * 300, "東"),
        ("a" * 300 + "." + "x" * 20, "a"),
        ("." * 300 + "a.txt", "_.txt"),
        ("a" * 230 + " . " * 50 + ".txt", "a.txt"),
    ],
)
def test_a_long_name_is_cut_before_its_extension(name: str, ending: str) -> None:
    safe = safe_leaf_name(name)
    assert len(safe.encode()) <= NAME_BYTES_MAX
    assert safe.endswith(ending)
    assert safe_leaf_name(safe) == safe


def test_cutting_does_not_bare_a_reserved_name() -> None:
    assert safe_leaf_name("con" + " " * 300 + "x.txt") == "_con.txt"


# --- split_path_untrusted


def test_a_path_is_split_at_slashes() -> None:
    assert split_path_untrusted("Music/Wu-Tang Clan/01 - A: B?.flac") == (
        "Music",
        "Wu-Tang Clan",
        "01 - A: B?.flac",
    )
    assert split_path_untrusted("a") == ("a",)
    assert split_path_untrusted("...") == ("...",)
    assert len(split_path_untrusted("/".join("a" * 32))) == 32
    assert split_path_untrusted("x" * 1024) == ("x" * 1024,)


BAD_PATHS = {
    "empty": ("", "is empty"),
    "absolute": ("/etc/passwd", "is absolute"),
    "drive": ("C:/Windows", "is absolute"),
    "climbs": ("a/../b", 'a part ".."'),
    "only climbs": ("..", 'a part ".."'),
    "stays": ("a/./b", 'a part "."'),
    "empty part": ("a//b", 'a part ""'),
    "ends with a slash": ("a/", 'a part ""'),
    "backslash": ("a\\..\\b", "backslash"),
    "zero byte": ("a\0b", "control"),
    "line end": ("a\nb", "control"),
    "C1 control": ("a\x85b", "control"),
    "bidi override": ("a\u202eb", "direction"),
    "right-to-left mark": ("a\u200fb", "direction"),
    "lone surrogate": ("a\ud800", "control"),
    "too long": ("é" * 513, "longer than 1024 bytes"),
    "too deep": ("/".join("a" * 33), "deeper than 32"),
}


@pytest.mark.parametrize(("path", "sentence"), BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_a_path_that_could_lead_elsewhere_is_refused(path: str, sentence: str) -> None:
    with pytest.raises(BadMessage) as caught:
        split_path_untrusted(path)
    assert sentence in caught.value.text


def test_control_characters_are_found() -> None:
    assert has_control_characters("a\x7f")
    assert not has_control_characters("می\u200cخواهم é")


# --- search words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Wu-Tang Clan", "wu tang clan"),
        ("Beyoncé", "beyonce"),
        ("Be\u0301yonce", "beyonce"),
        ("AC/DC_live.FLAC", "ac dc live flac"),
        ("Don't", "don t"),
        ("Don’t", "don t"),
        ("  --  ", ""),
        ("", ""),
        ("s01e02", "s01e02"),
        ("Straße", "strasse"),
        ("STRASSE", "strasse"),
        ("Sigur Rós – Ágætis byrjun", "sigur ros agaetis byrjun"),
        ("Røyksopp Łódź Đorđe Þór œuvre Ħal", "royksopp lodz dorde thor oeuvre hal"),
        ("İstanbul ISTANBUL ısparta", "istanbul istanbul isparta"),
        ("Việt Nam", "viet nam"),
        ("Ёлка й", "елка и"),
        ("Ελλάδα ΟΔΟΣ οδος", "ελλαδα οδοσ οδοσ"),
        ("ﬁle ① ½ Ｗｉｄｅ", "file 1 1 2 wide"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("🎉party🎉", "party"),
        ("1\ufe0f\u20e3 one", "1 one"),
        # vowel points are optional, and stretching is for show
        ("מוּזִיקָה", "מוזיקה"),
        ("مُحَمَّد محمـــد", "محمد محمد"),
        ("می\u200cخواهم", "میخواهم"),
        # vowel signs are not
        ("हिन्दी गाने", "हिन्दी गाने"),
        ("தமிழ்", "தமிழ்"),
        ("한국어 노래", "한국어 노래"),
        # scripts without spaces
        ("東京の夜", "東 京 の 夜"),
        ("ガギ", "ガ ギ"),
        ("ｶﾞｷﾞ", "ガ ギ"),
        ("カ\u3099", "ガ"),
        ("東京abc第1話xyz", "東 京 abc 第 1 話 xyz"),
        ("佐々木ラーメン", "佐 々 木 ラ ー メ ン"),
        ("ก็ดี", "ก็ ดี"),
        ("။မြန်", "မြ န်"),
        ("𠮷野", "𠮷 野"),
        ("「東」、京。", "東 京"),
    ],
)
def test_a_text_is_folded_to_its_words(text: str, words: str) -> None:
    assert search_words(text) == words.split()
    assert fold(text) == words
    assert fold(words) == words


def test_the_short_way_for_ascii_follows_the_same_rules() -> None:
    for code in range(128):
        char = chr(code)
        words = search_words(f"a{char}B")
        assert search_words(f"a{char}B Ω") == [*words, "ω"]


def test_decomposed_names_as_macos_writes_them_fold_alike() -> None:
    for text in ("Beyoncé", "한국어", "ガラス", "Ёж", "Ế"):
        assert fold(unicodedata.normalize("NFD", text)) == fold(text)


# --- nicks


@pytest.mark.parametrize(
    "nick",
    [
        "al",
        "Alice",
        "bob_42",
        "J.R-Ewing",
        "José",
        "Jürgen",
        "Олег",
        "Νίκος",
        "田中さん",
        "น้ำใส",
        "김철수",
        "आर्या",
        "محمد",
        "دانيال_dj",
        "x" * 32,
    ],
)
def test_good_nicks_have_no_problem(nick: str) -> None:
    assert nick_problem(nick) is None


BAD_NICKS = {
    "empty": ("", "2 to 32 characters"),
    "one letter": ("a", "2 to 32 characters"),
    "too long": ("x" * 33, "2 to 32 characters"),
    "space inside": ("a b", '" " is not'),
    "space at the end": ("ab ", '" " is not'),
    "line end": ("ab\n", '"\\n" is not'),
    "at sign": ("a@b", '"@" is not'),
    "emoji": ("ab🎉", '"🎉" is not'),
    "zero width": ("ab\u200bc", "\\u200b"),
    "joiner": ("ab\u200dc", "is not"),
    "bidi": ("ab\u202ec", "\\u202e"),
    "private use": ("ab\ue000", "is not"),
    "surrogate": ("ab\ud800", "\\ud800"),
    "unassigned": ("ab\U000e0fff", "is not"),
    "invisible Korean filler": ("ab\u3164", "is not"),
    "invisible joiner": ("ab\u034fc", "is not"),
    "variation selector": ("ab\ufe0f", "is not"),
    "apostrophe in disguise": ("o\u02bcneil", "is not"),
    "begins with a hyphen": ("-ab", "begins and ends"),
    "ends with a dot": ("ab.", "begins and ends"),
    "begins with a mark": ("\u0301ab", "begins and ends"),
    "two hyphens": ("a--b", "side by side"),
    "dot and hyphen": ("a.-b", "side by side"),
    "piled accents": ("a" + "\u0335" * 4 + "b", "accents"),
    "decomposed": ("Jose\u0301", "composed"),
    "full width": ("Ａｌｉｃｅ", "plain letters"),
    "mathematical": ("𝐀lice", "plain letters"),
    "Cyrillic in Latin": ("аlice", "Cyrillic with Latin"),
    "Greek in Latin": ("alicε", "Greek with Latin"),
}


@pytest.mark.parametrize(("nick", "sentence"), BAD_NICKS.values(), ids=BAD_NICKS.keys())
def test_a_bad_nick_is_told_what_is_wrong_in_one_sentence(nick: str, sentence: str) -> None:
    problem = nick_problem(nick)
    assert problem is not None
    assert sentence in problem
    assert problem.endswith(".")
    assert problem == display(problem)


@pytest.mark.parametrize(
    ("nick", "twin"),
    [
        ("Alice", "alice"),
        ("Alice", "ALICE"),
        ("alice", "аlice"),  # Cyrillic a
        ("alice", "αlice"),  # Greek alpha
        ("scope", "ѕсоре"),  # all Cyrillic
        ("NIKO", "ΝΙΚΟ"),  # all Greek
        ("HABTMOK", "НАВТМОК"),  # all Cyrillic capitals
        ("Ａｌｉｃｅ", "alice"),
        ("𝐀𝐥𝐢𝐜𝐞", "alice"),
        ("bob0", "bobO"),
        ("Bill", "BiII"),
        ("Bill", "Bi11"),
        ("Ilya", "llya"),
        ("corn", "com"),
        ("vvolf", "wolf"),
        ("STRASSE", "straße"),
        ("ёж", "ëж"),
        ("ПАPK", "парк"),
        ("ᎪᏞᏆᏟᎬ", "AL\u13c6CE"),
        ("ΝΙΚΟΣ", "νικος"),
        ("カ1", "力1"),
        ("José", "Jose\u0301"),
    ],
)
def test_look_alikes_have_one_skeleton(nick: str, twin: str) -> None:
    assert nick_skeleton(nick) == nick_skeleton(twin)


@pytest.mark.parametrize(
    ("nick", "other"),
    [
        ("alice", "alicia"),
        ("nan", "van"),
        ("jose", "josé"),
        ("ab", "a-b"),
        ("a_b", "a-b"),
        ("bob8", "bobb"),
        ("sam5", "sams"),
        ("олег", "олeг2"),
        ("гриша", "криша"),
        ("νίκος", "νίκη"),
        ("田中", "由中"),
    ],
)
def test_people_with_different_names_keep_them(nick: str, other: str) -> None:
    assert nick_skeleton(nick) != nick_skeleton(other)
