"""Content of searches: the query, and which documents were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.values import fields, nonempty_str, number, sequence
from tokentrail.content.parts import Content, Document

if TYPE_CHECKING:
    from collections.abc import Mapping


class RetrievalContent:
    """Content of searches of a vector store."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Read the query; several are one text, each on its line."""
        query = arguments.get("query")
        texts = map(nonempty_str, sequence(query))
        whole = nonempty_str(query) or "\n".join(text for text in texts if text is not None)
        return Content(query=whole or None)

    def accumulator(self, *, schemas: bool) -> FoundDocuments:
        """Return what gathers the results."""
        return FoundDocuments()


class FoundDocuments:
    """Gathers the ids and scores of what was found."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self._found: tuple[Document, ...] = ()

    def add(self, chunk: object) -> None:
        """Take nothing: searches do not stream."""

    def take(self, answer: object) -> None:
        """Take a page of results."""
        self._found = tuple(_documents(fields(answer).get("data")))

    def content(self) -> Content:
        """Return what was found."""
        return Content(documents=self._found)


def _documents(results: object) -> list[Document]:
    read = (fields(result) for result in sequence(results))
    return [
        Document(name, number(result.get("score")))
        for result in read
        if (name := nonempty_str(result.get("file_id"))) is not None
    ]
