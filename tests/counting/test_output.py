import time
from sys import getsizeof

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.shared import OUTSIDE

from tokentrail.counting import ENCODINGS, OutputTally, Surcharges, estimate
from tokentrail.counting import output as module
from tokentrail.counting.models import Dialect
from tokentrail.counting.output import KEYS, TextBuffer
from tokentrail.counting.rules import RuleId
from tokentrail.counting.text import INLINE, RUN, weight
from tokentrail.model.records import MOST_WAITING, SMALL, Endpoint, Prompt, Request, Response
from tokentrail.usage import resolve

REPLY = "recordings/solar_system_reply.txt"
PROSE = "The 8 planets, in order of distance:\n- Mercury (0.39 AU)\n- Venus; it's hot.\n"
UNITS = st.sampled_from(
    [
        PROSE,
        "中文字符，没有空格。",
        "的" * 300,
        "def f(x):\n    return {'a': [1, 2]}\n\n",
        "👨‍👩‍👧 family ",
        "a" * 700,
        " " * 900,
        "\n" * 50,
        "<|endoftext|>",
        "\ud83d",
        "\ude00",
        "हिन्दी में ",
        "don't ",
        "0x3fa9b",
    ]
)
TEXTS = st.lists(UNITS | st.text(max_size=8), max_size=40).map("".join)


def finish(tally, encoding):
    for _ in tally.steps(encoding):
        pass
    return tally


class Feed:
    """Hands pieces over as an accumulator does: left in their list where they may be."""

    def __init__(self, tally):
        self.tally, self.lists = tally, {}

    def add(self, kind, choice, item, piece):
        part = (kind, choice, item)
        pieces = self.lists.get(part)
        if pieces is not None and len(pieces) < MOST_WAITING and len(piece) <= SMALL:
            pieces.append(piece)
            return
        self.tally.add(*part, piece)
        self.lists[part] = self.tally.append_buffer(*part)


FEEDS = [Feed, lambda tally: tally]
"""As an accumulator does, and each piece by itself."""
feeds = pytest.mark.parametrize("feed", FEEDS, ids=["left", "added"])


def whole(encoding, text):
    return len(encoding.encode_ordinary(text))


def pieces_of(text, sizes):
    at, turn = 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        yield text[at : at + size]
        at, turn = at + size, turn + 1


def looks_repeated(text, sizes):
    """Whether the second piece begins with the first, as where a server repeats the text so far."""
    first, second, *_ = [*pieces_of(text, sizes), "", ""]
    return len(second) > len(first) and second.startswith(first)


SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=8) | st.just([3000]) | st.just([10**6])


@feeds
@given(
    text=TEXTS, sizes=SIZES, name=st.sampled_from(["cl100k_base", "o200k_base"]), late=st.booleans()
)
@settings(max_examples=120)
def test_every_chunking_gives_the_count_of_the_whole(feed, text, sizes, name, late):
    """However text is chunked, and whenever the encoding comes, the count is the whole's.

    An old tiktoken is spared runs beyond its RUN: there the count may be inexact, and says so.
    """
    assume(not looks_repeated(text, sizes))
    encoding, tally = ENCODINGS.load(name), OutputTally()
    tally.use(None if late else encoding)
    fed = feed(tally)
    for piece in pieces_of(text, sizes):
        fed.add("text", 0, 0, piece)
    finish(tally, encoding)
    assert tally.exact or len(text) > RUN
    assert tally.tokens == whole(encoding, text) or not tally.exact


@feeds
@given(text=TEXTS, sizes=SIZES, at=st.integers(0, 5000))
@settings(max_examples=60)
def test_a_count_midway_is_that_of_what_came_and_disturbs_nothing(feed, text, sizes, at):
    assume(not looks_repeated(text, sizes))
    encoding = ENCODINGS.load("o200k_base")
    tally, received = OutputTally(), ""
    fed = feed(tally)
    for piece in pieces_of(text, sizes):
        fed.add("text", 0, 0, piece)
        received += piece
        if len(received) > at:
            tokens, exact, _ = tally.now(encoding)
            assert not exact or tokens == whole(encoding, received)
            at = len(received) + 3000
    assert finish(tally, encoding).tokens == whole(encoding, text) or not tally.exact


