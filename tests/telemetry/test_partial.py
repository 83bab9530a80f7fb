"""A report that stands on chunks with a choice, of a stream that ends without a finish reason."""

from __future__ import annotations

import pytest

from tokentrail.testing.server import Event, Stream

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
DONE = Event("[DONE]")


def _usage(made):
    return {"prompt_tokens": 40, "completion_tokens": made, "total_tokens": 40 + made}


def _piece(text, usage, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return Event({**HEAD, "choices": [choice], "usage": usage})


def _bare(usage):
    return Event({**HEAD, "choices": [], "usage": usage})


THREE = [
    _piece("one", _usage(1)),
    _piece(" two", _usage(2)),
    _piece(" three", _usage(3)),
]
ENDS = {
    # what comes, the source of the output, its tokens
    "as if cut off": (THREE[:2], "reported", 2),
    "with a done": ([*THREE[:2], DONE], "reported", 2),
    "having reported more than was seen": ([_piece("one", _usage(9))], "reported", 9),
    "with more after the last report": ([*THREE[:2], _piece(" three", None)], "counted", 3),
    "with an empty one after a running total": ([*THREE[:2], _piece("", None)], "counted", 2),
    "with a reason": ([*THREE[:2], _piece("", _usage(3), "stop"), DONE], "reported", 3),
    "with a reason before": (
        [_piece("one", None, "stop"), _piece("", _usage(3))],
        "reported",
        3,
    ),
    "with a chunk for the report": ([*THREE[:2], _bare(_usage(3)), DONE], "reported", 3),
}


@pytest.mark.usefixtures("encodings")
@pytest.mark.parametrize(("events", "source", "tokens"), ENDS.values(), ids=ENDS)
async def test_the_last_report_of_a_stream_read_to_its_end_counts(
    driver, trail, serve, events, source, tokens
):
    """A server that reports on every chunk may be cut off cleanly: nothing came after that."""
    client = driver.client(serve(Stream(events)))
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
    )
    await driver.read(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == source
    where = "tokentrail.usage.approximated" if source == "approximated" else "gen_ai.usage"
    assert attributes[f"{where}.output_tokens"] == tokens
    assert attributes["gen_ai.usage.input_tokens"] == 40
