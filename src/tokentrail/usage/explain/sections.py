"""A prompt in sections, in the order in which the cache compares them, each as a keyed hash.

The key is drawn once per process and never leaves it: no hash can be guessed from outside.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from tokentrail.counting.schemas import as_json, render_schema
from tokentrail.counting.turns import turns
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tokentrail.counting import Turn
    from tokentrail.model.records import Message, Prompt, Request, ToolCall

_KEY: Final = os.urandom(32)
_BYTES: Final = 16
_AT_ONCE: Final = 16
"""Messages hashed between two yields: some tens of microseconds."""
INSTRUCTIONS: Final = frozenset({"system", "developer"})

Digest = bytes
Prefix = tuple[Digest, Digest]
"""The hash of everything before the items, and the chained hash of the items."""


@lean_dataclass(frozen=True, slots=True)
class Unit:
    """A message, or the calls of one answer with their results, and its hash."""

    turn: Turn
    digest: Digest
    size: int
    """Number of its messages."""


@lean_dataclass(frozen=True, slots=True)
class Head:
    """Everything before the items."""

    model: Digest
    tools: Digest
    schema: Digest
    instructions: Digest


@lean_dataclass(frozen=True, slots=True)
class Sections:
    """The sections of one prompt."""

    head: Head
    leading: int
    """Number of messages that are instructions."""
    items: tuple[Digest, ...]
    """A chained hash for each further message: of it and all before it."""
    units: tuple[Unit, ...]
    """All messages after the instructions. They hold the text: only the call keeps them."""
    first_user: int
    """Index of the first item of the user; the number of items if none is."""

    @property
    def end(self) -> Digest:
        """All items, as one."""
        return self.items[-1] if self.items else keyed()

    def prefixes(self) -> tuple[Prefix, ...]:
        """Return the key of each prefix: model, tools, schema, instructions, items."""
        head = self.head
        sections = (head.model, head.tools, head.schema, head.instructions)
        whole = keyed(*sections)
        shorter = ((keyed(*sections[:length]), b"") for length in (2, 3))
        return (*shorter, (whole, b""), *((whole, item) for item in self.items))


def keyed(*parts: bytes) -> Digest:
    """Return the hash of parts that are no longer than a hash, or of one text."""
    return blake2b(b"".join(parts), digest_size=_BYTES, key=_KEY).digest()


def keyed_text(*texts: str) -> Digest:
    """Return the hash of texts; other texts that join to the same string have another hash."""
    text = "".join([f"{len(text)}:{text}" for text in texts])
    return keyed(text.encode("utf-8", "surrogatepass"))


def read_sections(request: Request, prompt: Prompt) -> Generator[None, None, Sections]:
    """Return the sections of a prompt, after short slices."""
    digests: list[Digest] = []
    for number, message in enumerate(prompt.messages):
        digests.append(_message(message))
        if number % _AT_ONCE == _AT_ONCE - 1:
            yield
    tools: list[Digest] = []
    for tool in prompt.tools:
        tools.append(keyed_text(as_json(tool)))
        yield
    leading = _leading(prompt.messages)
    return Sections(
        head=Head(
            model=keyed_text(request.endpoint.key, request.model or ""),
            tools=keyed(*tools, bytes([prompt.hosted_tools])),
            schema=_schema(prompt),
            instructions=keyed(*digests[:leading]),
        ),
        leading=leading,
        items=tuple(_chained(digests[leading:])),
        units=tuple(_units(prompt, digests, leading)),
        first_user=_first_user(prompt.messages[leading:]),
    )


def _leading(messages: tuple[Message, ...]) -> int:
    leading = 0
    while leading < len(messages) and messages[leading].role in INSTRUCTIONS:
        leading += 1
    return leading


def _first_user(messages: tuple[Message, ...]) -> int:
    return next((i for i, message in enumerate(messages) if message.role == "user"), len(messages))


def _chained(digests: list[Digest]) -> Iterable[Digest]:
    chain = b""
    for digest in digests:
        chain = keyed(chain, digest)
        yield chain


def _units(prompt: Prompt, digests: list[Digest], leading: int) -> Iterable[Unit]:
    found = [turn for turn in turns(prompt) if turn.first >= leading]
    ends = [turn.first for turn in found[1:]] + [len(prompt.messages)]
    for turn, end in zip(found, ends, strict=False):  # no turn: the loop runs once more
        own, size = digests[turn.first : end], end - turn.first
        is_alone = size == 1 and not turn.dropped
        yield Unit(turn, own[0] if is_alone else keyed(*own, bytes([turn.dropped])), size)


def _message(message: Message) -> Digest:
    """Return the hash of everything in a message that the model reads."""
    legacy = (message.function_call,) if message.function_call is not None else ()
    calls: tuple[ToolCall, ...] = (*message.tool_calls, *legacy)
    shape = (len(message.texts), len(calls), len(message.images), len(message.files))
    texts = [message.role, message.name or "", repr((*shape, message.unknown_parts))]
    texts += message.texts
    if message.sealed:
        texts.append(repr(message.sealed))
    for call in calls:
        texts += (call.name, call.arguments)
    for image in message.images:
        texts += (image.url or "", image.detail or "")
    texts += message.files
    return keyed_text(*texts)


def _schema(prompt: Prompt) -> Digest:
    if prompt.schema is None:
        return keyed()
    rendered, _ = render_schema(prompt.schema, prompt.schema_name, prompt.schema_about)
    return keyed_text(rendered)
