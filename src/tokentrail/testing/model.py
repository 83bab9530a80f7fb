"""A stand-in for OpenAI and Azure OpenAI: it routes, checks keys and answers as a model would."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.testing import others
from tokentrail.testing.ask import Ask, prompts, read
from tokentrail.testing.exchanges import EXCHANGES, Exchange, answering
from tokentrail.testing.payloads import (
    Answer,
    ToolCall,
    Usage,
    batches,
    chat,
    completions,
    embeddings,
    errors,
    judgements,
    paced,
    pieces,
    responses,
)
from tokentrail.testing.replies import Call, Event, JsonObject, Plain, Reply, Stream, as_json
from tokentrail.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODELS: Mapping[str, str] = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-0613": "gpt-3.5-turbo-0613",
    "gpt-35-turbo": "gpt-35-turbo",
    "gpt-3.5-turbo-instruct": "gpt-3.5-turbo-instruct:20230824-v2",
    "gpt-4": "gpt-4-0613",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "o3": "o3-2025-04-16",
    "o4-mini": "o4-mini-2025-04-16",
    "text-embedding-3-small": "text-embedding-3-small",
    "text-embedding-3-large": "text-embedding-3-large",
    "gpt-image-1": "gpt-image-1",
    "dall-e-2": "dall-e-2",
    "gpt-4o-transcribe": "gpt-4o-transcribe",
    "whisper-1": "whisper-1",
    "gpt-4o-mini-tts": "gpt-4o-mini-tts",
    "omni-moderation-latest": "omni-moderation-2024-09-26",
    "gpt-6-luna": "gpt-6-luna",
}
"""The models that exist, and the names under which they answer."""

_PATH = re.compile(
    r"(?P<azure>/openai)?(?:/v1|/deployments/(?P<deployment>[^/]+))?"
    r"/(?P<api>chat/completions|completions|responses(?:/compact|/input_tokens)?|embeddings|"
    r"images/(?:generations|edits|variations)|audio/(?:transcriptions|translations|speech)|"
    r"moderations|decisions)"
    r"(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?"
)
_SEARCH = re.compile(r"(?:/openai)?(?:/v1)?/vector_stores/[^/]+/search")
_BATCH = re.compile(r"(?:/openai)?(?:/v1)?/batches/(?P<id>[^/]+)")
_DIMENSIONS = {"text-embedding-3-large": 3072}
_REASONING = re.compile(r"o\d|gpt-5")
_THOUGHT = 192
_KEPT = 64
_COMPACTED = 24
_CALLED = 7
"""What OpenAI bills for a tool call besides its name and arguments: docs/accuracy.md."""
_UNNAMED = {
    "responses/input_tokens": "gpt-4o-mini",
    "images/variations": "dall-e-2",
    "moderations": "omni-moderation-latest",
}
"""Paths that need no model."""


class Model:
    """Answers calls from a few texts of its own; make a ``Server(Model())`` of it.

    ``delay`` seconds pass before each event of a stream, ``wait`` before any answer. With an
    ``api_key``, another key is refused. ``models`` adds to :data:`MODELS`; ``deployments`` adds
    those of Azure. Usage is exact for its own exchanges, and roughly right for anything else.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        wait: float = 0.0,
        api_key: str | None = None,
        exchanges: Sequence[Exchange] = EXCHANGES,
        models: Mapping[str, str] | None = None,
        deployments: Mapping[str, str] | None = None,
    ) -> None:
        self._delay, self._wait = delay, wait
        self._api_key = api_key
        self._exchanges = exchanges
        self._models = {**MODELS, **(models or {})}
        self._deployments = deployments or {}
        self._kept: dict[str, Answer] = {}
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        """Return the reply to a call."""
        path = _PATH.fullmatch(call.path)
        if path is None:
            return self._other(call)
        if (refused := self._refusal(call)) is not None:
            return refused
        if path["id"]:
            return self._again(call, path["id"], cancel=path["cancel"] is not None)
        azure = path["azure"] is not None
        asked = others.form(call).get("model") or _UNNAMED.get(path["api"], "")
        name = path["deployment"] or str(asked)
        model = self._model(name, azure=azure)
        if model is None:
            return errors.deployment_not_found() if azure else errors.model_not_found(name)
        return self._answer(call, path["api"], model, azure=azure)

    def _other(self, call: Call) -> Reply:
        """Return the reply to a call that generates nothing."""
        batch = _BATCH.fullmatch(call.path) if call.method == "GET" else None
        if _SEARCH.fullmatch(call.path):
            body = _found(call.body)
        elif batch is not None:
            body = batches.finished(batch["id"])
        else:
            return errors.reply(404, f"Invalid URL ({call.method} {call.path})")
        return self._refusal(call) or Plain(body, wait=self._wait)

    def _refusal(self, call: Call) -> Plain | None:
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
        key = call.headers.get("api-key") or bearer
        return errors.wrong_key(key) if self._api_key not in (None, key) else None

    def _model(self, name: str, *, azure: bool) -> str | None:
        name = self._deployments.get(name, name) if azure else name
        return self._models.get(name, name if name in self._models.values() else None)

    def _answer(self, call: Call, api: str, model: str, *, azure: bool) -> Reply:
        body = call.body
        if api in others.OTHERS:
            return self._shown(call, api, model)
        if api == "embeddings":
            return Plain(_embeddings(body, model), wait=self._wait)
        ask = read(body, model)
        if api == "completions":
            answer = self._completed(ask, prompts(body.get("prompt")))
            events = completions.events
            whole = completions.completion
        elif api.startswith("responses"):
            return self._responded(ask, api, background=body.get("background") is True)
        else:
            answer = replace(self._written(ask), azure=azure)
            events, whole = chat.chunks, chat.completion
        return self._reply(
            ask, events(answer, "last" if ask.include_usage else "none"), whole(answer)
        )

    def _shown(self, call: Call, api: str, model: str) -> Reply:
        """Return an answer that is not text."""
        asked = others.form(call)
        answer = others.shown(api, asked, model)
        if asked.get("stream") and answer.events:
            return Stream(paced(answer.events, self._delay), wait=self._wait)
        return Plain(answer.whole, wait=self._wait)

    def _responded(self, ask: Ask, api: str, *, background: bool) -> Reply:
        """Return the answer of one of the paths of the Responses API."""
        if api == "responses/input_tokens":
            return Plain(responses.token_count(self._input_tokens(ask)), wait=self._wait)
        if api == "responses/compact":
            usage = Usage(self._input_tokens(ask), _COMPACTED)
            return Plain(
                responses.compaction(Answer(usage=usage, model=ask.model)), wait=self._wait
            )
        answer = self._keep(replace(self._written(ask), background=background))
        status: responses.Status | None = "queued" if background else None
        return self._reply(ask, responses.events(answer), responses.response(answer, status))

    def _reply(self, ask: Ask, events: list[Event], whole: JsonObject) -> Reply:
        if ask.stream:
            return Stream(paced(events, self._delay), wait=self._wait)
        return Plain(whole, wait=self._wait)

    def _written(self, ask: Ask) -> Answer:
        """Return the model's answer to a conversation."""
        thought = _thought(ask)
        answer = Answer(model=ask.model)
        if ask.tool is not None:
            given = ToolCall(ask.tool.name, as_json(sample(ask.tool.parameters)))
            output = len(pieces(given.name)) + len(pieces(given.arguments)) + _CALLED
            answer = replace(answer, tool_calls=(given,))
        else:
            room = None if ask.limit is None else max(0, ask.limit - thought)
            answer, output = _spoken(answer, ask, self._exchanges, room)
        used = Usage(self._input_tokens(ask) - (thought > 0), output + thought, reasoning=thought)
        return replace(answer, usage=used)

    def _completed(self, ask: Ask, prompt: tuple[str, ...]) -> Answer:
        """Return the model's completion of each prompt."""
        texts: list[str] = []
        for text in prompt:
            found = answering(text, self._exchanges, ask.choice_count)
            texts += [_cut(exchange.answer, ask.limit) for exchange in found]
        read_tokens = sum(len(pieces(text)) for text in prompt)
        written = sum(len(pieces(text)) for text in texts)
        return Answer(tuple(texts), Usage(read_tokens, written), ask.model)

    def _input_tokens(self, ask: Ask) -> int:
        known = (
            exchange.question_tokens
            for exchange in self._exchanges
            if exchange.question == ask.question and exchange.question_tokens is not None
        )
        return next(known, ask.input_tokens())

    def _keep(self, answer: Answer) -> Answer:
        with self._lock:
            self._kept[f"resp_{answer.id}"] = answer
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return answer

    def _again(self, call: Call, response_id: str, *, cancel: bool = False) -> Reply:
        answer = self._kept.get(response_id)
        if answer is None:
            return errors.reply(404, f"Response with id '{response_id}' not found.")
        if cancel:
            if not answer.background:
                return errors.reply(400, "Cannot cancel a synchronous response.")
            return Plain(responses.response(answer, "cancelled"), wait=self._wait)
        if call.query.get("stream") == "true":
            return Stream(paced(responses.events(answer), self._delay), wait=self._wait)
        return Plain(responses.response(answer), wait=self._wait)


