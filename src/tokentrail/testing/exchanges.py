"""The questions that the stand-in model knows, and its answers.

Every word, number and mark here is one token both in cl100k_base and in o200k_base (a test checks
it with tiktoken). So the pieces of a text are its tokens, and a stream that is closed after k
pieces of text is billed k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer; the tokens of the answer if they differ from its pieces."""

    question: str
    answer: str
    question_tokens: int | None = None
    answer_tokens: int | None = None


SALT = Exchange(
    "Why does the sea taste of salt?",
    "Rain is a patient miner. It falls a little sour from the air, wears the rocks down grain by"
    " grain, and rivers carry what it found to the sea. The sun lifts the water back into the sky,"
    " but it leaves the salt behind. After a few hundred million years of that trade, the sea"
    " holds enough salt to cover all the land under a layer as tall as a tower.",
)
LAMP = Exchange(
    "Tell me a short story about a lamp by the sea.",
    "An old lamp stood on a rock and told every ship the same thing: not here. One night a small"
    " boat came close and asked, then where? The lamp had no words for that, so it turned, slowly,"
    " all around, and showed the whole dark sea. The boat took that for an answer, chose a star,"
    " and sailed home.",
)
BIRDS = Exchange(
    "How do birds find their way?",
    "They carry more than one map. By day they read the sun, by night they turn with the stars,"
    " and in cloud they feel the field of the earth itself, faint as a whisper. Young birds also"
    " listen: the first journey is made in company, and the way back is remembered.",
)
NIGHT = Exchange(
    "Why is the night dark?",
    "Because the universe is young. There are stars in every direction, but light from the far"
    " ones has not had time to reach us, and what has reached us has been stretched until no eye"
    " can see it. The dark between the stars is a clock.",
)
TURTLE = Exchange(
    "A turtle moves 3 meters a day and rests every second day. How far is it after 9 days?",
    "After nine days it is 15 meters away: it moves on days 1, 3, 5, 7 and 9.",
)
TOWN = Exchange(
    "Plan a quiet day in the old town.",
    "Start before the town wakes, while the streets are still wet and belong to the cats. Have"
    " bread and coffee in the square. Walk up to the wall at noon and look at the roofs; walk down"
    " when the bells tell you to. Leave the evening free. The best hour of a quiet day is the one"
    " that was not planned.",
)
WEATHER = Exchange("What is the weather in Paris?", "A mild day in Paris: a few clouds, no rain.")

EXCHANGES = (SALT, LAMP, BIRDS, NIGHT, TURTLE, TOWN, WEATHER)


def answering(question: str, exchanges: Sequence[Exchange], count: int) -> tuple[Exchange, ...]:
    """Return ``count`` exchanges, the question's own first; always the same for a question."""
    known = [at for at, exchange in enumerate(exchanges) if exchange.question == question]
    start = known[0] if known else crc32(question.encode(errors="replace"))
    return tuple(exchanges[(start + step) % len(exchanges)] for step in range(count))
