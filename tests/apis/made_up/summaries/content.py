"""Content of summaries: the text, and what it comes to."""

from __future__ import annotations

from tokentrail.apis.values import fields, nonempty_str
from tokentrail.content.parts import Content, Message, Text


class SummariesContent:
    """Content of summaries."""

    def read_request(self, arguments, *, schemas):
        text = nonempty_str(arguments.get("text"))
        return Content(input=() if text is None else (Message("user", (Text(text),)),))

    def accumulator(self, *, schemas):
        return SummaryContent()


class SummaryContent:
    """Gathers an answer."""

    def __init__(self):
        self._pieces = []

    def take(self, answer):
        self.add(answer)

    def add(self, chunk):
        self._pieces.append(nonempty_str(fields(chunk).get("summary")) or "")

    def content(self):
        return Content(output=(Message("assistant", (Text("".join(self._pieces)),)),))
