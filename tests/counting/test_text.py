import math
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokentrail.counting import ENCODINGS, estimate, weight
from tokentrail.counting import text as module
from tokentrail.counting.text import (
    INLINE,
    RUN,
    Sum,
    encode_length,
    last_safe_cut,
    longest_run,
    next_safe_cut,
    slices,
)
from tokentrail.support import guard

from .texts import TEXTS


def whole(encoding, text):
    return len(encoding.encode_ordinary(text))


@given(text=TEXTS)
@settings(max_examples=300)
def test_a_safe_cut_changes_no_count(text):
    """For every safe cut of every text, in both encodings, the halves sum up to the whole."""
    cuts = {
        match.start()
        for pattern in (module._CUT, module._CODE_CUT)
        for match in pattern.finditer(text, 1)
    }
    for name in ("cl100k_base", "o200k_base"):
        encoding = ENCODINGS.load(name)
        for cut in cuts:
            parts = whole(encoding, text[:cut]) + whole(encoding, text[cut:])
            assert parts == whole(encoding, text), (name, text[:cut], text[cut:])


def test_a_word_before_a_cut_is_of_letters_and_numbers():
    """What `re` takes for a letter or number is one in Unicode, so a word ends after it."""
    for code in range(0x110000):
        if re.match(r"[^\W_]", chr(code)):
            assert unicodedata.category(chr(code))[0] in "LN"


@given(text=TEXTS, data=st.data())
def test_cuts_are_found_where_they_are_asked_for(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    last, following = last_safe_cut(text, start, end), next_safe_cut(text, start, end)
    assert last is None or start < last <= end
    assert following is None or max(start, 1) <= following <= end
    for cut in (last, following):
        assert cut is None or cut < len(text)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("one two three", 7),
        ("one two  \n three", 7),
        ("的中文。的的", 3),
        ("key_value", 3),
        ("line\nline", 4),
        ("deadbeef09", 8),
        ("word", None),
        ("it's", None),
        ("a" * 200, None),
        ("    ", None),
        ("!\n!", None),
        ("x\ud835\udc00", None),
        ("", None),
    ],
)
def test_the_last_safe_cut(text, cut):
    assert last_safe_cut(text, 0, len(text)) == cut


@given(text=st.lists(TEXTS, min_size=1, max_size=4), times=st.integers(1, 60))
@settings(max_examples=60)
def test_slices_are_the_text_and_light(text, times):
    """Joined they are the text; a slice is heavier than INLINE only if it has no safe cut."""
    text = "".join(text) * times
    found = list(slices(text))
    assert "".join(piece for piece, _ in found) == text
    for piece, safe in found:
        assert safe
        heavy = weight(piece) > 2 * INLINE
        assert not heavy or last_safe_cut(piece, 0, INLINE // 2) is None


HARD = {
    "a million spaces": " " * 1_000_000,
    "a megabyte of one letter": "a" * 1_000_000,
    "lines": "\n" * 300_000,
    "Chinese without an end": "的" * 200_000,
    "emoji": "😀" * 100_000,
    "halves of pairs": "\ud83d" * 100_000,
    "punctuation": "!" * 300_000,
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_no_text_panics_and_what_is_cut_anywhere_is_not_exact(encoding, text, capfd):
    total = Sum()
    for _ in total.steps(encoding, text):
        pass
    assert not total.exact
    assert 0 < total.tokens <= 3 * len(text)
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("unit", [" ", "a", "\n", "的", "😀", "\ud83d", "!"])
def test_a_run_is_exact_up_to_its_bound(encoding, unit):
    text = unit * RUN
    total = Sum()
    for _ in total.steps(encoding, text):
        pass
    assert total.exact
    assert total.tokens == whole(encoding, text)


@pytest.mark.parametrize(
    ("version", "run"),
    [("0.7.0", 2048), ("0.12.0", 2048), (None, 2048), ("0.13.0", 65536), ("1.0rc1", 65536)],
)
def test_a_run_is_as_long_as_tiktoken_can_take(version, run):
    """Its time for one word was quadratic before 0.13: a reply of one emoji must not hold us up."""
    assert longest_run(version) == run


def test_special_tokens_are_text(encoding):
    assert encode_length(encoding, "<|endoftext|><|endofprompt|>") > 2


def test_halves_of_a_pair_that_stand_together_are_one_character(encoding):
    assert encode_length(encoding, "\ud83d\ude00") == encode_length(encoding, "😀")
    assert encode_length(encoding, "\ud83d") == encode_length(encoding, "\ufffd")


class Refusing:
    def __init__(self, error):
        self.error = error

    def encode_ordinary(self, text):
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError(), TimeoutError(), type("PanicException", (BaseException,), {})("panic")]
)
def test_text_that_cannot_be_encoded_is_estimated(error, monkeypatch):
    """An error that is neither a panic nor want of time is told in the log."""
    monkeypatch.setattr(guard, "strict", False)
    before = guard.swallowed
    assert encode_length(Refusing(error), "text") is None
    assert guard.swallowed - before == isinstance(error, ValueError)
    total = Sum()
    total.take(Refusing(error), "some text")
    assert (total.tokens, total.exact) == (estimate("some text"), False)


def test_an_interrupt_while_encoding_is_the_application_s():
    with pytest.raises(KeyboardInterrupt):
        encode_length(Refusing(KeyboardInterrupt()), "text")


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
def test_an_estimate_is_a_quarter_of_the_bytes(text):
    size = len(text.encode("utf-8", "surrogatepass"))
    assert estimate(text) == math.ceil(size / 4)


def test_weight_doubles_beyond_ascii():
    assert (weight(""), weight("abcd"), weight("äbcd")) == (0, 4, 8)
