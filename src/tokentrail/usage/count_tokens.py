"""Counting tokens before anything is sent: the public `count_tokens`."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, overload

from tokentrail.apis.chat.messages import read_messages, read_tool_choice, read_tools
from tokentrail.apis.values import fields, is_absent
from tokentrail.counting.encodings import ENCODINGS
from tokentrail.counting.models import GUESSED_ENCODING, encoding_name, resolve
from tokentrail.counting.prompt import InputTally
from tokentrail.model.records import Prompt
from tokentrail.usage.count_request import TokenCount, count_request, read_request
from tokentrail.usage.resolve import Model

if TYPE_CHECKING:
    from typing import NoReturn

    from tokentrail.counting import Encoder

_ABSENT: Final = object()
_ENCODINGS = ("cl100k_base", "o200k_base")
_warned: set[str] = set()
_MOST_WARNED = 1000
_SINGLE = (str, bytes, bytearray, memoryview, Mapping)
"""Collections by type that count as one item here."""


@overload
def count_tokens(
    messages_or_text: str | Collection[object],
    *,
    model: str,
    tools: Collection[Mapping[str, object]] | None = None,
    tool_choice: object = None,
    encoding: str | None = None,
) -> int: ...


@overload
def count_tokens(
    *, request: Mapping[str, object], model: str | None = None, encoding: str | None = None
) -> TokenCount: ...


def count_tokens(
    messages_or_text: object = _ABSENT,
    *,
    model: str | None = None,
    tools: object = None,
    tool_choice: object = None,
    encoding: str | None = None,
    request: Mapping[str, object] | None = None,
) -> int | TokenCount:
    """Return the number of tokens of a text, or of a prompt as it will be billed.

    A text is counted alone, as for embeddings. Messages are counted with everything around them, as
    in ``usage.prompt_tokens`` of a chat completion. The number is exact for text and for messages
    of text, and for tools, tool calls and images if docs/accuracy.md has a rule with evidence.
    Otherwise it is an estimate. Audio, and files that are not text, are left out.

    Pass ``request`` instead to count a whole request of chat completions or responses, as its
    arguments or as JSON (instructions, input, tools, schema, images, model). The result is then a
    :class:`TokenCount`: each part with its tokens, its rule and its source.

    The first call for an encoding builds it, in up to 0.35 s; nothing is downloaded. If the
    encoding of a model is not known, the count is an estimate with ``o200k_base``, and you get one
    ``UserWarning`` per model.

    Args:
        messages_or_text: A text, or messages: a list, or another collection, of dicts or of the
            client's own objects.
        model: The model that will be called.
        tools: Tools of the request.
        tool_choice: ``tool_choice`` of the request.
        request: A whole request, instead of messages, tools and tool choice.
        encoding: ``"o200k_base"`` or ``"cl100k_base"``, for a model with an unknown encoding.

    Returns:
        The number of tokens; for a request, a :class:`TokenCount`.

    Raises:
        ValueError: The encoding is not known.
        TypeError: An argument, or an item of one, has another type.
        RuntimeError: The encoding cannot be built; the log says why.
    """
    if request is not None:
        return _of_request(request, model, encoding, (messages_or_text, tools, tool_choice))
    if messages_or_text is _ABSENT:
        message = "count_tokens() needs something to count: messages_or_text, or request="
        raise TypeError(message)
    name = _encoding_name(model, encoding)
    prompt = _prompt(messages_or_text, tools, tool_choice)
    tally = InputTally(prompt)
    for _ in tally.steps(_loaded(name), str(model)):
        pass
    return tally.tokens


def _of_request(
    request: object, model: object, encoding: str | None, others: tuple[object, ...]
) -> TokenCount:
    if not isinstance(request, Mapping):
        _refuse("request", request, "a dict, the arguments of a call")
    if others != (_ABSENT, None, None):
        message = (
            "request= has its own messages and tools: leave out messages_or_text, tools and"
            " tool_choice"
        )
        raise TypeError(message)
    read = read_request(request)
    called = read.model if model is None else model
    name = _encoding_name(called, encoding)
    is_known = encoding is not None or encoding_name(str(called)) is not None
    counted_as = Model(str(called), name, known=is_known)
    return count_request(read, request, counted_as, _loaded(name))


def _loaded(name: str) -> Encoder:
    loaded = ENCODINGS.load(name)
    if loaded is None:
        message = f"the encoding {name!r} cannot be built; the log says why"
        raise RuntimeError(message)
    return loaded


def _encoding_name(model: object, encoding: object) -> str:
    if not isinstance(model, str):
        _refuse("model", model, "a str, the name of a model")
    if encoding is None:
        return encoding_name(model) or _guessed(model)
    if not isinstance(encoding, str):
        _refuse("encoding", encoding, f"one of {', '.join(map(repr, _ENCODINGS))}, or None")
    name = resolve(encoding)
    if name is None:
        message = f"encoding={encoding!r} is not allowed; allowed: {', '.join(_ENCODINGS)}"
        raise ValueError(message)
    return name


def _guessed(model: str) -> str:
    """Return the encoding to estimate with; warn once per model."""
    if model not in _warned:
        if len(_warned) < _MOST_WARNED:
            _warned.add(model)
        message = (
            f"the encoding of model {model!r} is not known: counted with {GUESSED_ENCODING}, an"
            f" estimate. Pass encoding= with one of {', '.join(map(repr, _ENCODINGS))} to settle it"
        )
        warnings.warn(message, UserWarning, stacklevel=4)
    return GUESSED_ENCODING


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
    """Return the items of a collection; each must have fields, others cannot be counted."""
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
