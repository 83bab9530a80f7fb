"""Asking the server for a stream's usage on the application's behalf, unseen by it.

The option ``stream_options.include_usage`` makes a server send one more chunk, with no choice and
the usage, and a ``usage: null`` on the others. The application did not ask for either, so the one
is kept from it and the other wiped off. Servers that send the usage beside the last choice do so
always or only if asked, which one stream cannot show: the next is not asked, and then it is known.
A server that refuses the option is asked again without it, and not bothered with it for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokentrail.apis.choices import find_usage
from tokentrail.apis.http_metadata import is_raw
from tokentrail.apis.values import fields, sequence
from tokentrail.model.operations import WITH_USAGE_OPTION
from tokentrail.patching.replay import repeatable
from tokentrail.runtime.stream_usage import Habit

if TYPE_CHECKING:
    from tokentrail.model.records import Request
    from tokentrail.runtime.stream_usage import StreamUsageMemory

OPTION: Final = "stream_options"
_WANTED: Final = "include_usage"
_VERSION: Final = "api-version"
_READ_ONCE: Final = ("messages", "prompt", "tools", "functions")


def server_of(base_url: str, client: object, kwargs: Mapping[str, Any]) -> str:
    """Return what names the server of a call: its base URL and the API version it asks for.

    An Azure client's version is its own; any client may be given one as a query, for a call or for
    all of its calls.
    """
    for query in (kwargs.get("extra_query"), getattr(client, "default_query", None)):
        if isinstance(query, Mapping) and _VERSION in query:
            return f"{base_url}&{_VERSION}={query[_VERSION]}"
    return base_url


def is_open(request: Request, kwargs: Mapping[str, Any]) -> bool:
    """Whether the option may be added: a stream that has it, and an application silent on it.

    Raw and streaming responses are left alone: the application reads what is on the wire. So are
    arguments of which something can be read but once: they could not be sent again without the
    option. An iterator that is an argument itself is kept while it is read, with all that is in it.
    """
    if not request.stream or (request.operation, request.api) not in WITH_USAGE_OPTION:
        return False
    if any(_reads_once(kwargs.get(name)) for name in _READ_ONCE):
        return False
    if is_raw(kwargs.get("extra_headers")):
        return False
    body = kwargs.get("extra_body")
    if isinstance(body, Mapping) and OPTION in body:
        return False
    given = kwargs.get(OPTION, _UNSAID)
    if isinstance(given, Mapping):
        return _WANTED not in given
    return type(given).__name__ in _SENTINELS


_UNSAID: Final = object()
_SENTINELS: Final = frozenset({"object", "NotGiven", "Omit"})


def _reads_once(argument: object) -> bool:
    if isinstance(argument, (list, tuple)):
        return any(repeatable(item) is not item for item in argument)
    if isinstance(argument, (str, bytes, Mapping, Iterator)):
        return False
    # What its items are cannot be known without reading it, which the client alone may do.
    return isinstance(argument, Iterable)


def added(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the option, beside what else the application said there."""
    given = kwargs.get(OPTION)
    others = given if isinstance(given, Mapping) else {}
    return {**kwargs, OPTION: {**others, _WANTED: True}}


def taken_back(
    kwargs: Mapping[str, Any],
    original: Mapping[str, Any],
    kept: Mapping[str, tuple[list[object], Iterator[object]]],
) -> dict[str, Any]:
    """Return the arguments as the application gave them, for a second try.

    A one-shot iterator begins anew with what the first try took out of it.
    """
    again = dict(kwargs)
    again.pop(OPTION, None)
    if OPTION in original:
        again[OPTION] = original[OPTION]
    for name, (items, rest) in kept.items():
        again[name] = chain(list(items), rest)
    return again


def is_refusal(error: BaseException) -> bool:
    """Whether ``error`` is a server's word that it does not take the option.

    Any status of a bad request, and 501, with the option named in any spelling and at any place.
    What the server echoes of the request is not its word: the option stands there in any case.
    """
    status = getattr(error, "status_code", None)
    if type(status) is not int or not (_BAD <= status < _BROKEN or status == _NOT_IMPLEMENTED):
        return False
    body = getattr(error, "body", None)
    said = (f"{error}",) if body is None else _said(body)
    return any(_NAMED.search(_ECHO.sub("", text)) for text in said)


_BAD, _BROKEN, _NOT_IMPLEMENTED = 400, 500, 501
_NAMED: Final = re.compile(r"stream[ _-]?options|include[ _-]?usage", re.IGNORECASE)
_ECHO: Final = re.compile(
    rf"{OPTION}\\*['\"]\s*:\s*\{{\s*\\*['\"]{_WANTED}\\*['\"]\s*:\s*true\s*\}}", re.IGNORECASE
)
"""The option as it was sent, in JSON, in JSON in JSON, or as Python writes it."""
_NESTED: Final = 8


