"""Calls that an application makes by the client's own ``post`` or ``request``.

litellm does, to keep the client from reading through long conversations: by its methods alone none
of litellm's would be told. A POST to one of :data:`PATHS`, which are those of text and embeddings,
is recorded as the method that has this path; what asks for pictures, sound or a judgement by its
method only. Inside a method that is recorded nothing is seen here. The async client's search of a
vector store is a method that sends its request when what it returned is awaited: it is seen here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from tokentrail.apis.http_metadata import is_raw
from tokentrail.apis.readers import adapter_of
from tokentrail.model.endpoint import endpoint_at
from tokentrail.model.operations import OPERATIONS
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass
from tokentrail.telemetry.context import context_to_instrument

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.model.records import Endpoint
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry.context import BodyReader

PATHS: Final = {row.path: adapter_of(row) for row in OPERATIONS if row.path is not None}
"""What is told of a POST, by its path below the base URL."""
_BY_LENGTH: Final = sorted(PATHS, key=len, reverse=True)
_WITH_IDS: Final = {
    path: r"(?:.*/)?" + path.replace("{", "(?P<").replace("}", ">[^/]+)")
    for path in PATHS
    if "{" in path
}
"""Patterns of paths with an id in them; ``re`` compiles each where the first such call is made."""


@lean_dataclass(frozen=True, slots=True)
class ClientHolder:
    """Stands where a call's resource stands otherwise."""

    _client: object
    endpoint: Endpoint | None = None
    """Where the request goes, if not to the client's base URL."""


@lean_dataclass(frozen=True, slots=True)
class PostedCall:
    """A request, called as if it were the method that has its path."""

    send: Any
    args: tuple[Any, ...]
    """The class of the answer, the request's options, and what else there may be."""
    kwargs: dict[str, Any]
    path: str
    asked: dict[str, Any]
    """What the method would have been given."""
    endpoint: Endpoint | None = None
    """Where it goes, if its URL is an absolute one."""

    def __call__(self, **asked: Any) -> object:
        """Send the request as it is, but for what differs in ``asked``."""
        changed = {name: v for name, v in asked.items() if self.asked.get(name) is not v}
        if not changed:
            return self.send(*self.args, **self.kwargs)
        cast_to, options, *rest = self.args
        options = copy(options)
        options.json_data = {**options.json_data, **changed}
        return self.send(cast_to, options, *rest, **self.kwargs)


def show_body(
    reader: BodyReader, parse: Callable[[Any], object], args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return the arguments of a request, its answer shown to ``reader`` before it is parsed.

    Where an answer is cut short, or is not what the application's class wants, parsing it raises:
    it was billed all the same.
    """
    if is_raw(args[1].headers):
        return args
    options = copy(args[1])
    options.post_parser = update_wrapper(_ShowingParser(reader, parse), parse)  # it may be logged
    return (args[0], options, *args[2:])


class _ShowingParser:
    """The client's parser of an answer, which is shown to ``reader`` before."""

    def __init__(self, reader: BodyReader, parse: Callable[[Any], object]) -> None:
        self._reader = reader
        self._parse = parse

    def __call__(self, answer: Any) -> object:
        with guard.shield("answer"):
            self._reader.on_body(answer)
        return self._parse(answer)


def posted_call(
    active: Runtime,
    send: Any,
    client: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> PostedCall | None:
    """Read a request; ``None`` if it is not one to be told, or is told already."""
    if context_to_instrument(client) is None:
        return None
    named = dict(kwargs)
    cast_to = args[0] if args else named.pop("cast_to")
    options = args[1] if len(args) > 1 else named.pop("options")
    url, body = str(options.url), options.json_data
    path, ids = _with_ids(_path(url, client))
    if path not in PATHS or options.method.lower() != "post" or not isinstance(body, Mapping):
        return None
    if path.partition("/")[0] not in active.settings.instrumented_apis:
        return None
    asked = {**body, **ids, "stream": named.get("stream", False), **_extra(options)}
    endpoint = endpoint_at(url, client) if "://" in url else None
    return PostedCall(send, (cast_to, options, *args[2:]), named, path, asked, endpoint)


def _path(url: str, client: object) -> str:
    """Return the path of a URL below the base URL; of another server's, what ends it."""
    if "://" not in url:
        return url.strip("/")
    path, base = urlsplit(url).path.strip("/"), getattr(client, "base_url", None)
    below = path.removeprefix(str(getattr(base, "path", "")).strip("/")).strip("/")
    ends = (known for known in _BY_LENGTH if path.endswith("/" + known))
    return below if below in PATHS else next(ends, path)


def _with_ids(path: str) -> tuple[str, dict[str, str]]:
    """Return the path of a row of which ``path`` is one, and the ids in it; else ``path``."""
    for known, pattern in _WITH_IDS.items():
        if found := re.fullmatch(pattern, path):
            return known, {name: unquote(value) for name, value in found.groupdict().items()}
    return path, {}


def _extra(options: Any) -> dict[str, Any]:
    """Return what a method takes beside the body."""
    extra = {"extra_headers": options.headers, "extra_body": options.extra_json}
    return {name: value for name, value in extra.items() if isinstance(value, Mapping)}
