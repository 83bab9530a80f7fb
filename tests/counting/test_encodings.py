import gzip
import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from importlib import metadata, resources

import pytest
import tiktoken
import tiktoken_ext.openai_public as published

from tokentrail.counting import encodings as module
from tokentrail.counting.encodings import RECIPES, Encodings, build_encoding, build_words
from tokentrail.counting.words import WordEncoder


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_an_encoding_is_made_of_what_tiktoken_says(name, monkeypatch):
    """Pattern, special tokens and checksum equal those of tiktoken's own constructors."""
    asked = {}
    monkeypatch.setattr(published, "load_tiktoken_bpe", lambda _url, **kwargs: asked.update(kwargs))
    theirs = published.ENCODING_CONSTRUCTORS[name]()
    recipe = RECIPES[name]
    if not metadata.version("tiktoken").startswith("0.7."):  # the same words by slower patterns
        assert recipe.pattern == theirs["pat_str"]
    assert recipe.special_tokens == theirs["special_tokens"]
    assert recipe.sha256 == asked["expected_hash"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_shipped_ranks_are_openai_s(name):
    packed = resources.files("tokentrail.counting") / "data" / f"{name}.tiktoken.gz"
    assert hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest() == RECIPES[name].sha256


def test_an_encoding_says_where_its_tokens_end(encoding):
    assert encoding.decode(encoding.encode_ordinary("tokens, 数 and 😀")) == "tokens, 数 and 😀"
    assert encoding.encode_ordinary("<|endoftext|>") != [encoding.eot_token]


def test_an_encoding_counts_as_tiktoken_s_own_and_keeps_no_second_copy(monkeypatch, encoding):
    """Built from the same ranks, ours forgets the dict that tiktoken holds only to pickle it."""
    monkeypatch.setattr(
        published,
        "load_tiktoken_bpe",
        lambda *_, **__: dict(module._read_ranks(encoding.name, sha256)),
    )
    sha256 = RECIPES[encoding.name].sha256
    theirs = tiktoken.Encoding(**published.ENCODING_CONSTRUCTORS[encoding.name]())
    text = "Tokens, 数, 😀 and <|endoftext|>\n\n  don't 1234" * 50
    assert encoding.encode_ordinary(text) == theirs.encode_ordinary(text)
    assert encoding.n_vocab == theirs.n_vocab
    assert not encoding._mergeable_ranks


def test_importing_the_package_imports_no_tiktoken():
    script = "import sys, tokentrail.counting; sys.exit('tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.fixture
def builder(monkeypatch):
    """Stand-in for both ways to build: counts its calls, waits for `go`, may fail."""

    class Builder:
        def __init__(self):
            self.calls = 0
            self.go = threading.Event()
            self.go.set()
            self.error = None
            self.thread = None

        def __call__(self, name):
            self.calls += 1
            self.thread = threading.current_thread()
            assert self.go.wait(5)
            if self.error:
                raise self.error
            return f"<{name}>"

    builder = Builder()
    monkeypatch.setattr(module, "build_encoding", builder)
    monkeypatch.setattr(module, "build_words", builder)
    return builder


def test_start_builds_once_in_the_background_and_notifies_everyone(builder):
    encodings, told, second = Encodings(), [], threading.Event()

    def first():
        told.append(encodings.get("o200k_base"))

    builder.go.clear()
    for _ in range(3):
        encodings.start("o200k_base", first)
    encodings.start("o200k_base", second.set)
    assert encodings.get("o200k_base") is None
    assert not encodings.failed("o200k_base")
    builder.go.set()
    assert second.wait(5)
    assert told == ["<o200k_base>"]
    assert encodings.get("o200k_base") == "<o200k_base>"
    assert builder.calls == 1
    assert builder.thread.name == "tokentrail-encoding"
    assert builder.thread.daemon


def test_start_of_a_built_encoding_notifies_at_once(builder):
    encodings, told = Encodings(), []
    encodings.load("o200k_base")
    encodings.start("o200k_base", lambda: told.append(True))
    assert told == [True]
    assert builder.calls == 1


def test_load_by_many_threads_builds_once(builder):
    encodings, found = Encodings(), []
    builder.go.clear()
    threads = [
        threading.Thread(target=lambda: found.append(encodings.load("o200k_base")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    builder.go.set()
    for thread in threads:
        thread.join(5)
    assert found == ["<o200k_base>"] * 4
    assert builder.calls == 1


PanicException = type("PanicException", (BaseException,), {})


@pytest.mark.parametrize("error", [ValueError("wrong checksum"), PanicException("panicked")])
def test_a_failure_is_recorded_logged_once_and_not_tried_again(builder, caplog, error):
    encodings, ready = Encodings(), threading.Event()
    builder.error = error
    with caplog.at_level(logging.WARNING, logger="tokentrail"):
        encodings.start("o200k_base", ready.set)
        assert ready.wait(5)
        assert encodings.load("o200k_base") is None
    assert encodings.failed("o200k_base")
    assert builder.calls == 1
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()])
def test_a_passing_shortage_is_tried_again(builder, caplog, monkeypatch, error):
    """As of files or memory, while a process starts."""
    encodings, ready = Encodings(), threading.Event()
    monkeypatch.setattr(module, "RETRY_AFTER", 0.1)
    builder.error = error
    for _ in range(2):
        encodings.start("o200k_base", ready.set)
        assert ready.wait(5)
        assert encodings.load("o200k_base") is None
        assert encodings.failed("o200k_base")
        time.sleep(0.11)
        ready.clear()
    builder.error = None
    encodings.start("o200k_base", ready.set)
    assert ready.wait(5)
    assert encodings.get("o200k_base") == "<o200k_base>"
    assert builder.calls == 3
    assert len(caplog.records) == 1


def test_an_encoding_with_wrong_ranks_is_not_tried_again(builder, monkeypatch):
    encodings = Encodings()
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    builder.error = ValueError("wrong checksum")
    assert [encodings.load("o200k_base") for _ in range(2)] == [None, None]
    assert builder.calls == 1


def test_an_interrupt_while_loading_is_the_application_s(builder):
    encodings = Encodings()
    builder.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        encodings.load("o200k_base")
    assert not encodings.failed("o200k_base")


@pytest.mark.parametrize("build", [build_encoding, build_words])
def test_damaged_ranks_are_refused(monkeypatch, build):
    recipe = RECIPES["cl100k_base"]
    changed = type(recipe)("0" * 64, recipe.pattern, recipe.special_tokens)
    monkeypatch.setitem(RECIPES, "cl100k_base", changed)
    with pytest.raises(ValueError, match="expected 0000"):
        build("cl100k_base")


@pytest.mark.parametrize("build", [build_encoding, build_words])
def test_an_encoding_that_is_not_shipped_is_refused_by_name(build):
    with pytest.raises(ValueError, match=r"'p50k_base' is not shipped.*cl100k_base, o200k_base"):
        build("p50k_base")


def _started(encodings, name):
    """Start the encoding in the background, wait for it and return it."""
    ready = threading.Event()
    encodings.start(name, ready.set)
    assert ready.wait(30)
    return encodings.get(name)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_in_the_background_tiktoken_is_given_no_ranks(monkeypatch, name):
    """Its constructor would keep the GIL, and with it an event loop, for 70 to 200 ms."""
    given, encodings = [], Encodings()
    construct = tiktoken._tiktoken.CoreBPE
    monkeypatch.setattr(
        "tiktoken._tiktoken.CoreBPE",
        lambda ranks, *more: given.append(len(ranks)) or construct(ranks, *more),
    )
    encoding = _started(encodings, name)
    assert given == [256] * 6, "characters are asked for, by class"
    assert encodings.has_any
    assert len(encoding.encode_ordinary("Hello, world")) == 3
    encodings.load(name)
    assert max(given) > 100_000, "the test would notice"


def test_the_background_lets_other_threads_run(monkeypatch):
    """It pauses after each 16 KB of ranks, and no dict is so large that it takes long to grow."""
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    encoding = _started(Encodings(), "o200k_base")
    assert len(pauses) > 200
    assert min(pauses) > 0, "with 0 the thread would go on before another wakes up"
    assert max(map(len, encoding._tables)) < 87_381, (
        "then a dict of 44,000 is the largest that grows"
    )


def test_who_waits_for_tiktoken_s_own_has_it_replace_the_other(encoding):
    encodings = Encodings()
    first = _started(encodings, "cl100k_base")
    assert isinstance(first, WordEncoder)
    own = encodings.load("cl100k_base")
    assert isinstance(own, tiktoken.Encoding)
    assert encodings.get("cl100k_base") is own
    assert encodings._in_python == {}
    assert first.encode_ordinary("a job may still use it") == own.encode_ordinary(
        "a job may still use it"
    )
    assert _started(encodings, "cl100k_base") is own


def test_where_tiktoken_s_own_cannot_be_built_the_other_stays(monkeypatch):
    encodings = Encodings()
    first = _started(encodings, "cl100k_base")

    def fail(_name):
        raise MemoryError

    monkeypatch.setattr(module, "build_encoding", fail)
    assert encodings.load("cl100k_base") is first
    assert encodings.is_settled("cl100k_base")


def test_what_counts_is_imported_before_the_encoding_is_ready():
    """At the end of the first stream its import would hold up the event loop."""
    script = """
import sys, threading, tokentrail.counting as counting
from tokentrail.model.records import Prompt
tally = counting.OutputTally()
ready = threading.Event()
counting.ENCODINGS.start("cl100k_base", ready.set)
assert ready.wait(30)
before = set(sys.modules)
for _ in tally.steps(counting.ENCODINGS.get("cl100k_base")):
    pass
for _ in counting.InputTally(Prompt()).steps(None, "gpt-4"):
    pass
sys.exit(str([name for name in sys.modules if name not in before and "tokentrail" in name]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.stderr.decode().strip() == "[]"


def test_tiktoken_s_registry_is_not_asked(monkeypatch):
    """Neither get_encoding, nor its plugins, nor a download."""

    def refuse(*_args, **_kwargs):
        pytest.fail("the registry was asked")

    monkeypatch.setattr(tiktoken, "get_encoding", refuse)
    monkeypatch.setattr("tiktoken.registry._find_constructors", refuse)
    monkeypatch.setattr("tiktoken.load.read_file", refuse)
    assert Encodings().load("cl100k_base").name == "cl100k_base"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_forgets_only_what_was_being_built(builder):
    encodings, ready = Encodings(), threading.Event()
    encodings.load("cl100k_base")
    builder.go.clear()
    encodings.start("o200k_base", ready.set)
    encodings.forked()
    builder.go.set()
    assert encodings.get("cl100k_base") == "<cl100k_base>"
    assert encodings.load("o200k_base") == "<o200k_base>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_amid_a_build_builds_for_itself(builder, monkeypatch):
    """The thread that holds the parent's lock is not there to let go of it."""
    encodings = Encodings()
    builder.go.clear()
    encodings.start("o200k_base", lambda: None)
    end = time.monotonic() + 5.0
    while not builder.calls and time.monotonic() < end:
        time.sleep(0.001)
    assert builder.calls == 1
    child = os.fork()
    if not child:
        monkeypatch.setattr(module, "build_encoding", lambda name: f"<own {name}>")
        encodings.forked()
        loading = threading.Thread(target=encodings.load, args=("o200k_base",), daemon=True)
        loading.start()
        loading.join(2.0)
        os._exit(0 if encodings.get("o200k_base") == "<own o200k_base>" else 1)
    builder.go.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
