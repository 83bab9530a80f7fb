"""Content of legacy completions: one or several prompts, and their completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.chat.content import ChoiceContentAccumulator
from tokentrail.apis.values import nonempty_str, sequence
from tokentrail.content.parts import Content, Message, Text

if TYPE_CHECKING:
    from collections.abc import Mapping


class CompletionContentAccumulator(ChoiceContentAccumulator):
    """Accumulates choices of completions, which have one form in chunks and plain answers."""

    def _read(self, choice: Mapping[str, object]) -> Message | None:
        text = nonempty_str(choice.get("text"))
        return None if text is None else Message("assistant", (Text(text),))

    def _add(self, choice: Mapping[str, object], index: int) -> None:
        self._append(index, "text", 0, choice.get("text"))


class CompletionsContent:
    """Content of legacy completions."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Read one or several prompts, each as a message; token ids are left out."""
        prompt, suffix = arguments.get("prompt"), nonempty_str(arguments.get("suffix"))
        whole = nonempty_str(prompt)
        texts = [nonempty_str(item) for item in sequence(prompt)] if whole is None else [whole]
        after = () if suffix is None else (Text(suffix),)
        messages = [Message("user", (Text(text), *after)) for text in texts if text is not None]
        return Content(input=tuple(messages))

    def accumulator(self, *, schemas: bool) -> CompletionContentAccumulator:
        """Return an empty accumulator of choices."""
        return CompletionContentAccumulator()
