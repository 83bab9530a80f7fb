"""What is loaded when: a process that never calls a model never pays for one."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Server, Stream

HEAVY = (
    "openai",
    "tiktoken",
    "opentelemetry._logs",
    "opentelemetry.sdk",
    "httpx",
    "httpx2",
    "pydantic",
    "rich",
    "regex",
    "genai_prices",
)

REPORT = f"""
import json, sys
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def _loaded_after(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\n{REPORT}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import tokentrail", id="import"),
        pytest.param("import tokentrail; tokentrail.instrument()", id="instrument"),
        pytest.param("import tokentrail; tokentrail.instrument(cost='counted')", id="cost"),
        pytest.param(
            "import tokentrail; tokentrail.instrument(); tokentrail.uninstrument()",
            id="uninstrument",
        ),
        pytest.param(
            "import tokentrail; tokentrail.instrument(); tokentrail.flush(1.0)", id="flush"
        ),
        pytest.param(
            "from tokentrail.instrumentor import OpenAIInstrumentor;"
            "OpenAIInstrumentor().instrument()",
            id="instrumentor",
        ),
    ],
)
def test_nothing_heavy_is_loaded_by(program):
    assert _loaded_after(program) == []


def test_importing_openai_afterwards_is_what_loads_it():
    """The test above would notice."""
    assert "openai" in _loaded_after("import tokentrail; tokentrail.instrument(); import openai")


MODULES = 77
"""Modules of ours that a program imports before its first call: each takes an eighth of a ms."""

OF_SOME_CALLS = (
    "tokentrail.apis.batches",
    "tokentrail.apis.capture",
    "tokentrail.apis.embeddings",
    "tokentrail.apis.responses",
    "tokentrail.call.learning",
    "tokentrail.config.declarative",
    "tokentrail.config.differences",
    "tokentrail.content",
    "tokentrail.cost.prices",
    "tokentrail.cost.rates",
    "tokentrail.counting.rules",
    "tokentrail.counting.text",
    "tokentrail.diagnosis",
    "tokentrail.patching.include_usage",
    "tokentrail.telemetry.completion_hook",
    "tokentrail.telemetry.genai_util",
    "tokentrail.telemetry.log_records",
    "tokentrail.telemetry.metrics.latest",
    "tokentrail.telemetry.schema",
    "tokentrail.usage.count_tokens",
    "tokentrail.usage.explain",
    "tokentrail.websocket",
)
"""What only some calls need."""

INSTRUMENTED = """
import json, sys
import tokentrail
tokentrail.instrument()
"""
PLAIN_CALL = """
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
tokentrail.flush(10)
"""
STREAM = """
list(client.chat.completions.create(model="gpt-4o", messages=[], stream=True))
"""
OURS = """
print(json.dumps([name for name in sys.modules if name.startswith("tokentrail")]))
"""


def _ours_after(*parts):
    """Return which modules of ours a program has imported."""
    answer = Answer(usage=Usage(9, 4))

    def respond(call):
        streams = call.body.get("stream")
        return Stream(chat.chunks(answer)) if streams else Plain(chat.completion(answer))

    with Server(respond) as server:
        done = subprocess.run(
            [sys.executable, "-c", "".join((*parts, OURS)), server.base_url],
            capture_output=True, text=True, check=True, timeout=50,
        )  # fmt: skip
    return json.loads(done.stdout)


def _of_some_calls(modules):
    return [name for name in modules if name.startswith(OF_SOME_CALLS)]


def test_what_only_some_calls_need_is_not_imported_before_them():
    assert len(_ours_after(INSTRUMENTED)) <= MODULES
    assert _of_some_calls(_ours_after(INSTRUMENTED, PLAIN_CALL)) == []


def test_what_counts_a_stream_is_imported_by_the_first():
    """The test above would notice."""
    modules = _ours_after(INSTRUMENTED, PLAIN_CALL, STREAM)
    assert "tokentrail.counting.text" in _of_some_calls(modules)


PRELOADED = """
import json, sys
import tokentrail
tokentrail.instrument(preload_encodings=["cl100k_base", "o200k_base"])
"""
COUNTED = """
before = set(sys.modules)
client.chat.completions.create(model="gpt-4", messages=[], stream=True).close()
list(client.chat.completions.create(model="gpt-4", messages=[], stream=True))
tokentrail.flush(10)
for name in before:
    sys.modules.pop(name)
"""


@pytest.mark.thorough
def test_with_an_encoding_preloaded_the_first_stream_imports_nothing_of_ours():
    """An import on the thread of an event loop holds it up."""
    assert _ours_after(PRELOADED, PLAIN_CALL, COUNTED) == []


CALLED = (
    "apis",
    "call",
    "content",
    "cost",
    "counting",
    "model",
    "patching",
    "runtime",
    "telemetry",
)
"""Packages that calls run in, on whichever thread."""
AT_INSTRUMENT = {
    ("patching/install.py", "_hook"),
    ("patching/install.py", "_wrapper"),
    ("telemetry/emitter.py", "__init__"),
    ("telemetry/emitter.py", "different_providers"),
    ("telemetry/emitter.py", "inform_of_no_provider"),
}
"""Functions of ``instrument()``, or whose modules the SDK's API has imported already."""


def test_a_fork_waits_for_what_a_call_imports():
    """Else the child has the lock of a half-imported module, and waits for it for ever."""
    root, loose, named = Path(tokentrail.__file__).parent, [], set()
    for package in CALLED:
        for path in sorted((root / package).rglob("*.py")):
            for function, line in _loose_imports(path):
                place = (path.relative_to(root).as_posix(), function)
                named.add(place)
                loose += [f"{place[0]}:{line}"] if place not in AT_INSTRUMENT else []
    assert loose == []
    assert named >= AT_INSTRUMENT, "the list names what is gone"


def _loose_imports(path):
    """Yield functions of a file that import outside ``with IMPORTING``, with the line."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for function in functions:
        held = {
            inner
            for node in ast.walk(function)
            if isinstance(node, ast.With) and "IMPORTING" in ast.unparse(node.items[0])
            for inner in ast.walk(node)
        }
        for node in ast.walk(function):
            is_import = isinstance(node, (ast.Import, ast.ImportFrom)) or (
                isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module"
            )
            if is_import and node not in held:
                yield function.name, node.lineno


def test_no_name_that_is_imported_late_is_that_of_a_module_beside_it():
    """Whoever imports the module first would put it where the name is looked for."""
    root, checked = Path(tokentrail.__file__).parent, 0
    for path in sorted(root.rglob("__init__.py")):
        if "lazy_names(" in path.read_text(encoding="utf-8"):
            package = ".".join(("tokentrail", *path.parent.relative_to(root).parts))
            beside = {module.name for module in pkgutil.iter_modules([str(path.parent)])}
            assert beside.isdisjoint(importlib.import_module(package).__all__), package
            checked += 1
    assert checked > 2