def _spoken(
    answer: Answer, ask: Ask, exchanges: Sequence[Exchange], room: int | None
) -> tuple[Answer, int]:
    """Return the answer as text, and its billed tokens."""
    if ask.schema is not None:
        text = as_json(sample(ask.schema))
        return replace(answer, texts=(text,) * ask.choice_count), len(
            pieces(text)
        ) * ask.choice_count
    found = answering(ask.question, exchanges, ask.choice_count)
    texts = tuple(_cut(exchange.answer, room) for exchange in found)
    whole = texts == tuple(exchange.answer for exchange in found)
    billed = sum(
        exchange.answer_tokens if whole and exchange.answer_tokens else len(pieces(text))
        for exchange, text in zip(found, texts, strict=True)
    )
    return replace(answer, texts=texts, finish_reason="stop" if whole else "length"), billed


def _thought(ask: Ask) -> int:
    is_asked_not_to = ask.effort in ("none", "minimal")
    return _THOUGHT if _REASONING.match(ask.model) and not is_asked_not_to else 0


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None else "".join(pieces(text)[:limit])


def _found(body: JsonObject) -> JsonObject:
    limit = body.get("max_num_results")
    query = " ".join(prompts(body.get("query")))
    return judgements.found(query, count=limit if isinstance(limit, int) else 2)


def _embeddings(body: JsonObject, model: str) -> JsonObject:
    inputs = prompts(body.get("input"))
    wanted = body.get("dimensions")
    return embeddings.embeddings(
        inputs,
        model=model,
        tokens=sum(len(pieces(text)) for text in inputs),
        dimensions=wanted if isinstance(wanted, int) else _DIMENSIONS.get(model, 1536),
        as_base64=body.get("encoding_format") == "base64",
    )
