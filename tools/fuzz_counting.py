"""Look for a text that counts otherwise in pieces than as a whole, or that stalls or breaks us.

    python tools/fuzz_counting.py [--seconds 20] [--seed N]

Texts of mixed scripts, code, emoji, whitespace, special-token text and lone surrogates, some with
long runs that have no safe cut, are counted in both encodings: as an answer that comes in random
chunks (with the encoding there from the start, from the middle or not before the end, asked for
its count along the way) and as a prompt in slices. Each count that calls itself exact must be
tiktoken's of the whole text, and only what is known to be beyond exactness may call itself
otherwise. The time of each step is CPU time of the thread. The exit status is 1 where anything was
found.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokentrail.counting import ENCODINGS, InputTally, OutputTally
from tokentrail.counting.text import next_safe_cut
from tokentrail.model.records import Message, Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiktoken import Encoding

SCRIPTS = (  # RUF001: letters that look like others are what is wanted
    "é的中文字符한국어ไทยעבריתمرحباहिन्दीქართულიελληνικάРусскийདབུ་ཅན"
    "𝐀𝟙ǅʰⅧKſß²½٣İıŉ。，、「」《》！？（）：；"
)
EMOJI = ("😀", "👨\u200d👩\u200d👧", "🇩🇪", "👍🏽", "❤️", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f")
SPACES = ("  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\x85", "\x1c", "\u200b", "\u2028")
CODE = (
    "def f(x):\n    return {'a': [1, 2]}\n",
    '{"a": {"b": [true, null, -1.5e9]}}',
    "SELECT * FROM t WHERE a<>'b';",
    "http://x.y/z?a=b&c=d#e",
    "for(;;){i++;}//*",
    "deadbeef09",
    "aGVsbG8gd29ybGQ=",
    "snake_case",
    "CamelCaseHTTPServer",
    "\\u00e9",
    "</div>",
)
WORDS = ("Hello", "world", "don't", "I'LL", "we've", "x", "1", "23", "4567", "...", "!", "'", "_")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|fim_prefix|>", "<|endofprompt|>", "<|start|>")
HALVES = ("\ud83d", "\ude00", "\ud835", "\udc00", "e\u0301", "\u0301", "\ufffd", "\x00")
RUNS = (" ", "a", "\n", "的", "😀", "\ud83d", "!", "0", "ab", "A", "\u0301")

LATE_EXACT = 12_000
"""Characters that are held, without an encoding, at 4 bytes each."""
RUN_EXACT = 2_048
"""Characters of a run without a safe cut that are counted at once; longer ones are held too."""
STALL = 0.020
"""Seconds of CPU on the application's thread for one chunk, of up to 2 million characters."""
SLICE_STALL = 0.060
"""Seconds of the worker's thread for one slice; a run of 64 KB is one slice. Both are twice what a
quiet machine shows, for one that is not."""


@dataclass
class Findings:
    """What was seen."""

    cases: int = 0
    characters: int = 0
    counts: int = 0
    inexact: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    slowest_chunk: float = 0.0
    slowest_now: float = 0.0
    slowest_slice: float = 0.0
    examples: list[str] = field(default_factory=list)

    def fail(self, kind: str, detail: object) -> None:
        """Note a failure; the first few with what made it."""
        self.failures[kind] += 1
        if len(self.examples) < 10:
            self.examples.append(f"{kind}: {detail!s:.400}")


def piece_of_text(chance: random.Random) -> str:
    """Return a word, a mark, a space: something that text is made of."""
    kind = chance.randrange(10)
    if kind == 0:
        return chr(chance.randrange(0x110000))
    if kind == 1:
        return "".join(chance.choices(SCRIPTS, k=chance.randint(1, 9)))
    if kind == 2:
        return chance.choice(HALVES)
    if kind == 3:
        return chance.choice(RUNS) * chance.choice((2, 3, 17, 90))
    tables = (EMOJI, SPACES, CODE, WORDS, SPECIAL, (" ",))
    return chance.choice(tables[kind - 4])


def make_text(chance: random.Random) -> str:
    """Return a text; one in forty holds a run that has no safe cut."""
    words = chance.choice((1, 3, 10, 40, 200, 1500))
    parts = [piece_of_text(chance) + " " * chance.randrange(2) for _ in range(words)]
    if chance.random() < 0.025:
        run = chance.choice(RUNS) * chance.choice((3_000, 9_000, 30_000, 100_000))
        parts.insert(chance.randrange(len(parts) + 1), run)
    return "".join(parts) * (20 if chance.randrange(100) == 0 else 1)


def chunks_of(text: str, chance: random.Random) -> Iterator[str]:
    """Cut a text anywhere; one in ten comes in a small chunk and a large one."""
    if chance.randrange(10) == 0:
        yield text[:3]
        yield text[3:]
        return
    longest = chance.choice((1, 4, 20, 200, 5_000, 10**6))
    at = 0
    while at < len(text):
        size = chance.randint(1, longest)
        yield text[at : at + size]
        at += size


