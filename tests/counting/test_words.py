"""The encoder in Python: the tokens that tiktoken has, for any text, in short slices."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokentrail.counting import ENCODINGS, INLINE, OutputTally, inline_weight, weight
from tokentrail.counting import words as module
from tokentrail.counting.encodings import RECIPES, build_words
from tokentrail.counting.output import BURST
from tokentrail.counting.text import RUN, Sum, last_safe_cut, slices

from .texts import TEXTS

NAMES = sorted(RECIPES)


@pytest.fixture(scope="module")
def encoders():
    """Both encoders of each encoding: ours and tiktoken's."""
    return [(build_words(name), ENCODINGS.load(name)) for name in NAMES]


def test_every_encoding_that_is_shipped_has_a_pattern():
    assert sorted(module.PATTERNS) == NAMES


@given(text=TEXTS | st.text(st.characters(exclude_categories=()), max_size=60))
@settings(max_examples=500)
def test_any_text_has_the_tokens_of_tiktoken(encoders, text):
    """Of many scripts, with emoji, halves of pairs, blanks, code, digits and special tokens."""
    for ours, theirs in encoders:
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@given(text=st.text("aA \n'sS.1/\t的é\u0301\u017f\x1c\x85", max_size=30))
@settings(max_examples=500)
def test_what_decides_where_a_word_ends_is_decided_as_by_tiktoken(encoders, text):
    for ours, theirs in encoders:
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


BETWEEN = [
    "{0}", "a{0}b", "A{0}a", "1{0}2", " {0} ", " {0}a", "\n{0}\n", "'{0}", "'{0}e", ".{0}.",
    "的{0}", "{0}{0}",
]  # fmt: skip


def _differing(encoders, codes, forms):
    """Return where a character has other tokens than with tiktoken, alone or between others."""
    characters, found = [chr(code) for code in codes], []
    for form in forms:
        for start in range(0, len(characters), 2048):
            part = characters[start : start + 2048]
            text = "\x00 ".join(form.format(character) for character in part)
            for ours, theirs in encoders:
                if ours.encode_ordinary(text) != theirs.encode_ordinary(text):
                    found.append((form, hex(ord(part[0]))))
    return found


def test_a_sample_of_all_characters_is_split_as_by_tiktoken(encoders):
    """All below U+3000, which has most scripts, and some of the others; each time other ones."""
    some = random.sample(range(0x3000, 0x110000), 4000)
    assert _differing(encoders, [*range(0x3000), *some], BETWEEN) == []


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_every_character_is_split_as_by_tiktoken(encoders):
    """Also what only a later Unicode has; of planes with nothing or private use, each hundredth."""
    used = (*range(0x34000), *range(0xE0000, 0xE0200), *range(0x34000, 0x110000, 100))
    assert _differing(encoders, used, ["{0}", "a{0}b", "的{0}", " {0}A"]) == []


def test_a_character_is_what_tiktoken_says_it_is(encoders):
    """One of Unicode 17, where tiktoken has another version than Python or the package `regex`."""
    for ours, theirs in encoders:
        is_letter = theirs.encode_ordinary("a\u088fb") != [
            token for part in ("a", "\u088f", "b") for token in theirs.encode_ordinary(part)
        ]
        expected = "ª" if is_letter else "#"
        ours.encode_ordinary("\u088f")
        assert ours._stand_ins[0x88F] == expected


def test_few_characters_are_remembered(encoders, monkeypatch):
    """Text of all characters there are would take 100 MB; the count is the same without."""
    monkeypatch.setattr(module, "_KNOWN", 200)
    for ours, theirs in encoders:
        for start in range(0x4E00, 0x5E00, 100):
            text = "，的".join(map(chr, range(start, start + 150)))
            assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)
            assert len(ours._stand_ins) < 128 + 200 + 150


HARD = ["a", "ab", "😀", " ", "的", "!", "\n", "\ud83d", "abcdefghij"]


@pytest.mark.parametrize("unit", HARD)
def test_a_run_has_the_tokens_of_tiktoken(encoders, unit):
    """As long as text may be that is encoded at once."""
    text = (unit * RUN)[:RUN]
    for ours, theirs in encoders:
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@pytest.mark.parametrize("unit", HARD)
def test_the_time_for_a_run_grows_as_the_run_does(encoders, unit):
    """Merging pair by pair with a search among all of them, 64 times the text took 4,096."""
    for ours, _ in encoders:

        def taken(length, encode=ours.encode_ordinary):
            begun = time.thread_time()
            encode((unit * length)[:length])
            return time.thread_time() - begun

        few = min(taken(1024) for _ in range(5))
        assert taken(RUN) < 64 * few * 8


@given(text=st.lists(TEXTS, min_size=1, max_size=4), times=st.integers(1, 60))
@settings(max_examples=60)
def test_its_slices_are_light(encoders, text, times):
    text = "".join(text) * times
    most = inline_weight(encoders[0][0])
    for piece, _ in slices(text, most):
        assert weight(piece) <= 2 * most or last_safe_cut(piece, 0, most // 2) is None


def test_it_may_count_a_quarter_of_what_tiktoken_may_on_the_applications_thread(encoders):
    """In three times the time for prose, a quarter takes no longer."""
    for ours, theirs in encoders:
        assert [inline_weight(encoder) for encoder in (ours, theirs, None)] == [1024, 4096, 4096]
    assert INLINE == 4096


class Metered:
    """An encoder in Python that notes what it is given."""

    inline_weight = module.WordEncoder.inline_weight

    def __init__(self, encoder):
        self.encode = encoder.encode_ordinary
        self.weights = []

    def encode_ordinary(self, text):
        self.weights.append(weight(text))
        return self.encode(text)


def test_a_long_text_is_given_to_it_in_slices(encoders):
    metered, total = Metered(encoders[0][0]), Sum()
    text = "The sea goes on and on. " * 1000
    for _ in total.steps(metered, text):
        pass
    assert max(metered.weights) <= 1024
    assert (total.tokens, total.exact) == (len(encoders[0][1].encode_ordinary(text)), True)


@pytest.mark.parametrize("large", [200, 3000, 12_000])
def test_chunks_are_counted_in_slices_and_those_that_are_too_much_at_the_end(encoders, large):
    metered, tally = Metered(encoders[0][0]), OutputTally()
    tally.use(metered)
    chunk = ("The sea goes on and on. " * 1000)[:large]
    for _ in range(120_000 // large):
        metered.weights.clear()
        tally.add("text", 0, 0, chunk)
        assert sum(metered.weights) <= (BURST + 1) * 1024
    for _ in tally.steps(metered):
        pass
    whole = len(encoders[0][1].encode_ordinary(chunk * (120_000 // large)))
    assert (tally.tokens, tally.measured) == (whole, True)
