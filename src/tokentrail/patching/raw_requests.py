"""Calls that an application makes with the client's own ``post`` or ``request``.

litellm uses them so that the client does not read through long conversations. Without this module
no call of litellm would be recorded. A POST to one of :data:`PATHS` (text and embeddings) is
recorded as a call of the method with this path. Requests for images, audio or moderation are
recorded only through their methods. Requests inside a recorded method are ignored here. The async
client's vector store search sends its request only when its result is awaited, so it is seen here.
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
"""The adapter of a recorded POST, by its path below the base URL."""
_BY_LENGTH: Final = sorted(PATHS, key=len, reverse=True)
_WITH_IDS: Final = {
    path: r"(?:.*/)?" + path.replace("{", "(?P<").replace("}", ">[^/]+)")
    for path in PATHS
    if "{" in path
}
"""Patterns of paths with an id in them; ``re`` compiles each at its first use."""


@lean_dataclass(frozen=True, slots=True)
class ClientHolder:
    """Takes the place of the resource object in a raw request."""

    _client: object
    endpoint: Endpoint | None = None
    """The server, if the request does not go to the client's base URL."""


@lean_dataclass(frozen=True, slots=True)
class PostedCall:
    """A raw request, callable like the method that has its path."""

    send: Any
    args: tuple[Any, ...]
    """The class of the answer, the request options, and any further arguments."""
    kwargs: dict[str, Any]
    path: str
    asked: dict[str, Any]
    """The arguments as the method would get them."""
    endpoint: Endpoint | None = None
    """The server, if the URL is absolute."""

    def __call__(self, **asked: Any) -> object:
        """Send the request, changed only where ``asked`` differs."""
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
    """Return the arguments of a request so that ``reader`` gets the answer before it is parsed.

    Parsing raises if an answer is truncated or does not fit the application's class. Such an answer
    was billed nevertheless.
    """
    if is_raw(args[1].headers):
        return args
    options = copy(args[1])
    options.post_parser = update_wrapper(_ShowingParser(reader, parse), parse)  # it may be logged
    return (args[0], options, *args[2:])


class _ShowingParser:
    """The client's parser of an answer; ``reader`` gets the answer first."""

    def __init__(self, reader: BodyReader, parse: Callable[[Any], object]) -> None:
        self._reader = reader
        self._parse = parse

    def __repr__(self) -> str:
        """Return that of the client's parser: the client logs the options of a request."""
        return repr(self._parse)

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
    """Read a request; ``None`` if it is not recorded, or is recorded already."""
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
    """Return the path of a URL below the base URL; elsewhere the known path that it ends in."""
    if "://" not in url:
        return url.strip("/")
    path, base = urlsplit(url).path.strip("/"), getattr(client, "base_url", None)
    below = path.removeprefix(str(getattr(base, "path", "")).strip("/")).strip("/")
    ends = (known for known in _BY_LENGTH if path.endswith("/" + known))
    return below if below in PATHS else next(ends, path)


def _with_ids(path: str) -> tuple[str, dict[str, str]]:
    """Return the path pattern that ``path`` matches, with its ids; else ``path`` itself."""
    for known, pattern in _WITH_IDS.items():
        if found := re.fullmatch(pattern, path):
            return known, {name: unquote(value) for name, value in found.groupdict().items()}
    return path, {}


def _extra(options: Any) -> dict[str, Any]:
    """Return the arguments of the method that are not part of the body."""
    extra = {"extra_headers": options.headers, "extra_body": options.extra_json}
    return {name: value for name, value in extra.items() if isinstance(value, Mapping)}
