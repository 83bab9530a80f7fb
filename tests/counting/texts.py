"""Random text of many scripts, and what is hard to split into words."""

from hypothesis import strategies as st

SCRIPTS = [
    "é",
    "的",
    "中文",
    "😀",
    "👨\u200d👩\u200d👧",
    "हिन्दी",
    "ไทย",
    "עברית",
    "مرحبا",
    "한국어",
    "𝐀",
    "𝟙",
    "ǅ",
    "ʰ",
    "Ⅷ",
    "K",
    "ſ",
    "ß",
    "²",
    "½",
    "٣",
    "。",
    "，",
    "」",
]
LATIN = [
    "Hello",
    "ABC",
    "abc",
    "iPhone",
    "don't",
    "'s",
    "'S",
    "'",
    "1",
    "23",
    "4567",
    "a1b2",
    "deadbeef09",
    "/",
    "//",
    "_",
    "-",
    "...",
    "!",
    "|",
    "if",
]
CODE = ["return {", '{"a": 1}', "http://x.y/z?a=b", "<|endoftext|>", " world"]
SPACE = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\x85", "\x1c", "\u200b"]
HALVES = ["e\u0301", "\u0301", "\ud83d", "\ude00", "\ud835", "\udc00"]
FRAGMENTS = st.sampled_from([*SCRIPTS, *LATIN, *CODE, *SPACE, *HALVES])
TEXTS = st.lists(FRAGMENTS | st.text(max_size=4), max_size=40).map("".join)
