"""The list of what is not recorded is complete: no method of the installed client is forgotten."""

from __future__ import annotations

import inspect
import typing
from functools import cache

import openai
import pytest
from openai._resource import SyncAPIResource
from pydantic import BaseModel
from tests.surface.table import BY_PATH, HELPERS
from tools.unrecorded_methods import (
    NO_MODEL,
    READ_AGAIN,
    UNRECORDED,
    is_unrecorded,
    matches,
)

pytestmark = [
    pytest.mark.surface,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of APIs that are only looked at
]

CONNECTS = {f"{beta}{api}.connect" for beta in ("", "beta.") for api in ("realtime", "responses")}


def _methods(resource, path=()):
    """Yield every public method below a resource of the client, with its path."""
    for name in sorted(dir(resource)):
        if name.startswith(("_", "with_")):
            continue
        found = getattr(resource, name)
        if isinstance(found, SyncAPIResource):
            yield from _methods(found, (*path, name))
        elif path and callable(found):
            yield ".".join((*path, name)), found


@cache
def _all():
    return dict(_methods(openai.OpenAI(api_key="k")))


@cache
def _recorded():
    """Return the paths of rows and helpers, and of methods that are the very same functions."""
    paths = {*BY_PATH, *(helper.path for helper in HELPERS), *CONNECTS}
    functions = {_function(method) for path, method in _all().items() if path in paths}
    return paths | {path for path, method in _all().items() if _function(method) in functions}


def _function(method):
    return getattr(method, "__func__", method)


def _models(kind, seen):
    """Yield the models that a return type is made of."""
    if kind in seen:
        return
    seen.append(kind)
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation, seen)
    for part in typing.get_args(kind):
        yield from _models(part, seen)


def _reports_usage(method):
    """Whether what it returns has a field of that name: the client's types are the oracle."""
    hints = typing.get_type_hints(inspect.unwrap(_function(method)))
    models = _models(hints.get("return"), [])
    return any("usage" in name.split("_") for model in models for name in model.model_fields)


def test_every_method_is_recorded_or_listed():
    listed = (*READ_AGAIN, *NO_MODEL)
    forgotten = [
        path
        for path in _all()
        if not (path in _recorded() or is_unrecorded(path) or matches(path, listed))
    ]
    assert forgotten == [], f"openai {openai.__version__} has them: see tools/unrecorded_methods.py"


def test_nothing_that_is_recorded_is_listed_as_not_recorded():
    assert [path for path in _recorded() & set(_all()) if is_unrecorded(path)] == []


def test_no_method_that_reports_usage_is_listed_as_using_no_model():
    """``admin`` has the account's usage, which is of calls made before."""
    reporting = {path for path, method in _all().items() if _reports_usage(method)}
    assert {"chat.completions.create", "embeddings.create"} <= reporting
    free = [
        path
        for path in reporting
        if not path.startswith("admin.")
        and not (path in _recorded() or is_unrecorded(path) or matches(path, READ_AGAIN))
    ]
    assert free == []


@pytest.mark.skipif(not hasattr(openai.OpenAI, "live"), reason="only the newest has all of them")
def test_no_row_of_the_list_is_idle():
    for row in UNRECORDED:
        assert any(matches(path, row.methods) for path in _all()), row.what
