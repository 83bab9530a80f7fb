"""Asking the server for a stream's usage on the application's behalf, unseen by it.

The option ``stream_options.include_usage`` makes a server send one more chunk, with no choice and
the usage, and a ``usage: null`` on the others. The application did not ask for either, so the one
is kept from it and the other wiped off. A server that refuses the option is asked again without it,
and not bothered with it for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.http_metadata import is_raw
from tokentrail.model.operations import WITH_USAGE_OPTION
from tokentrail.patching.replay import repeatable

if TYPE_CHECKING:
    from tokentrail.model.records import Request

OPTION: Final = "stream_options"
_WANTED: Final = "include_usage"
_REFUSALS: Final = frozenset({400, 422})
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

    What the server echoes of the request is not its word: the option stands there in any case.
    """
    if getattr(error, "status_code", None) not in _REFUSALS:
        return False
    body = getattr(error, "body", None)
    said = (f"{error}",) if body is None else _said(body)
    return any(_NAMED.search(text) for text in said)


_OWN_WORDS: Final = frozenset(
    {"detail", "details", "error", "errors", "loc", "message", "msg", "param"}
)
_NAMED: Final = re.compile(rf"\b(?:{OPTION}|{_WANTED})\b(?!\\*['\"]\s*:)")
"""The option by name, but not as the key of a value: so it stands where a request is echoed."""
_NESTED: Final = 8


def _said(body: object, depth: int = 0) -> Iterator[str]:
    """Yield what a server says in its own words."""
    if isinstance(body, str):
        yield body
    elif depth < _NESTED and isinstance(body, Mapping):
        for name in _OWN_WORDS & body.keys():
            yield from _said(body[name], depth + 1)
    elif depth < _NESTED and isinstance(body, list):
        for part in body:
            yield from _said(part, depth + 1)


def is_injected_usage_chunk(chunk: object) -> bool:
    """Whether ``chunk`` is there only because we asked; any other is made to look as if we had not.

    ``usage: null`` leaves no trace in ``to_json()`` once the field does not count as set.
    """
    try:
        given = vars(chunk)
        if given.get("usage") is None:
            chunk.__pydantic_fields_set__.discard("usage")  # type: ignore[attr-defined]
            return False
        return not given.get("choices")
    except (AttributeError, TypeError):
        return False