@feeds
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["text", "reasoning"]), st.integers(0, 3), TEXTS),
        max_size=6,
        unique_by=lambda part: part[:2],
    ),
    seed=st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_parts_are_counted_each_by_itself_however_they_interleave(feed, parts, seed):
    encoding, tally = ENCODINGS.load("o200k_base"), OutputTally()
    tally.use(encoding)
    fed = feed(tally)
    left = [((kind, choice), pieces_of(text, [7, 2, 90])) for kind, choice, text in parts]
    while left:
        part, pieces = one = seed.choice(left)
        piece = next(pieces, None)
        if piece is None:
            left.remove(one)
        else:
            fed.add(*part, 0, piece)
    finish(tally, encoding)
    assert tally.exact or any(len(text) > RUN for *_, text in parts)
    assert tally.tokens == sum(whole(encoding, text) for *_, text in parts) or not tally.exact


def held_memory(tally):
    streams = tally._streams.values()
    texts = [text for s in streams for text in (*s.buffer, *s.waiting, s.tail) if text]
    return sum(map(getsizeof, texts)) + sum(
        getsizeof(s.buffer) - getsizeof(TextBuffer()) for s in streams
    )


@feeds
@pytest.mark.parametrize("counting", [True, False], ids=["encoding", "no encoding"])
@pytest.mark.parametrize(
    "unit",
    [
        "word ",
        "的",
        "😀",
        *(pytest.param(unit, marks=pytest.mark.thorough) for unit in ("a", " ", "x1")),
    ],
)
@pytest.mark.parametrize("keys", [1, 40])
def test_what_is_held_stays_under_64_kb(o200k, feed, unit, keys, counting):
    """Whatever arrives, in however many parts, with an encoding or none."""
    tally, most = OutputTally(), 0
    tally.use(o200k if counting else None)
    fed, piece = feed(tally), unit * 3
    for turn in range(200_000 // len(piece)):
        fed.add("text", turn % keys, 0, piece)
        if turn % 17 == 0:
            most = max(most, held_memory(tally))
    assert 0 < most <= 64 * 1024
    finish(tally, o200k)
    assert held_memory(tally) == 0
    assert tally.exact is (counting and unit in {"word ", "x1"})


@feeds
def test_a_run_as_long_as_the_bound_is_exact_however_it_comes(encoding, feed):
    tally = OutputTally()
    tally.use(encoding)
    fed = feed(tally)
    pieces = min(60_000, RUN) // 10
    for _ in range(pieces):
        fed.add("text", 0, 0, "a" * 10)
    finish(tally, encoding)
    assert tally.exact
    assert tally.tokens == whole(encoding, "a" * 10 * pieces)


@pytest.mark.parametrize("sign", ["a", "!"])
def test_a_piece_of_a_long_run_takes_no_longer_the_more_came_before(o200k, sign):
    """Where the run was searched for a cut, it is not searched again."""

    def seconds(pieces):
        tally = OutputTally()
        tally.use(o200k)
        begun = time.thread_time()
        for _ in range(pieces):
            tally.add("text", 0, 0, sign * 10)
        return time.thread_time() - begun

    few, many = (min(seconds(pieces) for _ in range(5)) for pieces in (1500, 6000))
    assert many < 8 * few  # 4 times as many; 14 times as long if all were searched again


def test_text_beyond_the_bound_is_estimated_where_no_encoding_is(o200k):
    tally = OutputTally()
    for _ in range(40_000):
        tally.add("text", 0, 0, "word ")
    finish(tally, None)
    assert not tally.exact
    assert tally.tokens == pytest.approx(estimate("word " * 40_000), rel=0.01)


def test_a_large_answer_in_one_piece_is_kept_as_it_is_and_exact(o200k):
    """It is the application's own string: nothing is copied until it is counted."""
    tally, text = OutputTally(), PROSE * 4_000
    tally.add("text", 0, 0, text)
    assert held_memory(tally) < 1024
    assert tally.held == len(text)
    finish(tally, o200k)
    assert (tally.tokens, tally.exact) == (whole(o200k, text), True)
    assert tally.held == 0


class Metered:
    """An encoding that knows what was asked of it."""

    def __init__(self, encoding):
        self.encoding, self.weight = encoding, 0

    def encode_ordinary(self, text):
        self.weight += weight(text)
        return self.encoding.encode_ordinary(text)


@pytest.mark.parametrize("unit", [PROSE, "中文字符，没有空格。", "deadbeef09", "a", "的"])
@pytest.mark.parametrize("first", ["Hi ", "Hi " + PROSE * 400], ids=["small", "large"])
def test_a_large_chunk_is_not_counted_in_one_go(o200k, unit, first):
    """A chunk of 100 KB among others costs the application a few slices, and stays exact."""
    tally, metered = OutputTally(), Metered(o200k)
    tally.use(metered)
    size = min(60_000, RUN - 8) if len(set(unit)) == 1 else 100_000
    large = (unit * size)[:size]
    text = first + large + " and on."
    for piece in (first, large, " and", " on."):
        metered.weight = 0
        tally.add("text", 0, 0, piece)
        assert metered.weight <= 5 * INLINE
    finish(tally, o200k)
    assert tally.exact
    assert tally.tokens == whole(o200k, text)


def test_asking_costs_a_few_slices_whatever_waits(o200k):
    """Runs set aside are counted a few at a time, once; until then their rest is estimated."""
    tally, metered = OutputTally(), Metered(o200k)
    tally.use(metered)
    text = ("的" * 3_000 + " ") * 6 + "and so on."
    for piece in pieces_of(text, [700]):
        tally.add("text", 0, 0, piece)
    seen = []
    for _ in range(8):
        metered.weight = 0
        seen.append(tally.now(metered))
        assert metered.weight <= 8 * INLINE
    assert seen[-1] == (whole(o200k, text), True, True)
    assert metered.weight < INLINE
    assert finish(tally, o200k).tokens == whole(o200k, text)


def test_many_large_chunks_are_bounded_too(o200k):
    """What comes faster than it is counted is held up to a megabyte, then estimated."""
    tally, most = OutputTally(), 0
    tally.use(o200k)
    for _ in range(40):
        tally.add("text", 0, 0, "😀的中文。" * 20_000)
        most = max(most, held_memory(tally))
    assert most <= 1024 * 1024 + 64 * 1024
    finish(tally, o200k)
    assert not tally.exact


def test_keys_are_bounded(o200k):
    """A server that numbers without end costs no memory without end."""
    tally = OutputTally()
    tally.use(o200k)
    for number in range(5_000):
        tally.add("text", number, -number, "word ")
    assert len(tally._streams) <= KEYS + 1
    finish(tally, o200k)
    assert not tally.exact
    assert tally.tokens == pytest.approx(10_000, rel=0.6)


@pytest.mark.parametrize("number", [None, "0", [], {}, 1.5])
def test_numbers_of_the_wrong_type_are_counted_all_the_same(o200k, number):
    tally = OutputTally()
    tally.add("text", number, 0, "two words")
    finish(tally, o200k)
    assert (tally.tokens, tally.exact) == (2, False)


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["text"], object()])
def test_what_is_no_text_is_left_out(o200k, text):
    tally = OutputTally()
    tally.add("text", 0, 0, text)
    assert finish(tally, o200k).tokens == 0


