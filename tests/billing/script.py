"""Made-up answers of each kind that is billed, and what each comes to, worked out by hand.

The client's own types validate the answers. Each case is asked of a deployment with its own name,
so that spans and series of different cases are told apart; all are answered by gpt-4o-mini:
0.15 USD for a million input tokens, 0.075 for cached ones, 0.6 for output.

    python -m tests.billing.script

plays the cases twice, the second time when it reads a line, and exports metrics by OTLP.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from tests.billing import hearing
from tests.billing.test_hosted_tools import (
    ANSWER,
    CACHED_BOTH,
    CODE,
    COMPUTER,
    FILES,
    IMAGE,
    IMAGES,
    MCP,
    NO_IMAGES,
    SEARCHES,
    SOME_IMAGES,
    reply,
    said,
)

from tokentrail.testing.payloads import chat
from tokentrail.testing.server import Plain

if TYPE_CHECKING:
    from tokentrail.testing.server import Call, Reply

PLAIN = 600 * 0.15 + 400 * 0.075 + 200 * 0.6
"""Millionths of USD of the 1,000 input tokens, 400 of them cached, and 200 of output."""
PROVIDERS_OWN = 500_000.0


@dataclass(frozen=True)
class Case:
    """An answer, and what is to be recorded of it."""

    name: str
    """Also the requested model."""
    body: dict[str, Any]
    usd: float | None = PLAIN
    """Millionths of USD on the span."""
    by_rules: float = PLAIN
    """The same by the rules of ``tokentrail prices``."""
    unpriced: tuple[str, ...] = ()
    requests: dict[str, int] = field(default_factory=dict)
    """Requests to the server's own tools."""
    images: tuple[int, int] | None = None
    """Tokens of images that were read and written."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What the request has beside model and input."""

    @property
    def is_chat(self) -> bool:
        """Whether it is a call of chat; else of responses."""
        return self.body["object"] == "chat.completion"


SHELL = {
    "type": "shell_call",
    "id": "sh_1",
    "call_id": "call_2",
    "status": "completed",
    "action": {"commands": ["ls"]},
    "environment": {"type": "container_reference", "container_id": "c_1"},
}


def _response(items: Any = (), **more: Any) -> dict[str, Any]:
    tools = more.pop("tools", ())
    body = {**said(items, tools=tools), **more}
    return Response.model_validate(body).model_dump(mode="json", exclude_unset=True)


def _chat(**usage: Any) -> dict[str, Any]:
    body = chat.completion(ANSWER)
    body["usage"] |= usage
    return ChatCompletion.model_validate(body).model_dump(mode="json", exclude_unset=True)


def _used(searches: int, images: dict[str, Any]) -> dict[str, Any]:
    return {"web_search": {"num_requests": searches}, "image_gen": images}


def _written(**details: Any) -> dict[str, Any]:
    body = said()
    body["usage"]["input_tokens_details"] |= details
    return body


