"""The administration API as the client's own types have it, and a Prometheus with planted samples.

No real bill was at hand: fields and pages are those of the types of openai.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.reconcile.conftest import KEY

from tokentrail.testing.payloads import errors
from tokentrail.testing.server import Call, Plain, Reply

types = pytest.importorskip(
    "openai.types.admin.organization.usage_completions_response",
    reason="this release of openai has no administration API",
)
DAY = 86_400
RESULTS = {
    "completions": types.DataResultOrganizationUsageCompletionsResult,
    "embeddings": types.DataResultOrganizationUsageEmbeddingsResult,
    "images": types.DataResultOrganizationUsageImagesResult,
    "audio_speeches": types.DataResultOrganizationUsageAudioSpeechesResult,
    "audio_transcriptions": types.DataResultOrganizationUsageAudioTranscriptionsResult,
    "web_search_calls": getattr(types, "DataResultOrganizationUsageWebSearchesResult", None),
    "file_search_calls": getattr(types, "DataResultOrganizationUsageFileSearchesResult", None),
    "code_interpreter_sessions": types.DataResultOrganizationUsageCodeInterpreterSessionsResult,
    "costs": types.DataResultOrganizationCostsResult,
}


def completions(model: str, read: int, written: int, calls: int = 1, **more: Any) -> Any:
    """Return a result of a day."""
    numbers = {"input_tokens": read, "output_tokens": written, "num_model_requests": calls}
    return "completions", {"model": model, **numbers, **more}


@dataclass
class Billing:
    """Answers for an organization: ``days`` has the results of each, by the second it begins at.

    A page has two days. ``trouble`` is asked before each answer, with the number of the request.
    """

    days: dict[int, list[tuple[str, dict[str, Any]]]]
    trouble: dict[int, Reply] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call) -> Reply:
        """Return a page, if the key is right."""
        self.calls.append(call)
        name = call.path.rpartition("/")[2]
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return errors.reply(401, f"Incorrect API key: {call.headers.get('authorization')}")
        if len(self.calls) in self.trouble:
            return self.trouble[len(self.calls)]
        start, end = int(call.query["start_time"]), int(call.query["end_time"])
        first = int(call.query.get("page", start))
        buckets = [self._bucket(name, day) for day in range(first, min(first + 2 * DAY, end), DAY)]
        following = first + 2 * DAY
        more = following < end
        page = types.UsageCompletionsResponse(
            data=buckets, has_more=more, next_page=str(following) if more else None, object="page"
        )
        return Plain(page.model_dump(mode="json"))

    def _bucket(self, name: str, day: int) -> Any:
        kind = RESULTS[name]
        value = kind.model_fields["object"].annotation.__args__[0]
        results = [
            kind(object=value, **fields) for of, fields in self.days.get(day, []) if of == name
        ]
        return types.Data(start_time=day, end_time=day + DAY, object="bucket", results=results)


@dataclass
class Store:
    """Answers the queries of the command, of planted series: a name, labels, and samples."""

    series: list[tuple[str, dict[str, str], list[tuple[int, float]]]]
    failing: Reply | None = None
    queries: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> Reply:
        """Return the samples within the range of a query."""
        if self.failing is not None:
            return self.failing
        asked = parse_qs(call.content.decode())
        query, at = asked["query"][0], int(asked["time"][0])
        self.queries.append(query)
        span = int(re.search(r"\[(\d+)s", query)[1])
        result = []
        for name, labels, samples in self.series:
            within = [[time, str(value)] for time, value in samples if at - span < time <= at]
            if not within or not re.search(rf"\b{name}\b", _spelled(query)):
                continue
            values = {"value": within[-1]} if "(" in query else {"values": within}
            result.append({"metric": {"__name__": name, **labels}, **values})
        return Plain({"status": "success", "data": {"result": result}})


def _spelled(query: str) -> str:
    names = "gen_ai_client_operation_duration_seconds_count"
    return query.replace("gen_ai_client_(operation|inference)_duration_seconds_count", names)
