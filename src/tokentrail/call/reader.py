"""Readers of those parts of a request that are read only when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokentrail.content import Content
    from tokentrail.model.records import Prompt, Request


class RequestReader(Protocol):
    """Reads the long or rarely needed parts of a request."""

    @property
    def held(self) -> object:
        """The object from which the prompt is read; its size measures the prompt."""

    def read_request(self) -> Request:
        """Return the request with its prompt, as it was sent."""

    def read_content(self) -> Content | None:
        """Return the content of the request; ``None`` if the client has to read it first."""

    def read_sent_content(self) -> Content:
        """Return the content of the request, after the client has read it."""


class LatePrompt:
    """Returns the prompt of a call later, without keeping the call alive."""

    __slots__ = ("_prompt", "_reader")

    def __init__(self, reader: RequestReader | None, prompt: Prompt | None) -> None:
        """``reader`` reads the prompt if it was not read yet."""
        self._reader = reader
        self._prompt = prompt

    def __call__(self) -> Prompt | None:
        """Return the prompt."""
        return self._prompt if self._reader is None else self._reader.read_request().prompt


class SentContent:
    """Returns the content of a request at the end of its call."""

    __slots__ = ("_content", "_reader")

    def __init__(self, reader: RequestReader | None, content: Content | None) -> None:
        """``content`` was read before the request was sent; without it, ``reader`` reads it."""
        self._reader = None if content is not None else reader
        self._content = content

    @property
    def held(self) -> object:
        """The object the content is read from, or the content itself."""
        return self._content if self._reader is None else self._reader.held

    def read(self) -> Content | None:
        """Return the content of the request."""
        return self._content if self._reader is None else self._reader.read_sent_content()
