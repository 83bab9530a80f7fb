"""Requests the usage of a stream for the application, without the application noticing.

With the option ``stream_options.include_usage`` a server sends one more chunk, with the usage and
no choice, and ``usage: null`` on the other chunks. The application requested neither, so the extra
chunk is hidden from it and the null is removed. Other servers send usage always, or only with the
option but without the null. One stream cannot show which: the next stream is sent without the
option to find out. If a server refuses the option, the request is repeated without it, and the
server does not get the option again for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokentrail.apis.choices import DEPTH, find_usage
from tokentrail.apis.http_metadata import is_json, is_raw
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
    """Return the name of a call's server: its base URL and the requested API version.

    Azure clients always have an API version. Any client may set one as a query parameter, for one
    call or for all its calls.
    """
    for query in (kwargs.get("extra_query"), getattr(client, "default_query", None)):
        if isinstance(query, Mapping) and _VERSION in query:
            return f"{base_url}&{_VERSION}={query[_VERSION]}"
    return base_url


def is_open(request: Request, kwargs: Mapping[str, Any]) -> bool:
    """Whether the option may be added: the API has it, and the application did not set it.

    It is not added to raw and streaming responses, because there the application reads the body
    itself. It is not added if an argument contains something that can be read only once, because
    the request could not be repeated without the option. An argument that is itself an iterator is
    fine: its items are kept while the client reads them.
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
    # Only the client may read it, so its items are unknown here.
    return isinstance(argument, Iterable)


