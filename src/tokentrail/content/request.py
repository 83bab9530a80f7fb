"""What a request says, read at the call: later changes of the caller's lists do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import fields, nonempty_str, sequence
from tokentrail.content.items import read_input, read_instructions
from tokentrail.content.messages import read_messages
from tokentrail.content.parts import Content, Message, Text
from tokentrail.content.tools import read_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.model.records import Request


def read_request_content(
    request: Request, arguments: Mapping[str, object], *, schemas: bool
) -> Content:
    """Return what the keyword arguments of a call say."""
    reader = _READERS.get((request.operation, request.api))
    return Content() if reader is None else reader(arguments, schemas=schemas)


def _chat(arguments: Mapping[str, object], *, schemas: bool) -> Content:
    tools, functions = arguments.get("tools"), arguments.get("functions")
    return Content(
        input=read_messages(arguments.get("messages")),
        tools=read_tools(tools, schemas=schemas) + read_tools(functions, schemas=schemas),
    )


def _responses(arguments: Mapping[str, object], *, schemas: bool) -> Content:
    return Content(
        system=read_instructions(arguments.get("instructions")),
        input=read_input(arguments.get("input")),
        tools=read_tools(arguments.get("tools"), schemas=schemas),
        variables=_variables(fields(arguments.get("prompt")).get("variables")),
    )


def _completions(arguments: Mapping[str, object], *, schemas: bool) -> Content:  # noqa: ARG001
    """Read a prompt or several, each a message; token ids say nothing."""
    prompt, suffix = arguments.get("prompt"), nonempty_str(arguments.get("suffix"))
    whole = nonempty_str(prompt)
    texts = [nonempty_str(item) for item in sequence(prompt)] if whole is None else [whole]
    after = () if suffix is None else (Text(suffix),)
    messages = [Message("user", (Text(said), *after)) for said in texts if said is not None]
    return Content(input=tuple(messages))


def _variables(given: object) -> tuple[tuple[str, str], ...]:
    """Return those variables of a prompt that are text, bare or as a part."""
    found: list[tuple[str, str]] = []
    for name, value in fields(given).items():
        said = nonempty_str(value) or nonempty_str(fields(value).get("text"))
        if said is not None:
            found.append((str(name), said))
    return tuple(found)


_READERS: Final[dict[tuple[str, str | None], Callable[..., Content]]] = {
    ("chat", "chat_completions"): _chat,
    ("chat", "responses"): _responses,
    ("text_completion", None): _completions,
}
"""By operation and API: what else there is has no content, or (an old response that is fetched)
says nothing in its request."""