SEARCH, FILE = 10_000.0, 2_500.0
"""Millionths of USD of a search of the web, and of files."""
LIFETIMES = {"ttl_30m_tokens": 100, "ttl_12h_tokens": 200}
CASES = (
    Case("desk-plain", _response()),
    Case(
        "desk-reported-searches",
        _response(SEARCHES[:1], tool_usage=_used(3, NO_IMAGES)),
        PLAIN + 3 * SEARCH,
        PLAIN + 3 * SEARCH,
        requests={"web_search": 3},
    ),
    Case(
        "desk-counted-searches",
        # the fourth opens a page, which is no search
        _response([*SEARCHES, FILES, FILES]),
        PLAIN + 3 * SEARCH + 2 * FILE,
        PLAIN + 3 * SEARCH + 2 * FILE,
        requests={"web_search": 3, "file_search": 2},
    ),
    Case(
        "desk-images",
        _response([IMAGE], tools=[IMAGES], tool_usage=_used(0, SOME_IMAGES)),
        # 30 of text at 5, 20 of images at 8, 4,160 of images written at 32
        PLAIN + 150 + 160 + 133_120,
        PLAIN + 150 + 160 + 133_120,
        requests={"image_generation": 1},
        images=(50, 4160),
    ),
    Case(
        "desk-cached-images",
        _response([IMAGE], tools=[IMAGES], tool_usage=_used(0, {**SOME_IMAGES, **CACHED_BOTH})),
        # 20 of text at 5 and 10 cached at 1.25, 15 of images at 8 and 5 cached at 2
        PLAIN + 100 + 12.5 + 120 + 10 + 133_120,
        PLAIN + 100 + 12.5 + 120 + 10 + 133_120,
        requests={"image_generation": 1},
        images=(50, 4160),
    ),
    Case(
        "desk-container",
        _response([CODE, MCP, COMPUTER]),
        None,
        unpriced=("code_interpreter",),
        requests={"code_interpreter": 1, "mcp": 1, "computer_use": 1},
    ),
    Case(
        "desk-shells",  # one in a container of the server, one on a machine of the application
        _response([SHELL, {**SHELL, "environment": {"type": "local"}}]),
        None,
        unpriced=("shell",),
        requests={"shell": 1},
    ),
    Case(
        "desk-failed-image",
        _response([{**IMAGE, "status": "failed"}], tools=[IMAGES], tool_usage=_used(0, NO_IMAGES)),
    ),
    Case(
        "desk-long-writes",
        _written(cache_write_tokens=300, cache_write_tokens_details=LIFETIMES),
        None,
        unpriced=("cache_write_12h",),
    ),
    Case(
        "desk-priority",
        _response(service_tier="priority"),
        600 * 0.25 + 400 * 0.125 + 200 * 1,
        600 * 0.25 + 400 * 0.125 + 200 * 1,
    ),
    Case(
        "desk-chat-search",
        _chat(),
        PLAIN + SEARCH,
        PLAIN + SEARCH,
        requests={"web_search": 1},
        asked={"web_search_options": {}},
    ),
    # the provider's own number goes first, and rules do not know it
    Case("desk-provider", _chat(cost=0.5), PROVIDERS_OWN),
    Case(
        "desk-rejected-predictions",
        # part of the output that is reported
        _chat(completion_tokens_details={"rejected_prediction_tokens": 60, "reasoning_tokens": 0}),
    ),
)
LATER = Response.model_validate({**said(), "background": True})
TRANSCRIPT = {"text": "How old?", "usage": hearing.TOKENS}
OTHERS = {
    # 30 of text at 5, 20 of images at 8, 4,160 of images written at 32
    "gpt-image-1.5": 150 + 160 + 133_120,
    # 90 of audio at 3, 10 of text at 1.25, 20 of output at 5; a session is heard by it, too
    hearing.BY_TOKENS: 270 + 12.5 + 100,
    # a fetch names no model, but its answer does
    "": PLAIN,
}
"""Millionths of USD of an image, a transcript and a response made in the background, by model."""
BY_NAME = {case.name: case for case in CASES}
HEARD = {hearing.BY_TOKENS: 90 * 3 + 10 * 1.25 + 20 * 5, hearing.BY_TIME: 90 / 3600 * 360_000}
"""Millionths of USD of what a session heard, by the model that transcribes."""


def respond(call: Call) -> Reply:
    """Answer as the case has it that is asked for, plain or streamed."""
    if call.path.endswith("/images/generations"):
        return Plain({"created": 1, "data": [], "usage": SOME_IMAGES})
    if call.path.endswith("/audio/transcriptions"):
        return Plain(TRANSCRIPT)
    if call.method == "GET":
        return Plain(LATER.model_dump(mode="json", exclude_unset=True))
    case = BY_NAME[call.body["model"]]
    if case.is_chat:
        return Plain(case.body)
    return reply(case.body, streamed=bool(call.body.get("stream")))


def arguments(case: Case) -> dict[str, Any]:
    """Return what a call of this case is made with."""
    if case.is_chat:
        messages = [{"role": "user", "content": "How old?"}]
        return {"model": case.name, "messages": messages, **case.asked}
    return {"model": case.name, "input": "How old?", **case.asked}


def _play(url: str, peer: Any) -> None:
    """Make each call once, with another response in the background each time."""
    LATER.id = f"resp_{time.time_ns()}"
    with openai.OpenAI(api_key="no-secret", base_url=f"{url}/v1") as client:
        for case in CASES:
            api = client.chat.completions if case.is_chat else client.responses
            api.create(**arguments(case))
        client.images.generate(model="gpt-image-1.5", prompt="The sea.")
        sound = ("sea.mp3", b"ID3")
        client.audio.transcriptions.create(model=hearing.BY_TOKENS, file=sound)
        client.responses.retrieve(LATER.id)
    hearing.hear(peer)


def main() -> None:
    """Play the cases, export; play them again after a line, export until standard input ends."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    import tokentrail
    from tokentrail.testing.server import Server

    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), math.inf)  # when it is asked
    tokentrail.instrument(meter_provider=MeterProvider([reader]), fetched_usage_metrics=True)

    def export() -> None:
        while True:
            reader.collect()
            time.sleep(0.5)

    with Server(respond) as server, hearing.ears() as peer:
        _play(server.url, peer)
        assert tokentrail.flush(20.0)
        threading.Thread(target=export, daemon=True).start()
        sys.stdin.readline()
        _play(server.url, peer)
        assert tokentrail.flush(20.0)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