def added(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the option added to the application's own stream options."""
    given = kwargs.get(OPTION)
    others = given if isinstance(given, Mapping) else {}
    return {**kwargs, OPTION: {**others, _WANTED: True}}


def taken_back(
    kwargs: Mapping[str, Any],
    original: Mapping[str, Any],
    kept: Mapping[str, tuple[list[object], Iterator[object]]],
) -> dict[str, Any]:
    """Return the arguments as the application passed them, for a second try.

    A one-shot iterator starts again with the items that the first try consumed.
    """
    again = dict(kwargs)
    again.pop(OPTION, None)
    if OPTION in original:
        again[OPTION] = original[OPTION]
    for name, (items, rest) in kept.items():
        again[name] = chain(list(items), rest)
    return again


def is_refusal(error: BaseException) -> bool:
    """Whether ``error`` means that the server does not accept the option.

    The status must be an error, and the body must name the option, in any spelling and anywhere.
    An echo of the request in the body does not count: it always contains the option.
    """
    status = getattr(error, "status_code", None)
    return type(status) is int and status >= _BAD and _names_option(error)


def _names_option(error: BaseException) -> bool:
    body = getattr(error, "body", None)
    texts = (f"{error}",) if body is None else _texts(body)
    return any(_NAMED.search(_ECHO.sub("", text)) for text in texts)


_BAD: Final = 400
_NAMED: Final = re.compile(r"stream[ _-]?options|include[ _-]?usage", re.IGNORECASE)
_ECHO: Final = re.compile(
    rf"{OPTION}\\*['\"]\s*:\s*\{{\s*\\*['\"]{_WANTED}\\*['\"]\s*:\s*true\s*\}}", re.IGNORECASE
)
"""The option as it was sent: in JSON, in JSON within JSON, or as a Python literal."""
_NESTED: Final = 8


def _texts(body: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts and field names of an error body, without an echo of the option."""
    if isinstance(body, str):
        yield body
    elif depth < _NESTED and isinstance(body, Mapping):
        for name, value in body.items():
            if not (isinstance(value, Mapping) and value.get(_WANTED) is True):
                yield str(name)
                yield from _texts(value, depth + 1)
    elif depth < _NESTED and isinstance(body, list):
        for part in body:
            yield from _texts(part, depth + 1)


BY_ITSELF: Final = (
    "api.mistral.ai",
    "api.groq.com",
    "api.together.ai",
    "api.together.xyz",
    "openrouter.ai",
    "azuredatabricks.net",
)
"""Hosts known to report the usage of streams without the option; applications see it there."""
IF_ASKED: Final = (
    "api.openai.com",
    "openai.azure.com",
    "cognitiveservices.azure.com",
)
"""Hosts known to report the usage of streams only with the option."""


def habit_of(host: str | None) -> Habit | None:
    """Return what is known of a host before its first stream."""
    for habit, known in ((Habit.ALWAYS, BY_ITSELF), (Habit.ASKED, IF_ASKED)):
        if host is not None and any(host == one or host.endswith("." + one) for one in known):
            return habit
    return None


class UsageFilter(Protocol):
    """Sees each chunk of a stream before the application does."""

    def hides(self, chunk: object) -> bool:
        """Whether the chunk is hidden from the application."""

    def on_end(self) -> None:
        """Note that the stream ended."""

    def on_no_chunk(self, error: BaseException | None, response: object) -> None:
        """Note that the stream ended, or failed by ``error``, before its first chunk."""


class InjectedUsage:
    """Hides usage from the application that the server sent only because of our option.

    A chunk sent only for the usage is hidden. Usage next to a finish reason is removed if the
    server is known to follow the option: by its host, by ``usage: null`` on earlier chunks, or by
    an earlier stream without the option. Otherwise the server is assumed to send it anyway, and the
    same is assumed of usage next to an unfinished choice.
    """

    __slots__ = ("_has_begun", "_heeds", "_memory", "_own", "_server")

    def __init__(self, memory: StreamUsageMemory, server: str, habit: Habit | None) -> None:
        self._memory = memory
        self._server = server
        self._heeds = habit is Habit.ASKED
        """Whether the server sends usage only because of the option."""
        self._has_begun = False
        """Whether there was a chunk before: the first one begins an answer, even if it is empty."""
        self._own = False
        """Whether the server reports usage anyway, on chunks before the last one."""

    def hides(self, chunk: object) -> bool:
        """Whether ``chunk`` was sent only because of our option; clean any other chunk.

        Once the field counts as not set, ``usage: null`` no longer appears in ``to_json()``.
        """
        is_first, self._has_begun = not self._has_begun, True
        try:
            given = vars(chunk)
            choices = given.get("choices")
            if given.get("usage") is None:
                named: set[str] = chunk.__pydantic_fields_set__  # type: ignore[attr-defined]
                if "usage" in named and not self._own:
                    self._heeds = True
                    named.discard("usage")
                extra = chunk.__pydantic_extra__  # type: ignore[attr-defined]
                first: Any = choices[0] if choices else None
                goes_on = first is not None and vars(first).get("finish_reason") is None
                if (goes_on and not extra) or find_usage(fields(chunk)) is None:
                    return False
            elif not choices:
                if not self._heeds:
                    self._memory.note_doubt(self._server)
                return True
        except (AttributeError, IndexError, KeyError, TypeError):
            return False
        return self._beside_choice(chunk, choices, is_first=is_first)

    def on_end(self) -> None:
        """Do nothing: the end adds no information."""

    def on_no_chunk(self, error: BaseException | None, response: object) -> None:
        """Remember a refusal in an answer: an error event, or JSON, of which no words are known."""
        if is_json(response) if error is None else _names_option(error):
            self._memory.add_refusal(self._server)

    def _beside_choice(self, chunk: Any, choices: object, *, is_first: bool) -> bool:
        shown = [fields(choice) for choice in sequence(choices)]
        ends = any(choice.get("finish_reason") for choice in shown)
        if not ends and (is_first or not any(map(_is_empty, shown))):
            self._own = True
        if self._own:
            return False
        # The null alone is no proof here: Together sends null and usage unasked.
        self._memory.note_doubt(self._server)
        if ends and self._heeds:
            take_off(chunk)
        return not ends


def _is_empty(choice: Mapping[str, object]) -> bool:
    """Whether a choice of a chunk has no content."""
    delta = fields(choice.get("delta"))
    values = {**delta, "role": None, "text": choice.get("text")}.values()
    return not any(values)


def take_off(chunk: Any) -> None:
    """Remove the usage from a chunk, as if it had never been sent."""
    given, extra = vars(chunk), chunk.__pydantic_extra__ or {}
    if given.get("usage") is not None:
        given["usage"] = None
        chunk.__pydantic_fields_set__.discard("usage")
    choices = sequence(given.get("choices"))
    deltas = [fields(choice).get("delta") for choice in choices]
    for holder in (*extra.values(), *choices, *deltas):
        _take_out(holder, DEPTH)


def _take_out(holder: object, depth: int) -> None:
    """Remove the usage from an object, and from those in it, so deep."""
    held = holder if isinstance(holder, dict) else getattr(holder, "__pydantic_extra__", None)
    if held and depth:
        held.pop("usage", None)
        for inner in held.values():
            _take_out(inner, depth - 1)


class UnaskedUsage:
    """Learns from a stream without the option whether its server sends the usage anyway.

    A stream that is closed, fails or is truncated before its usage came decides nothing.
    """

    __slots__ = ("_came", "_finished", "_memory", "_server")

    def __init__(self, memory: StreamUsageMemory, server: str) -> None:
        self._memory = memory
        self._server = server
        self._came = False
        self._finished = False

    def hides(self, chunk: object) -> bool:
        """Look for usage in ``chunk``; the application gets every chunk."""
        received = fields(chunk)
        if not self._came and find_usage(received) is not None:
            self._came = True
            self._memory.end_trial(self._server, came=True)
        choices = sequence(received.get("choices"))
        self._finished |= any(fields(choice).get("finish_reason") for choice in choices)
        return False

    def on_end(self) -> None:
        """Remember that no usage came in a whole stream."""
        if self._finished and not self._came:
            self._memory.end_trial(self._server, came=False)

    def on_no_chunk(self, error: BaseException | None, response: object) -> None:
        """Do nothing: the option was not sent."""
