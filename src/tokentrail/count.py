"""Counting tokens before anything is sent: the public `count_tokens`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.counting import ENCODINGS, InputTally, encoding_name, resolve
from tokentrail.operation import Prompt
from tokentrail.shapes.messages import read_messages, read_tool_choice, read_tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENCODINGS = ("cl100k_base", "o200k_base")


def count_tokens(
    messages_or_text: str | Sequence[object],
    *,
    model: str,
    tools: Sequence[Mapping[str, object]] | None = None,
    tool_choice: object = None,
    encoding: str | None = None,
) -> int:
    """Return how many tokens a text has, or how many a prompt of messages will be billed.

    A text is counted by itself, as for embeddings. Messages (dicts, or the client's own objects)
    are counted with all that frames them, as ``usage.prompt_tokens`` of a chat completion.

    Exact for text, and for messages of text: roles, names, contents (every count that OpenAI or
    others published). An estimate, usually within a few tokens, for tool declarations, tool calls
    and messages to models that reason; for images from their size where the URL holds the data,
    else a guess. Files and audio are left out.

    The first call for an encoding builds it, which takes about half a second; nothing is fetched.
    ``encoding`` ("o200k_base" or "cl100k_base") is needed for models whose encoding is not known.
    Raises ValueError for such a model without it and for an unknown encoding, TypeError for what
    is neither text nor messages.
    """
    name = _encoding_name(model, encoding)
    loaded = ENCODINGS.load(name)
    if loaded is None:
        message = f"the encoding {name!r} cannot be built; the log says why"
        raise RuntimeError(message)
    tally = InputTally(_prompt(messages_or_text, tools, tool_choice))
    for _ in tally.steps(loaded, model):
        pass
    return tally.tokens


def _encoding_name(model: str, encoding: str | None) -> str:
    if encoding is None:
        name = encoding_name(model)
        if name is None:
            message = (
                f"the encoding of model {model!r} is not known; known are OpenAI's models from"
                " gpt-3.5-turbo on, by their own, dated, fine-tuned or Azure names. Pass"
                f" encoding= with one of {', '.join(map(repr, _ENCODINGS))} to count anyway"
            )
            raise ValueError(message)
        return name
    name = resolve(encoding)
    if name is None:
        message = f"encoding={encoding!r} is not one of {', '.join(map(repr, _ENCODINGS))}"
        raise ValueError(message)
    return name


def _prompt(messages_or_text: object, tools: object, tool_choice: object) -> Prompt:
    if isinstance(messages_or_text, str):
        return Prompt(texts=(messages_or_text,))
    messages = read_messages(messages_or_text)
    if messages is None:
        message = (
            "messages_or_text must be a str or a list of messages,"
            f" not {type(messages_or_text).__name__}"
        )
        raise TypeError(message)
    return Prompt(
        messages=messages, tools=read_tools(tools), tool_choice=read_tool_choice(tool_choice)
    )
