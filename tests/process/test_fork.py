"""Forked children: each process tells its own calls, and no other's."""

from __future__ import annotations

import os

import pytest

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]

FORKING = """
    import sys
    import traceback
    import warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # it is, on purpose

    import tokentrail
    tokentrail.instrument(tracer_provider=provider())
    import openai
    client = openai.OpenAI()
    create = client.chat.completions.create

    def in_child(work):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status

    def fresh(**asked):
        with openai.OpenAI() as client:
            list(client.chat.completions.create(stream=True, **ASKED, **asked))
"""
BUILT = """
    from tokentrail.counting import ENCODINGS
    ENCODINGS.load("o200k_base")
"""


def _by_process(done):
    parent = done.said[0]
    inner = [span["attributes"] for span in done.spans if span["pid"] != parent]
    return [s["attributes"] for s in done.spans if s["pid"] == parent], inner


def _is_counted(told):
    return told["tokentrail.usage.output.source"] == "counted"


def test_in_the_middle_of_a_stream(run):
    """The child ends, reads and drops its parent's stream as it likes: that is not its call.

    What it dropped, its prompt too, is held no longer. Its own calls are told, by a worker of its
    own; the parent's stream goes on and is told once.
    """
    done = run(
        FORKING
        + BUILT
        + """
    import gc
    say(os.getpid())
    prompt = ASKED["messages"][0]["content"]
    references = sys.getrefcount(prompt)
    stream = create(stream=True, **ASKED)
    kept = [next(stream) for _ in range(4)]

    def work():
        global stream, kept
        assert thread_names() == []
        stream.response.is_closed
        stream = kept = None
        gc.collect()
        gc.collect()  # before Python 3.11 a cycle outlives the finaliser of a generator in it
        assert sys.getrefcount(prompt) == references
        fresh()
        assert tokentrail.flush(10)
        assert thread_names() == ["tokentrail"]

    in_child(work)
    rest = list(stream)
    assert tokentrail.flush(10)
    say(len(rest) > 10)
    """
    )
    outer, inner = _by_process(done)
    assert done.said[1:] == [True]
    assert [told["tokentrail.outcome"] for told in outer] == ["completed"]
    assert [told["tokentrail.outcome"] for told in inner] == ["completed"]
    assert _is_counted(outer[0])
    assert outer[0]["gen_ai.usage.output_tokens"] == inner[0]["gen_ai.usage.output_tokens"]
    assert done.err == ""


@pytest.mark.parametrize("how", ["closes", "leaves"])
def test_a_child_that_exits_records_none_of_its_parents_calls(run, how):
    """Also not by the exit hooks that it inherits."""
    done = run(
        FORKING
        + BUILT
        + f"""
    say(os.getpid())
    stream = create(stream=True, **ASKED, **STALLING)
    kept = [next(stream) for _ in range(3)]
    child = os.fork()
    if child == 0:
        if {how == "closes"}:
            stream.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not os.path.exists(os.environ["SPANS_FILE"])
    stream.close()
    """
    )
    outer, inner = _by_process(done)
    assert inner == []
    assert [told["tokentrail.outcome"] for told in outer] == ["closed_early"]
    assert outer[0]["gen_ai.usage.output_tokens"] == 2


@pytest.mark.parametrize("wait", [0, 0.001, 0.01])
def test_while_its_modules_are_being_imported(run, wait):
    """A module that is half imported at the fork would never be whole in the child."""
    done = run(
        FORKING
        + f"""
    import time
    from tokentrail.counting import ENCODINGS

    def work():
        assert ENCODINGS.load("o200k_base") is not None

    assert "tiktoken" not in sys.modules
    ENCODINGS.start("o200k_base", lambda: None)
    time.sleep({wait})
    in_child(work)
    """
    )
    assert "ignored" not in done.err


def test_while_an_encoding_is_being_built(run):
    """The thread that builds it stays behind: the child builds its own, and counts with it."""
    done = run(
        FORKING
        + """
    say(os.getpid())
    stream = create(stream=True, **ASKED)
    assert "tokentrail-encoding" in thread_names()

    def work():
        assert thread_names() == []
        fresh()
        assert tokentrail.flush(20)

    in_child(work)
    list(stream)
    assert tokentrail.flush(20)
    """,
        TOKENTRAIL_COUNT_TIMEOUT="20",
    )
    outer, inner = _by_process(done)
    assert [_is_counted(told) for told in (*outer, *inner)] == [True, True]


def test_what_waits_in_the_parent_is_recorded_by_the_parent_alone(run):
    """A child does not end what its parent's worker has in hand."""
    done = run(
        FORKING
        + """
    say(os.getpid())
    list(create(stream=True, **ASKED))
    assert not os.path.exists(os.environ["SPANS_FILE"]), "it waits for its encoding"

    def work():
        assert tokentrail.flush(20)
        tokentrail.uninstrument()

    in_child(work)
    assert tokentrail.flush(20)
    """,
        TOKENTRAIL_COUNT_TIMEOUT="20",
    )
    outer, inner = _by_process(done)
    assert inner == []
    assert [_is_counted(told) for told in outer] == [True]


def test_what_was_built_before_is_shared(run):
    """A child of a server that preloaded counts at once, without a thread that builds."""
    done = run(
        FORKING.replace("provider()", 'provider(), preload_encodings="o200k_base"')
        + """
    say(os.getpid())

    def work():
        fresh()
        assert len(open(os.environ["SPANS_FILE"]).readlines()) == 1, "told before the loop went on"
        assert "tokentrail-encoding" not in thread_names()

    in_child(work)
    """
    )
    _, inner = _by_process(done)
    assert [_is_counted(told) for told in inner] == [True]
