"""What `test_random_orders` plays with: an answer on the wire, and what is known of a call."""

from __future__ import annotations

import asyncio
import threading

import httpx as plain_httpx
import openai
from tests.calls.conftest import is_last

from tokentrail.counting import ENCODINGS

httpx = getattr(openai._base_client, "httpx2", plain_httpx)

OVER = (StopIteration, StopAsyncIteration)
BUSY = "already"
"""In the error of a generator that is pulled while it runs: the stream is not over by it."""


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The events of an answer, then its end or a cut."""

    def __init__(self, events, *, cut):
        self.events, self.cut = events, cut
        self.meanwhile = None
        """Called once, or awaited, while the next event is waited for."""

    def __iter__(self):
        for event in self.events:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            yield event
        if self.cut:
            raise httpx.ReadError(self.__doc__)

    async def __aiter__(self):
        for event in self.events:
            meanwhile, self.meanwhile = self.meanwhile, None
            await (asyncio.sleep(0) if meanwhile is None else meanwhile())
            yield event
        if self.cut:
            raise httpx.ReadError(self.__doc__)


class Call:
    """A stream that the application holds, and what must be told of it."""

    def __init__(self, api, number, stream, body):
        self.api, self.number, self.stream, self.body = api, number, stream, body
        self.helper = not hasattr(stream, "response")
        """It is a helper's, which gives events of its own."""
        self.text = ""
        self.whole = False
        """The answer itself said that it is over; its stream may not have."""
        self.ended = None
        """How the call ended, and the error that it failed with."""

    def took(self, thing):
        """Note what a pull gave: a chunk, an event of a helper, or an error."""
        if isinstance(thing, BaseException):
            self.failed(thing)
        elif self.ended is None:
            if self.helper and thing.type != "chunk":
                return  # what the helper makes of a chunk that it gave before
            chunk = thing.chunk if self.helper else thing
            self.text += self.api.text(chunk)
            self.whole |= is_last(chunk)

    def failed(self, error):
        """Note what a pull raised."""
        if isinstance(error, OVER):
            self.end("completed")
        elif isinstance(error, (asyncio.CancelledError, asyncio.TimeoutError)):
            self.end("cancelled")
        elif BUSY not in str(error):
            self.end("failed", kind(error))

    def end(self, ending, error=None):
        """Note how the call ended, if it had not: the first end is the only one."""
        if self.ended is None:
            is_whole = self.whole and ending == "closed_early"
            self.ended = ("completed" if is_whole else ending, error)

    def account(self):
        """Return what must be told, when the application lets go of it."""
        self.end("closed_early")
        return (*self.ended, self.tokens)

    @property
    def tokens(self):
        """What the text that was received is billed."""
        said = len(ENCODINGS.get("o200k_base").encode_ordinary(self.text))
        return said + self.api.extra * self.whole if said else 0


def kind(error):
    """Return the name by which an error is told."""
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def elsewhere(step):
    """Do a step in another thread, and wait for it."""
    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
