"""Exchanges replayed offline: counted as a call is, and compared with what was billed."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.completions.adapter import CompletionsAdapter
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.counting import ENCODINGS, InputTally, OutputTally
from tokentrail.model.records import Endpoint, Prompt
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.counting import Part
    from tokentrail.model.records import Request, Response

    Exchange = Mapping[str, Any]
    """A line of JSON: see `docs/check-counts.md`."""

ADAPTERS: Final[dict[str, Any]] = {
    "chat": ChatAdapter(),
    "responses": ResponsesAdapter(),
    "completions": CompletionsAdapter(),
    "embeddings": EmbeddingsAdapter(),
}
_DEPLOYMENT: Final = re.compile(r"/deployments/([^/]+)/")


@dataclass(frozen=True)
class Counted:
    """One direction of one exchange: the billed tokens, and the parts of the count."""

    id: str
    project: str
    month: str
    direction: str
    billed: int
    parts: tuple[Part, ...]
    measured: bool
    source: str
    model: str
    kind: str = ""
    """API, and what the request contains besides text."""

    @property
    def tokens(self) -> int:
        """Counted tokens."""
        return sum(part.tokens for part in self.parts)

    @property
    def right(self) -> bool:
        """Whether that equals what was billed."""
        return self.tokens == self.billed

    @property
    def far(self) -> bool:
        """Whether it is more than a tenth off."""
        return abs(self.tokens - self.billed) > self.billed / 10

    @property
    def rules(self) -> set[str]:
        """The names of the rules."""
        return {part.rule.value for part in self.parts}


def lines(path: str) -> Iterator[str]:
    """Yield the lines of a file, gzip or plain."""
    if path.endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8") as packed:
            yield from packed
    else:
        with Path(path).open(encoding="utf-8") as plain:
            yield from plain


def exchange_of(line: str) -> Exchange:
    """Return the exchange that a line holds.

    Raises ValueError for anything else; it names what is missing.
    """
    given = json.loads(line)
    _require(isinstance(given, dict), "it is not an object")
    _require(isinstance(given.get("request"), dict), "it has no request")
    _require(isinstance(given.get("response"), (dict, list)), "it has no response")
    _require(api_of(given) in ADAPTERS, "its request belongs to no API that is counted")
    _require(usage_of(given), "it has no usage")
    exchange: Exchange = given
    return exchange


def _require(found: object, complaint: str) -> None:
    if not found:
        raise ValueError(complaint)


def api_of(exchange: Exchange) -> str:
    """Return "chat", "responses", "completions" or "embeddings"; "" for anything else."""
    named = exchange.get("api")
    if isinstance(named, str):
        return named
    request, response = exchange["request"], exchange["response"]
    if "messages" in request:
        return "chat"
    if isinstance(response, dict) and response.get("object") == "list":
        return "embeddings"
    if isinstance(request.get("prompt"), (str, list)):
        return "completions"
    return "responses" if "input" in request or "prompt" in request else ""


def usage_of(exchange: Exchange) -> Exchange:
    """Return the billed usage: as given, else as in the answer or at the end of its stream."""
    for name in ("usage", "response_usage"):
        if isinstance(exchange.get(name), dict):
            return dict(exchange[name])
    answer = exchange.get("response")
    for chunk in reversed(answer) if isinstance(answer, list) else [answer]:
        for holder in (chunk, chunk.get("response") if isinstance(chunk, dict) else None):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                return dict(holder["usage"])
    return {}


def replay(exchange: Exchange) -> Iterator[Counted]:
    """Count both directions of an exchange, as far as they were billed and can be counted."""
    adapter, usage = ADAPTERS.get(api_of(exchange)), usage_of(exchange)
    if adapter is None:
        return
    request = _request(adapter, exchange)
    tally = OutputTally()
    response = _response(adapter, exchange, request, tally)
    model = resolve.identify(request.model, response.model, None, {})
    encoding, prompt = ENCODINGS.load(model.encoding), request.prompt or Prompt()
    billed = billed_input(usage), billed_output(usage)
    made = resolve.input_tally(prompt, response)
    if billed[0] and not prompt.unknowable:
        for _ in made.steps(encoding, model.name):
            pass
        yield _counted(exchange, request, model, made, billed[0], output=False)
    if billed[1] and resolve.shows_output(request):
        tally.surcharges = resolve.surcharges(request, prompt, response, model)
        for _ in tally.steps(encoding):
            pass
        yield _counted(exchange, request, model, tally, billed[1], output=True)


def billed_input(usage: Exchange) -> int | None:
    """Return the input that was billed."""
    return _number(usage.get("prompt_tokens", usage.get("input_tokens")))


def billed_output(usage: Exchange) -> int | None:
    """Return the billed output, including reasoning reported outside ``completion_tokens``."""
    made = _number(usage.get("completion_tokens", usage.get("output_tokens")))
    total, given = _number(usage.get("total_tokens")), billed_input(usage)
    if made is not None and total is not None and given is not None and total > given + made:
        return total - given
    return made


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _request(
    adapter: Any,
    exchange: Exchange,
) -> Request:
    arguments, host = dict(exchange["request"]), exchange.get("host") or ""
    found = _DEPLOYMENT.search(exchange.get("url_path") or "")
    if found and not arguments.get("model"):
        arguments["model"] = found[1]
    provider = "azure.ai.openai" if "azure" in host else "openai"
    read: Request = adapter.parse_request(Endpoint(provider, host, 443, host), arguments)
    return read


def _response(
    adapter: Any,
    exchange: Exchange,
    request: Request,
    tally: OutputTally,
) -> Response:
    answer = exchange.get("response")
    read: Response
    if not isinstance(answer, list):
        read = adapter.parse_response(answer or {}, tally)
        return read
    accumulator = adapter.stream_accumulator(request, tally)
    for chunk in answer:
        accumulator.add(chunk)
    read = accumulator.response()
    return read


def _counted(
    exchange: Exchange,
    request: Request,
    model: resolve.Model,
    tally: InputTally | OutputTally,
    billed: int,
    *,
    output: bool,
) -> Counted:
    count = resolve.to_count(request, model, tally, output=output)
    return Counted(
        id=str(exchange.get("id")),
        project=str(exchange.get("repo")),
        month=str(exchange.get("when"))[:7],
        direction="output" if output else "input",
        billed=billed,
        parts=tally.parts,
        measured=tally.measured and model.known and not (output and request.inexact_output),
        source=count.source.value if count is not None else "absent",
        model=model.name,
        kind=f"{api_of(exchange)} {_kind(request.prompt or Prompt())}",
    )


def _kind(prompt: Prompt) -> str:
    messages = prompt.messages
    parts = {
        "hosted tools": prompt.hosted_tools,
        "tools": bool(prompt.tools),
        "calls": any(message.tool_calls or message.function_call for message in messages),
        "schema": prompt.schema is not None,
        "images": any(message.images for message in messages),
        "files": any(message.files for message in messages),
    }
    return ", ".join(name for name, is_there in parts.items() if is_there) or "text"
