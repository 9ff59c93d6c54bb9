# ruff: noqa: RUF001 - a table of look-alikes is made of ambiguous characters
"""Letters and digits that look like another: the data behind `names.nick_skeleton`.

It follows Unicode's confusables.txt (UTS #39), cut down to characters that a nick may have, and is frozen
here on purpose. Servers keep skeletons as unique keys, so a table that changes with a package or a Python
release would let two people share a name or lock one out. Whoever changes it must compute all stored
skeletons anew. (The package confusable-homoglyphs was weighed: it costs 105 ms and 10 MB to import, wraps
right-to-left characters in U+200E so that they never match, and computes no skeleton.)

Rows hold characters after NFKD and case folding. Where the two cases of a letter look like different letters,
the capital decides: Greek nu counts as n, because N is its exact twin, while its small form only resembles v.
i, l and 1 are one, and so are o and 0, since I, l and 1 are hard to tell apart in most fonts.
"""

from __future__ import annotations

_ROWS = {
    "a": "ɑαаᎪᗅꓮ𐊠𖽀",
    "b": "ƅβвьᏏᏴᑲᖯᗷꓐꞵ𐊂𐊡𐌁",
    "c": "сᏟᴄⲥꓚ𐊢𐌂𐐽𐔜𑣩",
    "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "εеҽᎬⴹꓰꬲ𐊆𑣆𑣎",
    "f": "ϝքᖴẝꓝꞙꬵ𐊇𐊥𐔥𑣂",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "ηнһհᎻᏂᕼⲏꓧ𐋏",
    "j": "ʝϳјᎫᒍꓙ",
    "k": "κкᏦᛕⲕꓗ𐔘",
    "l": "i1ıǀɩɪιіӏ\u05d5\u05df\u0627\u0661۱\u07caᎥᏞᒪᛁⲓⳑⵏꓡꓲꙇ𐊊𐌉𐑃𐔦𑣃𑣒𖼖𖼨",
    "m": "μϻмᎷᗰᛖⲙꓟ𐊰𐌑𑜀𑣣",
    "n": "νոռⲛꓠ𐔓",
    "o": "0οσоօ\u05e1\u0647\u0665\u06be\u06c1\u06d5۵\u07c0०০੦૦ଠ୦௦౦೦ഠ൦๐໐ဝ၀ჿዐᴏᴑⲟⵔꓳꬽ𐊒𐊫𐐬𐓪𐔖𑓐𑣈𑣕𑣗𑣠",
    "p": "ρрᏢᑭⲣꓑ𐊕",
    "q": "ԛգզⵕ",
    "r": "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ𐓜𖼵",
    "s": "ƽѕտᏕᏚꓢꜱ𐊖𐑈𑣁𖼺",
    "t": "τтᎢⲧꓔ𐊗𐊱𐌕𑣜𖼊",
    "u": "ʋսሀᑌᴜꓴꞟꭎꭒ𐓶𑣘𖽂",
    "v": "ѵ\u05d8\u0667۷Ꮩᐯᴠⴸꓦꛟ𐔝𑜆𑣀𖼈",
    "w": "ɯѡԝաᎳᏔᴡꓪ𑜊𑜎𑜏𑣦",
    "x": "χхᕁᕽᚷⲭⵝꓫꭓ𐊐𐊴𐌗𐔧",
    "y": "ɣʏγυуүყᎩᎽᶌỿⲩꓬꭚ𐊲𑣄𖽃",
    "z": "ζᏃᴢꓜ𑣉𑣥",
    "2": "ƨϩᒿꙅꝛ",
    "3": "ȝɜʒзӡⳍꝫ𑣊𖼻",
    "4": "Ꮞ𑣏",
    "5": "𑣛",
    "6": "бᏮⳓ",
    "7": "𐓺",
    "8": "ȣ৪੪𐌚",
    "9": "৭੧୨൭ⳋꝯ𑣌𑣖",
    # Kana that look like a Han character, and Han characters that differ by a hair
    "へ": "ヘ",
    "一": "ー",
    "二": "ニ",
    "イ": "亻",
    "八": "ハ",
    "力": "カ",
    "卜": "ト",
    "口": "ロ囗",
    "夕": "タ",
    "工": "エ",
    "土": "士",
    "丿": "ノ",
    # marks: a caron passes for a breve, hooks and commas below for a cedilla
    "\u0306": "\u030c",
    "\u0327": "\u0321\u0326\u0328\u0339",
}

LOOKALIKES = {ord(twin): letter for letter, twins in _ROWS.items() for twin in twins}  # for str.translate