def test_a_summary_of_thought_is_seen_but_not_counted(o200k):
    tally = OutputTally()
    tally.add("summary", 0, 0, "**Thinking** about it")
    assert tally.saw_summary
    assert tally.may_hide
    assert finish(tally, o200k).tokens == 0


def test_an_encoding_is_asked_for_until_there_is_one(o200k):
    tally, answers = OutputTally(), [None, o200k]
    told = []
    tally.ask(lambda held: told.append(held) or answers.pop(0))
    for _ in range(2_000):
        tally.add("text", 0, 0, "word ")
    assert answers == []
    assert told[0] == 0 < told[1] < 2_000
    assert tally.tokens > 0


@pytest.mark.outside(REPLY)
def test_the_recorded_answer_is_what_was_billed(cl100k):
    for size in (1, 4, 20, 10_000):
        tally = OutputTally()
        tally.use(cl100k)
        for piece in pieces_of((OUTSIDE / REPLY).read_text(), [size]):
            tally.add("text", 0, 0, piece)
        assert finish(tally, cl100k).tokens == 366
        assert tally.exact


def test_a_tool_that_was_not_chosen_is_billed_by_its_arguments(o200k):
    tally = OutputTally(Surcharges(names_tool=True))
    tally.add("tool_name", 0, 0, "get_current_weather")
    tally.add("tool_arguments", 0, 0, '{"location":"Seattle, WA"}')
    assert finish(tally, o200k).tokens == whole(o200k, '{"location":"Seattle, WA"}')


def test_text_with_tools_and_a_schema_costs_more_for_each_choice(o200k):
    """1 beside tools; with a schema too 2 and its name; a schema alone costs nothing."""
    for more, options in (
        (0, {}),
        (0, {"schema": "City"}),
        (1, {"tools": True}),
        (1 + 2 + 1, {"tools": True, "schema": "City"}),
    ):
        tally = OutputTally(Surcharges(**options))
        for choice in range(2):
            tally.add("text", choice, 0, "two words")
        assert finish(tally, o200k).tokens == 2 * (2 + more)
    tally = OutputTally(Surcharges(tools=True))
    tally.add("tool_name", 0, 0, "look")
    assert finish(tally, o200k).tokens == whole(o200k, ".look") + 7


