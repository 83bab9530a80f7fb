"""Whether the methods of this release stand where the rows of ``methods`` say."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import openai
from tests.surface.table import method_of

from tokentrail.patching import install

if TYPE_CHECKING:
    from tokentrail.patching.methods import Row

_CLASSES = {False: openai.OpenAI, True: openai.AsyncOpenAI}


@cache
def client(*, is_async: bool) -> Any:
    """Return a client to look at, that nobody calls."""
    return _CLASSES[is_async](api_key="k", base_url="http://127.0.0.1:9/v1")


def method(row: Row, prefix: str = "") -> Any:
    """Return a row's method as an application finds it; ``None`` if this release has none."""
    return method_of(row).on(client(is_async=row.is_async), prefix)


@cache
def has_moved(row: Row) -> bool:
    """Whether the method and the row miss each other: the client is the oracle, not the table."""
    found = method(row)
    install.install()
    try:
        return (found is not None) != _is_patched(row)
    finally:
        install.remove()


def _is_patched(row: Row) -> bool:
    named = {(module, row.owner, row.method) for module in row.modules}
    return any(
        (owner.__module__, owner.__name__, name) in named for owner, name, _, _ in install._patched
    )
