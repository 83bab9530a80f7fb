"""An operation is one row and one folder: what is missing is named, what is there is enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tokentrail
from tokentrail.apis.readers import _named, adapter_of
from tokentrail.model.operations import CHAT, EMBEDDINGS, OPERATIONS
from tokentrail.model.records import Endpoint
from tokentrail.patching.methods import CONNECTIONS, ROWS
from tokentrail.patching.raw_requests import PATHS

HERE = Endpoint("openai", "127.0.0.1", 80, "http://127.0.0.1")
ROOT = Path(__file__).parents[2]
PACKAGE = Path(tokentrail.__file__).parent


def _key_of(adapter):
    read = adapter.parse_request(HERE, {"model": "gpt-4o"}, prompt=False)
    return read.operation, read.api


def missing(row):
    """Return what an operation's row lacks, or says that does not go together."""
    found = []
    try:
        key = _key_of(adapter_of(row))
    except (ImportError, AttributeError):
        found.append("adapter: there is none")
    else:
        if key != row.key:
            found.append(f"adapter: reads {key}")
    if row.content is not None:
        try:
            _named(row.content).accumulator(schemas=False)
        except (ImportError, AttributeError):
            found.append("content: there is no such reader")
    if row.is_output_billed and not row.is_billed:
        found.append("is_billed: its output is")
    if row.is_inference and not (row.has_output and row.has_details_event and row.is_billed):
        found.append("is_inference: without output, details or a price")
    if row.has_usage_option and not row.has_output:
        found.append("has_usage_option: without output")
    if row.path is not None and row.path.partition("/")[0] != row.part:
        found.append("path: of another part of the client")
    return found


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: "-".join(filter(None, row.key)))
def test_the_row_of_an_operation_is_complete(row):
    assert missing(row) == []


@pytest.mark.parametrize(
    ("row", "lacks"),
    [
        (replace(CHAT, adapter="chat.adapter:Gone"), "adapter: there is none"),
        (replace(CHAT, adapter=EMBEDDINGS.adapter), "adapter: reads ('embeddings', None)"),
        (replace(CHAT, content="gone:Gone"), "content: there is no such reader"),
        (replace(EMBEDDINGS, is_output_billed=True, is_billed=False), "is_billed: its output is"),
        (replace(CHAT, is_billed=False, is_output_billed=False), "is_inference: without output, "),
        (replace(EMBEDDINGS, has_usage_option=True), "has_usage_option: without output"),
        (replace(CHAT, part="responses"), "path: of another part of the client"),
    ],
)
def test_a_row_that_is_incomplete_is_found(row, lacks):
    assert any(each.startswith(lacks) for each in missing(row))


def test_each_operation_has_one_row_and_each_method_an_operation():
    keys = [row.key for row in OPERATIONS]
    assert len(keys) == len(set(keys))
    assert {_key_of(method.adapter) for method in (*ROWS, *CONNECTIONS)} == set(keys)


def test_a_request_to_a_path_is_read_as_the_operation_of_that_path():
    read = {path: _key_of(adapter) for path, adapter in PATHS.items()}
    assert read == {row.path: row.key for row in OPERATIONS if row.path is not None}


# A made-up one ----------------------------------------------------------------------------------

ROW = """\
SUMMARIES: Final = _inference(
    "summarize",
    "summaries",
    "summaries.adapter:SummariesAdapter",
    path="summaries",
    content="summaries.content:SummariesContent",
)

"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return what is recorded of an API that is added by its folder and its row alone."""
    tree = tmp_path_factory.mktemp("added")
    package = tree / "tokentrail"
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            target = package / path.relative_to(PACKAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    (package / "apis" / "summaries").symlink_to(Path(__file__).parent / "made_up" / "summaries")
    table = package / "model" / "operations.py"
    text = table.read_text()
    table.unlink()
    text = text.replace("OPERATIONS: Final = (\n", f"{ROW}OPERATIONS: Final = (\n", 1)
    table.write_text(text.replace("    REALTIME,\n)", "    REALTIME,\n    SUMMARIES,\n)", 1))
    program = "from tests.apis.made_up import call; call.main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tree), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, cwd=tree, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_made_up_operation_has_spans_with_usage_content_and_cost(recorded):
    whole, streamed = recorded["spans"]
    for span in (whole, streamed):
        assert span["gen_ai.operation.name"] == "summarize"
        assert "Tell me of the sea." in span["gen_ai.input.messages"]
        assert "The sea is old." in span["gen_ai.output.messages"]
    usage = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "tokentrail.cost.amount"
    assert [whole[name] for name in usage] == [5, 4, pytest.approx(13e-6)]
    assert [streamed[name] for name in usage] == [6, 5, pytest.approx(16e-6)]
    assert whole["tokentrail.usage.output.source"] == "reported"
    assert streamed["tokentrail.usage.output.source"] == "counted"


def test_a_made_up_operation_has_the_metrics_and_the_event_of_an_inference(recorded):
    assert {
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.usage.output_tokens",
        "tokentrail.usage.tokens",
    } <= set(recorded["metrics"])
    assert recorded["details"] == 2


@pytest.mark.thorough
def test_a_made_up_operation_is_in_the_docs_and_a_setting(recorded):
    assert {"gen_ai.request.model", "gen_ai.output.messages"} <= set(recorded["documented"])
    assert recorded["failing"] == ["chat", "summarize", "text_completion"]
    assert recorded["setting"][-1] == "summaries"