def test_what_was_asked_may_be_known_later_than_the_answer(o200k):
    """A request that came in an iterator is read after the client has read it."""
    tally = OutputTally()
    tally.use(o200k)
    tally.add("tool_name", 0, 0, "get_current_weather")
    tally.add("tool_arguments", 0, 0, "{}")
    tally.add("text", 1, 0, "two words")
    name = whole(o200k, ".get_current_weather")
    assert tally.now(o200k) == (name + 7 + 1 + 2, True, True)
    tally.surcharges = Surcharges(names_tool=True, tools=True)
    assert tally.now(o200k) == (1 + 2 + 1, True, True)
    assert finish(tally, o200k).tokens == 4


def test_several_calls_of_one_answer_are_written_as_one(o200k):
    """As a call of a hidden tool, in which blanks of their JSON are left out; in Responses not."""
    for of_responses, arguments in ((False, '{"at":"sea"}'), (True, '{"at": "sea"}')):
        tally = OutputTally(Surcharges(of_responses=of_responses))
        for item in range(2):
            place = (item, 0) if of_responses else (0, item)
            tally.add("tool_name", *place, "look")
            tally.add("tool_arguments", *place, '{"at": "sea"}')
        use = f'{{"recipient_name":"functions.look","parameters":{arguments}}}'
        written = f'{{"tool_uses":[{use},{use}]}}'
        assert finish(tally, o200k).tokens == whole(o200k, written) + 10 + of_responses
        several = RuleId.ANSWER_CALLS_RESPONSES if of_responses else RuleId.ANSWER_CALLS_CHAT
        assert several in {part.rule for part in tally.parts}


@pytest.mark.parametrize(
    ("created", "more", "known"),
    [(1751126400, 9, False), (1759276800, 10, True), (None, 10, True)],
    ids=["June 2025", "October 2025", "not said when"],
)
def test_several_calls_of_responses_cost_one_less_before_october_2025(o200k, created, more, known):
    request = Request("chat", "responses", Endpoint("openai", None, None, ""), "gpt-4o")
    model = resolve.identify("gpt-4o", None, None, {})
    answer = Response(created=created, finish_reasons=("tool_calls",))
    tally = OutputTally(resolve.surcharges(request, Prompt(), answer, model))
    for item in range(2):
        tally.add("tool_name", item, 0, "look")
        tally.add("tool_arguments", item, 0, "{}")
    use = '{"recipient_name":"functions.look","parameters":{}}'
    assert finish(tally, o200k).tokens == whole(o200k, f'{{"tool_uses":[{use},{use}]}}') + more + 1
    assert tally.exact is known


def test_calls_of_several_choices_are_each_by_itself(o200k):
    tally = OutputTally()
    for choice in range(2):
        tally.add("tool_name", choice, 0, "look")
        tally.add("tool_arguments", choice, 0, "{}")
    assert finish(tally, o200k).tokens == 2 * (whole(o200k, ".look") + 7 + 1)


def test_calls_too_long_to_be_joined_cost_their_texts_and_six_each(o200k):
    """Part of them is counted while they come, so how they were written is not known."""
    tally, long = OutputTally(), '{"text":"' + "a word and " * 3_000 + '"}'
    tally.use(o200k)
    for item in range(2):
        tally.add("tool_name", 0, item, "look")
        for piece in pieces_of(long, [20]):
            tally.add("tool_arguments", 0, item, piece)
    texts = 2 * (whole(o200k, ".look") + whole(o200k, long))
    assert finish(tally, o200k).tokens == texts + 16 + 2 * 6
    assert not tally.exact


def test_a_lone_call_with_blanks_in_its_json_was_one_of_several(o200k):
    tally = OutputTally()
    tally.add("tool_name", 0, 0, "look")
    tally.add("tool_arguments", 0, 0, '{"at": "sea"}')
    use = '{"recipient_name":"functions.look","parameters":{"at":"sea"}}'
    assert finish(tally, o200k).tokens == whole(o200k, f'{{"tool_uses":[{use}]}}') + 10


