"""What OpenAI really sent, replayed: needs the recordings beside the project, else skipped."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass

import openai
import pytest
from tests.shared import OUTSIDE

HOME = OUTSIDE / "recordings"

pytestmark = pytest.mark.outside("recordings/replay.py")

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


def _tool_choice(body):
    return "tools" in body or any(m.get("tool_calls") for m in body.get("messages", ()))


@dataclass(frozen=True)
class Interaction:
    """One recorded request, what it was billed, and how to ask for it."""

    file: str
    uri: str
    body: dict
    status: int
    answer: str

    @property
    def usage(self):
        """Return the billed (input, output)."""
        parts = [json.loads(part) for part in _events(self.answer)]
        found = [p.get("usage") or (p.get("response") or {}).get("usage") for p in parts]
        usage = [u for u in found if u][-1]
        return (
            usage.get("prompt_tokens", usage.get("input_tokens")),
            usage.get("completion_tokens", usage.get("output_tokens")),
        )


def _events(answer):
    if not answer.lstrip().startswith(("data:", "event:")):
        return [answer]
    lines = [line[5:].strip() for line in answer.splitlines() if line.startswith("data:")]
    return [line for line in lines if line != "[DONE]"]


def _interactions():
    if not HOME.exists():
        return []
    yaml = pytest.importorskip("yaml")
    found = []
    for path in sorted(HOME.glob("*.yaml")):
        for item in yaml.safe_load(path.read_text())["interactions"]:
            request, response = item["request"], item["response"]
            found.append(
                Interaction(
                    path.name,
                    request["uri"],
                    json.loads(request["body"]),
                    response["status"]["code"],
                    response["body"].get("string") or "",
                )
            )
    return found


def _id(item):
    return f"{item.file.removesuffix('.yaml')}-{len(item.body.get('messages', ()))}"


ALL = _interactions()
ANSWERED = [item for item in ALL if item.status == 200]
BILLED = [item for item in ANSWERED if '"usage"' in item.answer]
FAILED = [item for item in ALL if item.status != 200]
TEXT = [i for i in BILLED if not _tool_choice(i.body) and "embeddings" not in i.uri]


def _without_usage(answer):
    """Return the answer as a server sends it that does not report usage."""

    def strip(text):
        body = json.loads(text)
        body.pop("usage", None)
        if isinstance(body.get("response"), dict):
            body["response"].pop("usage", None)
        return body

    if not answer.lstrip().startswith(("data:", "event:")):
        return json.dumps(strip(answer))
    lines = []
    for line in answer.splitlines():
        if line.startswith("data:") and "[DONE]" not in line:
            body = strip(line[5:])
            if body.get("choices") == []:
                continue
            lines.append("data: " + json.dumps(body))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n\n"


@pytest.fixture
def replay(tmp_path):
    """Serve a recording, or a changed one; every request must equal the recorded one."""
    spec = importlib.util.spec_from_file_location("replay", HOME / "replay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yaml = pytest.importorskip("yaml")

    def serve(item, change=lambda answer: answer):
        recording = yaml.safe_load((HOME / item.file).read_text())
        for entry in recording["interactions"]:
            body = entry["response"]["body"]
            body["string"] = change(body["string"])
        path = tmp_path / item.file
        path.write_text(yaml.safe_dump(recording))
        return module.CassetteServer(str(path))

    return serve


def _call(base_url, item):
    client = openai.OpenAI(base_url=base_url, api_key="k", max_retries=0)
    body = dict(item.body)
    if "/responses" in item.uri and not hasattr(client, "responses"):
        pytest.skip(f"openai {openai.__version__} has no responses")
    if "/responses" in item.uri:
        method = client.responses.create
    elif "/embeddings" in item.uri:
        method = client.embeddings.create
    else:
        method = client.chat.completions.create
    with client:
        answer = method(**body)
        return list(answer) if body.get("stream") else answer


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("item", BILLED, ids=_id)
def test_reported_usage_is_the_recorded_one(item, replay, spans):
    """What the server billed is what is told, as reported."""
    with replay(item) as server:
        _call(server.base_url, item)
    told = spans.attributes()
    assert (told[INPUT], told.get(OUTPUT)) == item.usage
    assert told["tokentrail.usage.input.source"] == "reported"


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("item", TEXT, ids=_id)
def test_counted_usage_is_the_billed_one(item, replay, spans):
    """Without its report, a text answer counts what was billed."""
    with replay(item, _without_usage) as server:
        _call(server.base_url, item)
    attributes = spans.attributes()
    if "reasoning" in item.body:
        assert attributes["tokentrail.usage.output.source"] == "visible"
        assert attributes["tokentrail.usage.visible.output_tokens"] < item.usage[1]
        assert abs(attributes[INPUT] - item.usage[0]) <= 1
        return
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes["tokentrail.usage.input.source"] == "counted"
    assert attributes[INPUT] == item.usage[0]
    assert abs(attributes[OUTPUT] - item.usage[1]) <= (2 if "/responses" in item.uri else 0)


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("item", FAILED, ids=_id)
def test_refused_calls_have_no_usage(item, replay, spans):
    """An HTTP error spent nothing that is known."""
    with replay(item) as server, pytest.raises(openai.APIStatusError):
        _call(server.base_url, item)
    attributes = spans.attributes()
    assert attributes["tokentrail.outcome"] == "failed"
    assert not [name for name in attributes if ".usage." in name]


@pytest.mark.usefixtures("trail")
def test_stream_without_usage_is_counted(replay, spans):
    """The recording of a stream that was never asked for usage has its text counted."""
    (item,) = [i for i in ANSWERED if i not in BILLED]
    with replay(item) as server:
        _call(server.base_url, item)
    attributes = spans.attributes()
    assert attributes["tokentrail.usage.input.source"] == "counted"
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes[INPUT] > 0
    assert attributes[OUTPUT] > 0
