"""Encodings, built from the rank files that this package ships.

An encoding that is needed while a program runs is an encoder in Python, since building tiktoken's
own would hold up the event loop. tiktoken's own is built where the caller waits for it.

Neither ``tiktoken.get_encoding`` nor its plugin registry is used: they download, without a time
limit and under a lock, and one bad plugin makes every call fail. tiktoken is imported when the
first encoding is built, not before.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from binascii import a2b_base64
from importlib import resources
from typing import TYPE_CHECKING, Protocol

from tokentrail.support.fork import IMPORTING
from tokentrail.support.frozen import lean_dataclass
from tokentrail.support.lazy import import_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiktoken import Encoding

logger = logging.getLogger(__name__)

RETRY_AFTER = 10.0
"""Seconds to wait after a temporary shortage before building again; a try costs half a second."""
_SLICE = 16 * 1024
"""Bytes of a rank file parsed between two yields of the GIL: about half a millisecond."""
_PAUSE = 0.0001
"""Seconds. With none the thread mostly gets the GIL back before another that waits wakes up."""
_WITH_IT = ("evidence", "rules", "models", "surcharges", "images", "tools", "prompt")
"""Modules that a count needs: if they were imported at its end, an event loop would wait."""


@lean_dataclass(frozen=True, slots=True)
class Recipe:
    """What makes an encoding, besides its ranks: facts of tiktoken_ext.openai_public."""

    sha256: str
    pattern: str
    special_tokens: dict[str, int]


RECIPES = {
    "cl100k_base": Recipe(
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        pattern=(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        ),
        special_tokens={
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": Recipe(
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        pattern=(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
            r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
            r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        special_tokens={"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
}


class Encoder(Protocol):
    """What counting needs of an encoding; tiktoken's encodings have it."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of ``text``, in which special tokens are text like any other."""


class Encodings:
    """Encodings by name, each made at most once, in the background or while the caller waits.

    In the background it is made in Python, and stays so until a caller waits for tiktoken's own.
    """

    def __init__(self) -> None:
        """Start without any encoding."""
        self._built: dict[str, Encoder] = {}
        """Those of tiktoken."""
        self._in_python: dict[str, Encoder] = {}
        self.has_any = False
        """Whether there is at least one."""
        self._failed: dict[str, float] = {}
        """By name, the ``time.monotonic()`` before which the build is not tried again."""
        self.forked()

    def forked(self) -> None:
        """Forget the builds in progress: a forked child does not have the threads that ran them.

        Encodings that are there stay, and share the parent's memory.
        """
        self._lock = threading.RLock()
        self._building = threading.RLock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def is_settled(self, name: str) -> bool:
        """Return whether the encoding is there, or cannot be for now; never waits."""
        return self.get(name) is not None or self.failed(name)

    def get(self, name: str) -> Encoder | None:
        """Return the encoding if it is there, tiktoken's own if that is built; never waits."""
        return self._built.get(name) or self._in_python.get(name)

    def failed(self, name: str) -> bool:
        """Return whether building this encoding failed, and may not be tried again yet.

        After a temporary shortage (no memory, no file to open) it is tried again in RETRY_AFTER
        seconds.
        """
        until = self._failed.get(name)
        return until is not None and time.monotonic() < until

    def start(self, name: str, ready: Callable[[], None]) -> None:
        """Make the encoding in a daemon thread; call ``ready`` once that ends, failed or not.

        No other thread waits for more than some milliseconds meanwhile. ``ready`` is called at once
        if the encoding is there already. A callback that is passed twice meanwhile is called once.
        """
        with self._lock:
            done = self.is_settled(name)
            first = not done and name not in self._waiting
            if not done:
                callbacks = self._waiting.setdefault(name, [])
                if ready not in callbacks:
                    callbacks.append(ready)
        if done:
            ready()
        elif first:
            self._start_thread(name)

    def load(self, name: str) -> Encoder | None:
        """Return tiktoken's own encoding, building it if necessary; None if there is none at all.

        The caller waits, and so do all other threads for up to 0.2 s.
        """
        if name not in self._built and not self.failed(name):
            with self._building:
                if name not in self._built and not self.failed(name):
                    self._make(name, build_encoding, self._built)
                    if name in self._built:
                        self._in_python.pop(name, None)
        return self.get(name)

    def _start_thread(self, name: str) -> None:
        thread = threading.Thread(
            target=self._make_and_notify, args=(name,), name="tokentrail-encoding", daemon=True
        )
        try:
            import_once("concurrent.futures.thread")  # tiktoken needs it; it hooks into forks
            thread.start()
        except Exception:  # noqa: BLE001 - the program is ending, or threads or memory have run out
            self._notify(name)

    def _make_and_notify(self, name: str) -> None:
        try:
            with self._building:
                if not self.is_settled(name):
                    self._make(name, build_words, self._in_python)
        finally:
            self._notify(name)

    def _notify(self, name: str) -> None:
        with self._lock:
            callbacks = self._waiting.pop(name, [])
        for ready in callbacks:
            ready()

    def _make(self, name: str, make: Callable[[str], Encoder], kept: dict[str, Encoder]) -> None:
        try:
            kept[name] = make(name)
            self.has_any = True
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            self._note_failure(name, error)
        else:
            self._failed.pop(name, None)

    def _note_failure(self, name: str, error: BaseException) -> None:
        is_final = isinstance(error, ValueError)  # no such encoding, or a wrong checksum
        is_first = name not in self._failed
        self._failed[name] = math.inf if is_final else time.monotonic() + RETRY_AFTER
        if is_first or is_final:
            logger.warning(
                "The encoding %s cannot be built, so counts of its models are estimates%s: %s",
                name,
                "" if is_final else " until a later try succeeds",
                str(error) or type(error).__name__,
            )


