"""What is read of a request only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokentrail.content import Content
    from tokentrail.model.records import Prompt, Request


class RequestReader(Protocol):
    """Reads of a request what is long, or seldom needed."""

    @property
    def held(self) -> object:
        """What the prompt is read of: as much as it holds, as a measure of it."""

    def read_request(self) -> Request:
        """Return the request with its prompt, as it was sent."""

    def read_content(self) -> Content | None:
        """Return what the request says; ``None`` if the client has to read it first."""

    def read_sent_content(self) -> Content:
        """Return what the request said, once the client has read it."""


class LatePrompt:
    """Gives the prompt of a call later, without keeping the call."""

    __slots__ = ("_prompt", "_reader")

    def __init__(self, reader: RequestReader | None, prompt: Prompt | None) -> None:
        """``reader``: reads it, if it was not read yet."""
        self._reader = reader
        self._prompt = prompt

    def __call__(self) -> Prompt | None:
        """Return the prompt."""
        return self._prompt if self._reader is None else self._reader.read_request().prompt


class SentContent:
    """Gives the content of a request at the end of its call."""

    __slots__ = ("_content", "_reader")

    def __init__(self, reader: RequestReader | None, content: Content | None) -> None:
        """``content``: what was read before it was sent; else ``reader`` reads it."""
        self._reader = None if content is not None else reader
        self._content = content

    @property
    def held(self) -> object:
        """What it is read of, or what was read."""
        return self._content if self._reader is None else self._reader.held

    def read(self) -> Content | None:
        """Return what the request said."""
        return self._content if self._reader is None else self._reader.read_sent_content()
