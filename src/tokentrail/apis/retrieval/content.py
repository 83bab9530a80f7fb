"""Content of searches: the query and the found documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.values import fields, nonempty_str, number, sequence
from tokentrail.content.parts import Content, Document

if TYPE_CHECKING:
    from collections.abc import Mapping


class RetrievalContent:
    """Content of searches of a vector store."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Read the query; several queries become the lines of one text."""
        query = arguments.get("query")
        texts = map(nonempty_str, sequence(query))
        whole = nonempty_str(query) or "\n".join(text for text in texts if text is not None)
        return Content(query=whole or None)

    def accumulator(self, *, schemas: bool) -> FoundDocuments:
        """Return an empty accumulator of results."""
        return FoundDocuments()


class FoundDocuments:
    """Accumulates the ids and scores of the found documents."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self._found: tuple[Document, ...] = ()

    def add(self, chunk: object) -> None:
        """Ignore the chunk: searches do not stream."""

    def take(self, answer: object) -> None:
        """Take a page of results."""
        self._found = tuple(_documents(fields(answer).get("data")))

    def content(self) -> Content:
        """Return the found documents."""
        return Content(documents=self._found)


def _documents(results: object) -> list[Document]:
    read = (fields(result) for result in sequence(results))
    return [
        Document(name, number(result.get("score")))
        for result in read
        if (name := nonempty_str(result.get("file_id"))) is not None
    ]
