"""Legacy completions: whole, and as the events of a stream."""

from __future__ import annotations

from itertools import zip_longest

from tokentrail.testing.payloads.answer import Answer, UsageOn, completion_usage
from tokentrail.testing.payloads.chat import DONE
from tokentrail.testing.replies import Event, JsonObject


def completion(answer: Answer) -> JsonObject:
    """Return a whole legacy completion."""
    choices = [
        _choice(index, text, answer.finish_reason) for index, text in enumerate(answer.texts)
    ]
    usage = completion_usage(answer.usage)
    return {**_head(answer), "choices": choices, **({"usage": usage} if usage else {})}


def events(answer: Answer, usage_on: UsageOn = "none") -> list[Event]:
    """Return the events of a streamed legacy completion, ``[DONE]`` included.

    Usage is on a last event without a choice (``last``) or nowhere.
    """
    head, last = _head(answer), usage_on == "last"
    silent: JsonObject = {"usage": None} if last else {}
    choices = [
        _choice(index, piece, None)
        for row in zip_longest(*(answer.split(text) for text in answer.texts))
        for index, piece in enumerate(row)
        if piece is not None
    ]
    choices += [_choice(index, "", answer.finish_reason) for index in range(len(answer.texts))]
    body = [Event({**head, "choices": [choice], **silent}) for choice in choices]
    if last:
        body.append(Event({**head, "choices": [], "usage": completion_usage(answer.usage)}))
    return [*body, DONE]


def _choice(index: int, text: str, reason: str | None) -> JsonObject:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _head(answer: Answer) -> JsonObject:
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_70ke27a11",
    }