def test_a_refusal_costs_one_more_than_its_text(o200k):
    tally = OutputTally(Surcharges(schema="City"))
    tally.add("refusal", 0, 0, "two words")
    assert finish(tally, o200k).tokens == 2 + 1


def test_an_item_of_responses_that_was_cut_short_has_no_end(o200k):
    for cut, tokens in ((False, 3), (True, 2)):
        tally = OutputTally(Surcharges(of_responses=True, cut=cut))
        tally.add("text", 0, 0, "two words")
        assert finish(tally, o200k).tokens == tokens


def test_a_model_without_reasoning_hides_no_tokens_and_adds_a_header(o200k):
    for thinks, tokens in ((True, 2), (False, 2 + 3)):
        tally = OutputTally(Surcharges(dialect=Dialect.GPT_5_4, thinks=thinks))
        tally.add("text", 0, 0, "two words")
        assert finish(tally, o200k).tokens == tokens
        assert tally.may_hide is thinks


@pytest.mark.parametrize(
    ("dialect", "rule"),
    [
        (Dialect.GPT_5_4, RuleId.ANSWER_SCHEMA_REASONING),
        (Dialect.PLAIN, RuleId.ANSWER_SCHEMA),
    ],
)
def test_a_schema_in_the_answer_has_a_rule_for_models_that_reason(o200k, dialect, rule):
    tally = OutputTally(Surcharges(dialect=dialect, schema="City", tools=True))
    tally.add("text", 0, 0, "two words")
    schema = {RuleId.ANSWER_SCHEMA, RuleId.ANSWER_SCHEMA_REASONING}
    parts = [part for part in finish(tally, o200k).parts if part.rule in schema]
    assert [(part.rule, part.tokens) for part in parts] == [(rule, 2 + 1)]


def test_a_piece_costs_a_list_append_and_encodes_nothing(monkeypatch, o200k):
    """Between two gatherings no piece is looked at."""
    tally, gathered = OutputTally(), []
    tally.use(o200k)
    original = module.StreamText.gather
    monkeypatch.setattr(
        module.StreamText, "gather", lambda *args: gathered.append(1) or original(*args)
    )
    for _ in range(1_000):
        tally.add("text", 0, 0, "words")
    assert len(gathered) <= 1_000 / 30
    fed = Feed(tally)
    gathered.clear()
    for _ in range(1_000):
        fed.add("text", 0, 0, "words")
    assert len(gathered) <= 1_000 / 60


def test_pieces_are_left_in_few_lists_and_in_none_where_much_is_held(o200k):
    tally = OutputTally()
    assert tally.append_buffer("text", 0, 0) is None  # nothing came of it yet
    for choice in range(3):
        tally.add("text", choice, 0, "a")
    lists = [tally.append_buffer("text", choice, 0) for choice in range(3)]
    assert [pieces is None for pieces in lists] == [False, False, True]
    assert tally.append_buffer("text", 1, 0) is lists[1]
    lists[1].append("b")
    tally.add("text", 0, 0, "word " * 8_000)
    tally.add("text", 0, 0, "x")
    assert all(len(pieces) == MOST_WAITING for pieces in lists[:2])  # so nothing more is left there
    assert tally.append_buffer("text", 0, 0) is None
    finish(tally, o200k)
    assert tally.tokens == sum(whole(o200k, t) for t in ("a" + "word " * 8_000 + "x", "ab", "a"))


@pytest.mark.parametrize("asks", [True, False], ids=["asked on each", "not asked"])
@pytest.mark.parametrize("step", [3, 40, 700])
def test_pieces_that_repeat_the_text_so_far_count_as_the_text(o200k, step, asks):
    """Also while it arrives, and with no more held than the last piece."""
    tally, text = OutputTally(), PROSE * 40
    tally.use(o200k)
    for end in range(step, len(text) + step, step):
        tally.add("text", 0, 0, text[:end])
        if asks:
            assert tally.now(o200k)[0] == pytest.approx(whole(o200k, text[:end]), abs=2)
    finish(tally, o200k)
    assert tally.exact
    assert tally.tokens == whole(o200k, text)


def test_a_text_counted_before_it_turns_out_to_be_no_repetition_is_no_exact_count(o200k):
    tally = OutputTally()
    tally.use(o200k)
    for piece in (PROSE, PROSE + "Next: ", "Mars."):
        tally.add("text", 0, 0, piece)
        tally.now(o200k)
    finish(tally, o200k)
    assert not tally.exact
    assert tally.tokens == pytest.approx(whole(o200k, PROSE + PROSE + "Next: Mars."), abs=2)