ENCODINGS = Encodings()
"""The encodings of this process."""


def build_encoding(name: str) -> Encoding:
    """Build tiktoken's encoding from the shipped ranks: 0.15 s to 0.5 s of CPU.

    The GIL is yielded every half millisecond, except inside tiktoken's constructor, which holds
    it for 60 to 110 ms (cl100k_base) or 150 to 250 ms (o200k_base). Raises ValueError for a name
    that is not shipped and for a file with a wrong checksum.
    """
    recipe = _recipe(name)
    with IMPORTING:
        from tiktoken import Encoding
    ranks = dict(_read_ranks(name, recipe.sha256))
    encoding = Encoding(
        name,
        pat_str=recipe.pattern,
        mergeable_ranks=ranks,
        special_tokens=recipe.special_tokens,
    )
    # tiktoken has its own copy and keeps this one only to be pickled: a third of the memory.
    ranks.clear()
    return encoding


def build_words(name: str) -> Encoder:
    """Make an encoder in Python from the shipped ranks, and import what counts: 0.1 s of CPU.

    The GIL is yielded every half millisecond, and never held for more than 2 ms. Raises as
    :func:`build_encoding` does.
    """
    recipe = _recipe(name)
    import_what_counts()
    with IMPORTING:
        from tokentrail.counting.words import WordEncoder
    return WordEncoder(name, _read_ranks(name, recipe.sha256))


def import_what_counts() -> None:
    """Import the modules that a count needs, with a yield of the GIL between two."""
    for module in _WITH_IT:
        time.sleep(_PAUSE)
        import_once(f"tokentrail.counting.{module}")


def _recipe(name: str) -> Recipe:
    recipe = RECIPES.get(name)
    if recipe is None:
        message = f"encoding {name!r} is not shipped; shipped are {', '.join(sorted(RECIPES))}"
        raise ValueError(message)
    return recipe


def _read_ranks(name: str, sha256: str) -> Iterator[tuple[bytes, int]]:
    """Yield the tokens and their numbers, yielding the GIL every half millisecond."""
    with IMPORTING:
        import gzip
        import hashlib

        shipped = resources.files(__package__) / "data" / f"{name}.tiktoken.gz"  # imports, too
    content = gzip.decompress(shipped.read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        message = f"the rank file of {name} has sha256 {digest}, expected {sha256}"
        raise ValueError(message)
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + _SLICE) + 1 or len(content)
        fields = content[start:end].split()  # each line: base64 of a token, its rank
        yield from zip(map(a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True)
        start = end
        time.sleep(_PAUSE)


def is_panic(error: BaseException) -> bool:
    """Return whether this is a panic of tiktoken's Rust code, which is not an Exception."""
    return type(error).__name__ == "PanicException"
