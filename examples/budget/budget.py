"""Cut a stream off when its live count passes a budget.

    python budget.py 40

`current_usage()` knows what a stream has come to after each chunk, though the server says nothing
until its end. What was spent is on the span, as of a call that was closed early.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from openai import AsyncOpenAI, OpenAI

import tokentrail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openai import AsyncStream, Stream
    from openai.types.chat import ChatCompletionChunk

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "Tell me everything about the sea."}]


def spent(stream: Stream[ChatCompletionChunk] | AsyncStream[ChatCompletionChunk]) -> int:
    """Return the tokens that the answer has come to so far."""
    usage = tokentrail.current_usage(stream)
    count = None if usage is None else usage.output
    return 0 if count is None else count.tokens


def within(stream: Stream[ChatCompletionChunk], budget: int) -> Iterator[ChatCompletionChunk]:
    """Yield chunks until the answer has come to ``budget`` tokens, then hang up."""
    with stream:
        for chunk in stream:
            yield chunk
            if spent(stream) >= budget:
                return


async def within_async(
    stream: AsyncStream[ChatCompletionChunk], budget: int
) -> AsyncIterator[ChatCompletionChunk]:
    """Do as :func:`within`, for the async client."""
    async with stream:
        async for chunk in stream:
            yield chunk
            if spent(stream) >= budget:
                return


def show(chunk: ChatCompletionChunk) -> None:
    """Print the text of a chunk."""
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)


def ask(budget: int) -> int:
    """Ask, read within the budget, and return what was spent."""
    with OpenAI() as client:
        stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        for chunk in within(stream, budget):
            show(chunk)
        return spent(stream)


async def ask_async(budget: int) -> int:
    """Do as :func:`ask`, with the async client."""
    async with AsyncOpenAI() as client:
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        async for chunk in within_async(stream, budget):
            show(chunk)
        return spent(stream)


def main() -> None:
    """Ask twice, once with each client."""
    budget = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    # Built before the first chunk comes, so that the very first count is exact.
    tokentrail.instrument(preload_encodings=[MODEL])
    for tokens in (ask(budget), asyncio.run(ask_async(budget))):
        ended = "cut off" if tokens >= budget else "ended by itself"
        print(f"\n\n-- {ended} at {tokens} tokens, with a budget of {budget}\n")


if __name__ == "__main__":
    main()
