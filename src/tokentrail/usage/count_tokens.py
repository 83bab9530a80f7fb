"""Counting tokens before anything is sent: the public `count_tokens`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from tokentrail.apis.chat.messages import read_messages, read_tool_choice, read_tools
from tokentrail.apis.values import fields, is_absent
from tokentrail.counting import ENCODINGS, InputTally, encoding_name, resolve
from tokentrail.model.records import Prompt

if TYPE_CHECKING:
    from typing import NoReturn

_ENCODINGS = ("cl100k_base", "o200k_base")
_SINGLE = (str, bytes, bytearray, memoryview, Mapping)
"""Collections by their type, but each is one thing to us."""


def count_tokens(
    messages_or_text: str | Collection[object],
    *,
    model: str,
    tools: Collection[Mapping[str, object]] | None = None,
    tool_choice: object = None,
    encoding: str | None = None,
) -> int:
    """Return how many tokens a text has, or how many a prompt of messages will be billed.

    A text is counted by itself, as for embeddings. Messages (a list, or another collection, of
    dicts or of the client's own objects) are counted with all that frames them, as
    ``usage.prompt_tokens`` of a chat completion.

    Exact for text, and for messages of text: roles, names, contents (every count that OpenAI or
    others published). An estimate, usually within a few tokens, for tool declarations, tool calls
    and messages to models that reason; for images from their size where the URL holds the data,
    else a guess. Files and audio are left out.

    The first call for an encoding builds it, which takes about half a second; nothing is fetched.
    ``encoding`` ("o200k_base" or "cl100k_base") is needed for models whose encoding is not known.
    Raises ValueError for such a model without it and for an unknown encoding, TypeError for an
    argument, or an item of one, of a type that is not among these.
    """
    name = _encoding_name(model, encoding)
    prompt = _prompt(messages_or_text, tools, tool_choice)
    loaded = ENCODINGS.load(name)
    if loaded is None:
        message = f"the encoding {name!r} cannot be built; the log says why"
        raise RuntimeError(message)
    tally = InputTally(prompt)
    for _ in tally.steps(loaded, model):
        pass
    return tally.tokens


def _encoding_name(model: object, encoding: object) -> str:
    if not isinstance(model, str):
        _refuse("model", model, "a str, the name of a model")
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
    if not isinstance(encoding, str):
        _refuse("encoding", encoding, f"one of {', '.join(map(repr, _ENCODINGS))}, or None")
    name = resolve(encoding)
    if name is None:
        message = f"encoding={encoding!r} is not one of {', '.join(map(repr, _ENCODINGS))}"
        raise ValueError(message)
    return name


def _prompt(messages_or_text: object, tools: object, tool_choice: object) -> Prompt:
    declared = () if is_absent(tools) else _collected("tools", tools, "a list of dicts, or None")
    if not (is_absent(tool_choice) or isinstance(tool_choice, str) or fields(tool_choice)):
        _refuse("tool_choice", tool_choice, "a str, a dict or None")
    if isinstance(messages_or_text, str):
        return Prompt(texts=(messages_or_text,))
    allowed = "a str or a list of messages, which are dicts or the client's own objects"
    messages = _collected("messages_or_text", messages_or_text, allowed)
    return Prompt(
        messages=read_messages(messages) or (),
        tools=read_tools(declared),
        tool_choice=read_tool_choice(tool_choice),
    )


def _collected(argument: str, value: object, allowed: str) -> tuple[object, ...]:
    """Return the items of a collection, each of which has fields: nothing else is counted."""
    if not isinstance(value, Collection) or isinstance(value, _SINGLE):
        _refuse(argument, value, allowed)
    items = tuple(value)
    for index, item in enumerate(items):
        if not (isinstance(item, Mapping) or fields(item)):
            _refuse(f"{argument}[{index}]", item, "a dict or one of the client's own objects")
    return items


def _refuse(argument: str, value: object, allowed: str) -> NoReturn:
    message = f"{argument} must be {allowed}, not {type(value).__name__}"
    raise TypeError(message)