def may_be_inexact(text: str, *, late: bool) -> bool:
    """Whether the text is beyond what is promised to be exact."""
    if late and len(text) > LATE_EXACT:
        return True
    held, start = 0, 0
    while start < len(text):
        cut = next_safe_cut(text, start + 1, len(text)) or len(text)
        held += cut - start if cut - start > RUN_EXACT else 0
        start = cut
    return held > LATE_EXACT


def as_answer(text: str, encoding: Encoding, chance: random.Random, found: Findings) -> None:
    """Count a text that comes in chunks."""
    tally, received = OutputTally(), 0
    whole = len(encoding.encode_ordinary(text))
    pieces = list(chunks_of(text, chance))
    arrival = chance.choice((0, 0, len(pieces) // 2, len(pieces)))
    for number, piece in enumerate(pieces):
        if number == arrival:
            tally.use(encoding)
        begun = time.thread_time()
        tally.add("text", 0, 0, piece)
        spent = time.thread_time() - begun
        found.slowest_chunk = max(found.slowest_chunk, spent)
        if spent > STALL:
            found.fail("stall at a chunk", (spent, number, len(piece), arrival, text))
        received += len(piece)
        if number >= arrival and chance.random() < 3 / len(pieces):
            look(tally, text[:received], encoding, found)
    finish(tally, encoding, found)
    found.counts += 1
    late = arrival > 0
    if tally.exact and tally.tokens != whole:
        found.fail("answer differs", (encoding.name, tally.tokens, whole, text))
    if not tally.exact:
        found.inexact += 1
        if not may_be_inexact(text, late=late):
            found.fail("answer inexact", (encoding.name, len(text), late, text))


def look(tally: OutputTally, received: str, encoding: Encoding, found: Findings) -> None:
    """Ask for the count of what came so far."""
    begun = time.thread_time()
    tokens, exact = tally.now(encoding)
    found.slowest_now = max(found.slowest_now, time.thread_time() - begun)
    found.counts += 1
    if exact and tokens != len(encoding.encode_ordinary(received)):
        found.fail("count on the way differs", (encoding.name, tokens, received))


def as_prompt(text: str, encoding: Encoding, found: Findings) -> None:
    """Count a text in slices."""
    tally = InputTally(Prompt(messages=(Message("user", (text,)),)))
    finish(tally, encoding, found, "gpt-4o")
    whole = len(encoding.encode_ordinary(text)) + 7
    found.counts += 1
    if tally.exact and tally.tokens != whole:
        found.fail("prompt differs", (encoding.name, tally.tokens, whole, text))
    if not tally.exact:
        found.inexact += 1
        if not may_be_inexact(text, late=False):
            found.fail("prompt inexact", (encoding.name, len(text), text))


def finish(
    tally: InputTally | OutputTally, encoding: Encoding, found: Findings, *model: str
) -> None:
    """Count the rest in slices."""
    begun = time.thread_time()
    for _ in tally.steps(encoding, *model):
        now = time.thread_time()
        found.slowest_slice = max(found.slowest_slice, now - begun)
        if now - begun > SLICE_STALL:
            found.fail("stall in a slice", f"{(now - begun) * 1e3:.1f} ms")
        begun = now


def as_all(text: str, encoding: Encoding, chance: random.Random, found: Findings) -> None:
    """Count a text in each way; whatever is raised is a failure."""
    try:
        as_answer(text, encoding, chance, found)
        as_prompt(text, encoding, found)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of tiktoken is no Exception
        found.fail(type(error).__name__, (encoding.name, error, text))


def run(seconds: float, seed: int) -> Findings:
    """Try texts for as long as there is time."""
    chance, found = random.Random(seed), Findings()
    encodings = [ENCODINGS.load(name) for name in ("cl100k_base", "o200k_base")]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        text = make_text(chance)
        found.cases += 1
        found.characters += len(text)
        for encoding in encodings:
            as_all(text, encoding, chance, found)
    return found


def main() -> int:
    """Fuzz, say what was seen, return the exit status."""
    parser = argparse.ArgumentParser(description="fuzz the counting of text")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    found = run(asked.seconds, asked.seed)
    print(
        f"seed {asked.seed}, {asked.seconds:g} s:"
        f" {found.cases} texts, {found.characters} characters,"
        f" {found.counts} counts in two encodings, {found.inexact} called inexact;"
        f" slowest chunk {found.slowest_chunk * 1e3:.2f} ms,"
        f" count on the way {found.slowest_now * 1e3:.2f} ms,"
        f" slice {found.slowest_slice * 1e3:.2f} ms;"
        f" failures: {dict(found.failures) or 'none'}"
    )
    for example in found.examples:
        print(f"  {example!r}")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
