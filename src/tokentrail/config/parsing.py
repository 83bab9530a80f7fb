"""How a setting is read from a keyword argument or an environment text: a value, or ValueError."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokentrail import cost, counting
from tokentrail.config.values import (
    INSTRUMENTED_APIS,
    METRIC_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    RESERVED_METRIC_ATTRIBUTES,
)

if TYPE_CHECKING:
    from enum import Enum

    from tokentrail.cost import UserPrices


_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def boolean(value: object) -> bool:
    """Read true, yes, on or 1; false, no, off or 0."""
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def seconds(value: object) -> float:
    """Read a time of up to a minute."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= 60:  # noqa: PLR2004 - a minute
        raise ValueError
    return number


def share(value: object) -> float:
    """Read a share from 0 to 1, off or all."""
    if value is False:  # how YAML reads an unquoted `off`
        value = 0.0
    if isinstance(value, str):
        value = {"off": 0.0, "all": 1.0}.get(value.strip().lower(), value)
    return ratio(value)


def choice(kind: type[Enum]) -> Callable[[object], Enum]:
    """Return what reads a member of ``kind``, in any case of letters."""

    def parse(value: object) -> Enum:
        if value is False:  # how YAML reads an unquoted `off`
            value = "off"
        return value if isinstance(value, kind) else kind(str(value).strip().lower())

    return parse


def length(value: object) -> int:
    """Read a whole number from one."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError
    number = int(value)
    if number < 1:
        raise ValueError
    return number


class FunctionError(ValueError):
    """A function cannot be used; the message says why."""


def function(value: object) -> object:
    """Return a function, or import it by its name; coroutine functions are refused."""
    found = _imported(value.strip()) if isinstance(value, str) else value
    if not callable(found):
        raise ValueError
    if _is_awaited(found) or _is_awaited(type(found).__call__):
        message = "a coroutine function, which is never awaited here"
        raise FunctionError(message)
    return found


def _imported(name: str) -> object:
    module, _, inside = name.partition(":")
    if not (module and inside):
        raise ValueError
    try:
        found = import_module(module)
    except Exception as error:  # noqa: BLE001 - the user's own module, which may raise anything
        # The text of an ImportError names modules; other texts may contain anything.
        reason = error if isinstance(error, ImportError) else type(error).__name__
        message = f"{module} cannot be imported: {reason}"
        raise FunctionError(message) from None
    try:
        return attrgetter(inside)(found)
    except AttributeError:
        message = f"{module} has no {inside}"
        raise FunctionError(message) from None


def _is_awaited(found: object) -> bool:
    return inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)


def ratio(value: object) -> float:
    """Read a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


_NAME = re.compile(r"[^\s,=]{1,255}")


def names(value: object, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return names from ``known``, or, without it, any valid attribute key."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise ValueError
    if not all(isinstance(name, str) for name in given):
        raise ValueError
    found = tuple(name.strip() for name in given if name.strip())
    if known is not None and not set(found) <= set(known):
        raise ValueError
    if not all(_NAME.fullmatch(name) for name in found):
        raise ValueError
    return found


def metric_attributes(value: object) -> tuple[str, ...]:
    """Read names of attributes that metrics may have; "none" for no name at all."""
    if isinstance(value, str) and value.strip().lower() == "none":
        return ()
    return names(value, METRIC_ATTRIBUTES)


def custom_metric_attributes(value: object) -> tuple[str, ...]:
    """Read names of the application's own attributes; those metrics already use are refused."""
    found = names(value)
    if not RESERVED_METRIC_ATTRIBUTES.isdisjoint(found):
        raise ValueError
    return found


def request_attributes(value: object) -> tuple[str, ...]:
    """Read names of arguments that identify the user of a call."""
    return names(value, REQUEST_ATTRIBUTES)


def instrumented_apis(value: object) -> tuple[str, ...]:
    """Read names of APIs, at least one: use ``disabled`` to record nothing."""
    found = names(value, INSTRUMENTED_APIS)
    if not found:
        raise ValueError
    return found


def encodings(value: object) -> tuple[str, ...]:
    """Read encodings, or models whose encoding is known; return the encodings, each once."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError
    found = tuple(counting.resolve(name.strip()) for name in names if name.strip())
    if None in found:
        raise ValueError
    return tuple(dict.fromkeys(name for name in found if name is not None))


def prices(value: object) -> UserPrices:
    """Read the user's own prices, from a file or as they stand."""
    return cost.read_prices(value.strip() if isinstance(value, str) else value)


def model_aliases(value: object) -> Mapping[str, str]:
    """Read pairs of a name and the model, or encoding, that it stands for."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise ValueError
        value = {name.strip(): model.strip() for name, _, model in pairs}
    if not isinstance(value, Mapping):
        raise ValueError
    if not all(isinstance(part, str) and part for item in value.items() for part in item):
        raise ValueError
    if not all(counting.resolve(model) for model in value.values()):
        raise ValueError
    return MappingProxyType(dict(value))