def _said(body: object, depth: int = 0) -> Iterator[str]:
    """Yield what a server says: texts, and the names of fields but for those of an echo."""
    if isinstance(body, str):
        yield body
    elif depth < _NESTED and isinstance(body, Mapping):
        for name, value in body.items():
            if not (isinstance(value, Mapping) and value.get(_WANTED) is True):
                yield str(name)
                yield from _said(value, depth + 1)
    elif depth < _NESTED and isinstance(body, list):
        for part in body:
            yield from _said(part, depth + 1)


BY_ITSELF: Final = (
    "api.mistral.ai",
    "api.groq.com",
    "api.together.ai",
    "api.together.xyz",
    "openrouter.ai",
    "azuredatabricks.net",
)
"""Hosts that were seen to report streams unasked: what the application sees there is theirs."""


def reports_unasked(host: str | None) -> bool:
    """Whether a host is known to report the usage of streams without being asked."""
    return host is not None and any(host == one or host.endswith("." + one) for one in BY_ITSELF)


class UsageFilter(Protocol):
    """Sees each chunk of a stream before the application does."""

    def hides(self, chunk: object) -> bool:
        """Whether the chunk is kept from the application."""

    def on_end(self) -> None:
        """Note that the stream came to its end."""


class InjectedUsage:
    """Keeps from the application the usage of a stream that came only because we asked.

    A chunk that is there for the usage alone is kept from it. Usage beside a finish reason is taken
    off where the server shows that it heeds the option, by ``usage: null`` on the chunks before or
    in a stream that was not asked; else it is taken for the server's own. Usage beside a choice
    that is not finished always is.
    """

    __slots__ = ("_heeds", "_memory", "_own", "_server")

    def __init__(self, memory: StreamUsageMemory, server: str) -> None:
        self._memory = memory
        self._server = server
        self._heeds = memory.habit(server) is Habit.ASKED
        """The usage is there because it was asked for."""
        self._own = False
        """The server reports by itself, on chunks that are no end."""

    def hides(self, chunk: object) -> bool:
        """Whether ``chunk`` is there only because we asked; any other is as if we had not.

        ``usage: null`` leaves no trace in ``to_json()`` once the field does not count as set.
        """
        try:
            given = vars(chunk)
            choices = given.get("choices")
            if given.get("usage") is None:
                named: set[str] = chunk.__pydantic_fields_set__  # type: ignore[attr-defined]
                if "usage" in named:
                    self._heeds = True
                    named.discard("usage")
                extra = chunk.__pydantic_extra__  # type: ignore[attr-defined]
                first: Any = choices[0] if choices else None
                goes_on = first is not None and vars(first).get("finish_reason") is None
                if (goes_on and not extra) or find_usage(fields(chunk)) is None:
                    return False
            elif not choices:
                return True
        except (AttributeError, IndexError, KeyError, TypeError):
            return False
        return self._beside_choice(chunk, choices)

    def on_end(self) -> None:
        """Know no more than before."""

    def _beside_choice(self, chunk: Any, choices: object) -> bool:
        said = [fields(choice) for choice in sequence(choices)]
        ends = any(choice.get("finish_reason") for choice in said)
        if not ends and not any(map(_is_empty, said)):
            self._own = True
        if self._own:
            return False
        self._memory.note_beside_choice(self._server)
        if ends and self._heeds:
            take_off(chunk)
        return not ends


def _is_empty(choice: Mapping[str, object]) -> bool:
    """Whether a choice of a chunk says nothing."""
    delta = fields(choice.get("delta"))
    values = {**delta, "role": None, "text": choice.get("text")}.values()
    return not any(values)


def take_off(chunk: Any) -> None:
    """Take the usage off a chunk, as if it had never been sent."""
    given, extra = vars(chunk), chunk.__pydantic_extra__ or {}
    if given.get("usage") is not None:
        given["usage"] = None
        chunk.__pydantic_fields_set__.discard("usage")
    for holder in (extra.get("x_groq"), *sequence(given.get("choices"))):
        held = holder if isinstance(holder, dict) else getattr(holder, "__pydantic_extra__", None)
        if held:
            held.pop("usage", None)


class UnaskedUsage:
    """Learns whether a server that is not asked sends the usage of a stream all the same."""

    __slots__ = ("_came", "_memory", "_server")

    def __init__(self, memory: StreamUsageMemory, server: str) -> None:
        self._memory = memory
        self._server = server
        self._came = False

    def hides(self, chunk: object) -> bool:
        """Look at ``chunk``, which is the application's."""
        self._came = self._came or find_usage(fields(chunk)) is not None
        return False

    def on_end(self) -> None:
        """Note what the server did."""
        self._memory.note_unasked(self._server, came=self._came)
