"""Content of legacy completions: a prompt or several, and what completes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.chat.content import ChoiceContentAccumulator
from tokentrail.apis.values import nonempty_str, sequence
from tokentrail.content.parts import Content, Message, Text

if TYPE_CHECKING:
    from collections.abc import Mapping


class CompletionContentAccumulator(ChoiceContentAccumulator):
    """Gathers the choices of legacy completions, whose pieces look like the whole."""

    def _read(self, choice: Mapping[str, object]) -> Message | None:
        said = nonempty_str(choice.get("text"))
        return None if said is None else Message("assistant", (Text(said),))

    def _add(self, choice: Mapping[str, object], index: int) -> None:
        self._append(index, "text", 0, choice.get("text"))


class CompletionsContent:
    """Content of legacy completions."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Read a prompt or several, each a message; token ids say nothing."""
        prompt, suffix = arguments.get("prompt"), nonempty_str(arguments.get("suffix"))
        whole = nonempty_str(prompt)
        texts = [nonempty_str(item) for item in sequence(prompt)] if whole is None else [whole]
        after = () if suffix is None else (Text(suffix),)
        messages = [Message("user", (Text(said), *after)) for said in texts if said is not None]
        return Content(input=tuple(messages))

    def accumulator(self, *, schemas: bool) -> CompletionContentAccumulator:
        """Return what gathers choices."""
        return CompletionContentAccumulator()
