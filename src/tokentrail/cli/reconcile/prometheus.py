"""Recorded telemetry, read from Prometheus or from a store with the same API."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.error import HTTPError
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tokentrail.cli.command import CommandError
from tokentrail.cli.promql_rules import COST, promql_name
from tokentrail.cli.reconcile.counters import Growth, gaps
from tokentrail.cli.reconcile.facts import DAY, Days, Key, Recorded, is_url
from tokentrail.model.records import Outcome
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from tokentrail.cli.reconcile.counters import Labels

_TIMEOUT: Final = 120.0
_HOURS: Final = 3600
_UNNAMED: Final = "(no model)"


TOKENS: Final = f"{promql_name(semconv.USAGE_TOKENS)}_total"
CALLS: Final = f"{promql_name(semconv.OPERATIONS)}_total"
TOOLS: Final = "tokentrail_tool_requests_total"
_DURATIONS: Final = '{__name__=~"gen_ai_client_(operation|inference)_duration_seconds_count"'
_MODEL: Final = promql_name(semconv.REQUEST_MODEL)
_ANSWERED: Final = promql_name(semconv.RESPONSE_MODEL)
_DIRECTION: Final = promql_name(semconv.TOKEN_TYPE)
_SOURCE: Final = promql_name(semconv.SOURCE)
_OUTCOME: Final = promql_name(semconv.OUTCOME)


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: only the named host is asked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return None: do not follow."""


class Prometheus:
    """Asks the HTTP API below a URL, which may have ``user:password@`` before its host."""

    def __init__(self, url: str) -> None:
        if not is_url(url):
            message = "--prometheus is not a URL: write it like http://localhost:9090"
            raise CommandError(message, code=2)
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        self._url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if at:
            secret = base64.b64encode(unquote(user).encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"
        self._open = build_opener(_NoRedirect()).open

    def query(self, expr: str, at: int) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        body = urlencode({"query": expr, "time": at}).encode()
        request = Request(f"{self._url}/api/v1/query", body, self._headers)  # noqa: S310 - checked above
        try:
            with self._open(request, timeout=_TIMEOUT) as answer:
                answered = json.load(answer)
        except HTTPError as error:
            self._fail(f"HTTP {error.code}: {_reason(error)}")
        except (OSError, HTTPException, ValueError) as error:
            self._fail(str(error) or type(error).__name__)
        try:
            if answered["status"] != "success" or answered.get("warnings"):
                self._fail(str(answered.get("error") or answered.get("warnings")))
            result: list[dict[str, Any]] = answered["data"]["result"]
        except (KeyError, TypeError, AttributeError):
            self._fail("it does not answer as Prometheus does")
        return result

    def _fail(self, why: str) -> NoReturn:
        message = f"--prometheus {self._url}: {why}"
        raise CommandError(message, code=2) from None


def _reason(error: HTTPError) -> str:
    """Return Prometheus' own error message, for example about an expression."""
    with error:
        try:
            return str(json.load(error)["error"])
        except (OSError, ValueError, KeyError, TypeError):
            return error.reason


def recorded(prometheus: Prometheus, days: Days, selector: str, provider: str | None) -> Recorded:
    """Return the telemetry of these days.

    Args:
        prometheus: Its API.
        days: Whole days of UTC.
        selector: Matchers of PromQL, which every series must have.
        provider: The provider that was billed, by ``gen_ai.provider.name``; None for all.
    """
    matchers = _matchers(selector, provider)
    times: set[float] = set()
    tokens = _growth(prometheus, TOKENS, matchers, days, times)
    if not tokens.grown:
        message = (
            f"{TOKENS}{{{matchers}}} has no sample in these days: nothing can be compared."
            " Name the right Prometheus and --selector"
        )
        raise CommandError(message, code=2)
    by_source: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    failed: Counter[Key] = Counter()
    for labels, number in _by_labels(tokens):
        key = Key(labels.get(_MODEL, _UNNAMED), labels.get(_DIRECTION, ""))
        by_source[key][labels.get(_SOURCE, "")] += number  # type: ignore[assignment] # floats
        if labels.get(_OUTCOME) == Outcome.FAILED.value:
            failed[key] += number  # type: ignore[assignment] # floats
    return Recorded(
        tokens={key: dict(sources) for key, sources in by_source.items() if any(sources.values())},
        failed=dict(failed),
        requests=_sums(_growth(prometheus, CALLS, matchers, days), _MODEL),
        tools=_sums(_growth(prometheus, TOOLS, matchers, days), "tokentrail_tool_name"),
        answered=_answered(prometheus, matchers, days),
        gaps=tuple(gaps(times, days.start, days.end)),
        starts=len(tokens.starts),
        cost_usd=_cost(prometheus, matchers, days),
    )


def _matchers(selector: str, provider: str | None) -> str:
    own = selector.strip()
    if own.startswith("{") and own.endswith("}"):
        own = own[1:-1].strip()
    of_provider = f'{promql_name(semconv.PROVIDER_NAME)}="{provider}"' if provider else ""
    return ",".join(filter(None, (own.rstrip(", "), of_provider)))


def _growth(
    prometheus: Prometheus,
    metric: str,
    matchers: str,
    days: Days,
    times: set[float] | None = None,
) -> Growth:
    """Return the increase of a counter's series, hour by hour: stores limit the samples of a query.

    ``times`` takes the times of all samples.
    """
    growth, series = Growth(), f"{metric}{{{matchers}}}"
    before = prometheus.query(f"last_over_time({series}[{DAY}s])", days.start)
    for one in before:
        growth.begin(_labels(one), float(one["value"][1]))
    for hour in range(days.start + _HOURS, days.end + 1, _HOURS):
        found = [
            (_labels(one), [(float(time), float(value)) for time, value in one["values"]])
            for one in prometheus.query(f"{series}[{_HOURS}s]", hour)
        ]
        for labels, samples in found:
            growth.add(labels, samples)
            if times is not None:
                times.update(time for time, _ in samples)
        growth.known(labels for labels, _ in found)
    return growth


def _labels(one: dict[str, Any]) -> Labels:
    return tuple(sorted((k, v) for k, v in one["metric"].items() if k != "__name__"))


def _by_labels(growth: Growth) -> list[tuple[dict[str, str], float]]:
    return [(dict(labels), number) for labels, number in growth.grown.items()]


def _sums(growth: Growth, label: str) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for labels, number in _by_labels(growth):
        sums[labels.get(label, _UNNAMED)] += number  # type: ignore[assignment] # floats
    return {name: number for name, number in sums.items() if number}


def _answered(prometheus: Prometheus, matchers: str, days: Days) -> frozenset[tuple[str, str]]:
    """Return requested and answered models, of the conventional metrics."""
    series = f"{_DURATIONS}{',' if matchers else ''}{matchers}}}"
    of = f"group by ({_MODEL},{_ANSWERED}) (last_over_time({series}[{DAY}s]))"
    pairs = {
        (one["metric"].get(_MODEL), one["metric"].get(_ANSWERED))
        for day in range(days.start + DAY, days.end + 1, DAY)
        for one in prometheus.query(of, day)
    }
    return frozenset((asked, answered) for asked, answered in pairs if asked and answered)


def _cost(prometheus: Prometheus, matchers: str, days: Days) -> dict[str, float]:
    """Return USD by model, if the rules of ``tokentrail prices`` record it."""
    series = f"{COST}{{{matchers}}}"
    cost: Counter[str] = Counter()
    for day in range(days.start + DAY, days.end + 1, DAY):
        # Each sample counts for the step until the next: the subquery gives the steps, and a series
        # that has ended adds nothing more.
        for one in prometheus.query(
            f"sum by ({_MODEL}) (sum_over_time({series}[{DAY}s:1m])) * 60", day
        ):
            cost[one["metric"].get(_MODEL, _UNNAMED)] += float(one["value"][1])  # type: ignore[assignment] # floats
    return dict(cost)
