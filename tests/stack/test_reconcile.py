"""``tokentrail reconcile`` on a real Prometheus, of known calls that are dated yesterday."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from urllib.request import ProxyHandler, Request, build_opener

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from tests.dashboards.server import Queries, free_port
from tests.reconcile.conftest import reconcile  # noqa: F401 - a fixture
from tests.reconcile.imitation import DAY, Billing, completions
from tests.waiting import wait_until

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Cut, Plain, Server, Stream

_encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.metrics_encoder")
_service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
ALIAS, DATED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"
READ, WRITTEN = 1000, 40
WORDS = "The sea is old and wide."
QUESTION = [{"role": "user", "content": "How is the sea?"}]
_open = build_opener(ProxyHandler({})).open


def _respond(call):
    model = call.body["model"]
    if model == "o4-mini":  # a stream that breaks: what was seen of it is counted
        events = chat.chunks(Answer((WORDS,), None, model), "none")
        return Stream([*events[:-1], Cut()])
    return Plain(chat.completion(Answer((WORDS,), Usage(READ, WRITTEN), DATED)))


class Process:
    """A process of an application, whose metrics are exported at a time of one's choice."""

    def __init__(self, number: int, url: str, prometheus: Queries) -> None:
        self._reader = InMemoryMetricReader()
        instance = {"service.name": "shop", "service.instance.id": str(number)}
        self._provider = MeterProvider([self._reader], resource=Resource(instance))
        self._url, self._prometheus = url, prometheus

    @contextmanager
    def calling(self):
        """Give what makes calls."""
        tokentrail.instrument(meter_provider=self._provider)
        client = openai.OpenAI(base_url=f"{self._url}/v1", api_key="no-secret", max_retries=0)
        try:
            with client:
                yield client
        finally:
            tokentrail.flush()
            tokentrail.uninstrument()

    def export(self, at: int) -> None:
        """Send all metrics by OTLP, as collected ``at`` seconds since the epoch."""
        request = _encoder.encode_metrics(self._reader.get_metrics_data())
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        point.time_unix_nano = at * 10**9
                        point.start_time_unix_nano = (at - 60) * 10**9
                        if hasattr(point, "exemplars"):
                            del point.exemplars[:]
        send(request, self._prometheus)


def send(metrics, prometheus: Queries) -> None:
    """Send an export request by OTLP."""
    kind = {"Content-Type": "application/x-protobuf"}
    url = f"{prometheus.url}/api/v1/otlp/v1/metrics"
    with _open(Request(url, metrics.SerializeToString(), kind), timeout=10) as answer:  # noqa: S310 - of this machine
        assert answer.status == 200


@pytest.fixture
def prometheus(engines, tmp_path):
    """Give a Prometheus that takes samples of yesterday."""
    config = tmp_path / "prometheus.yml"
    config.write_text(
        json.dumps({"storage": {"tsdb": {"out_of_order_time_window": "30d"}}}), "utf-8"
    )
    port = free_port()
    command = [
        str(engines.absolute() / "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-otlp-receiver",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            queries = Queries(f"http://127.0.0.1:{port}")
            wait_until(lambda: _is_ready(queries.url), "Prometheus is ready")
            yield queries
        finally:
            process.terminate()
            process.wait(20)


def _is_ready(url):
    try:
        with _open(f"{url}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _yesterday():
    """Return the day, and the second at which it begins."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    start = datetime.combine(yesterday, datetime.min.time(), timezone.utc)
    return yesterday, int(start.timestamp())


def test_planted_differences_are_found_and_nothing_else(prometheus, reconcile):  # noqa: F811 - the fixture above
    """Two processes: 3 and 2 calls answered by a dated model, and a stream that broke.

    The first process exports before its day begins, twice in it and once after it.
    """
    yesterday, start = _yesterday()
    with Server(_respond) as server:
        first, second = Process(1, server.url, prometheus), Process(2, server.url, prometheus)
        for at, calls in ((-30, 4), (3600, 1), (3660, 2), (DAY + 30, 7)):
            with first.calling() as client:
                for _ in range(calls):
                    client.chat.completions.create(model=ALIAS, messages=QUESTION)
            first.export(start + at)
        with second.calling() as client:
            for _ in range(2):
                client.chat.completions.create(model=ALIAS, messages=QUESTION)
            with pytest.raises(Exception, match=r"."):
                list(
                    client.chat.completions.create(model="o4-mini", messages=QUESTION, stream=True)
                )
        second.export(start + 7200)

    def compared(*results):
        day = ("--from", yesterday, "--to", yesterday, "--prometheus", prometheus.url)
        with Server(Billing({start: list(results)})) as bill:
            code, output, errors = reconcile(*day, "--openai", f"{bill.url}/v1", "--json")
        assert not errors
        return code, json.loads(output)

    thought = completions("o4-mini", 12, 300)
    code, found = compared(completions(DATED, 5 * READ, 5 * WRITTEN, calls=5), thought)
    rows = {(row["model"], row["direction"]): row for row in found["tokens"]}
    assert code == 1
    for direction, number in (("input", 5 * READ), ("output", 5 * WRITTEN)):
        row = rows[ALIAS, direction]
        assert (row["recorded"], row["within"], row["reasons"]) == (number, True, [])
        assert row["sources"] == {"reported": number}
    assert found["names"] == {ALIAS: [ALIAS, DATED]}
    output = rows["o4-mini", "output"]
    assert {reason["code"] for reason in output["reasons"]} == {"visible", "failed"}
    assert output["sources"]["visible"] == output["recorded"] > 0
    requests = {one["model"]: one for one in found["requests"]}
    assert requests[ALIAS] == {"model": ALIAS, "billed": 5, "recorded": 5}
    assert found["starts"] == 1
    assert [gap["start"][11:] for gap in found["gaps"]] == ["00:00:00Z", "01:01:00Z", "02:00:00Z"]

    short = completions(DATED, 6 * READ, 6 * WRITTEN, calls=6)
    code, found = compared(short, completions("gpt-never", 9, 9))
    rows = {(row["model"], row["direction"]): row for row in found["tokens"]}
    assert code == 1
    assert rows[ALIAS, "input"]["difference"] == -READ
    assert rows["gpt-never", "input"]["reasons"][0]["code"] == "never_seen"


def test_the_cost_that_the_price_rules_record_is_summed_up(prometheus, reconcile):  # noqa: F811 - the fixture above
    """A tenth of a cent per second for an hour, in samples a minute apart: 3.60 USD."""
    yesterday, start = _yesterday()
    request = _service.ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    cost = scope.metrics.add(name="tokentrail:cost_usd:rate5m").gauge
    tokens = scope.metrics.add(name="tokentrail.usage.tokens").sum
    tokens.is_monotonic, tokens.aggregation_temporality = True, 2
    labels = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": ALIAS,
        "gen_ai.token.type": "input",
        "tokentrail.usage.source": "reported",
    }
    for minute in range(61):
        for points, value in ((cost.data_points, 0.001), (tokens.data_points, 10.0 * minute)):
            point = points.add(as_double=value, time_unix_nano=(start + 3600 + 60 * minute) * 10**9)
            for name, text in labels.items():
                point.attributes.add(key=name).value.string_value = text
    send(request, prometheus)
    day = ("--from", yesterday, "--to", yesterday, "--prometheus", prometheus.url)
    bill = completions(ALIAS, 600, 0)
    amount = {"line_item": f"{ALIAS}, input", "amount": {"currency": "usd", "value": 3.5}}
    with Server(Billing({start: [bill, ("costs", amount)]})) as billing:
        code, output, _ = reconcile(*day, "--openai", f"{billing.url}/v1", "--json")
    found = json.loads(output)
    assert code == 0
    assert found["cost"] == {"USD": {f"{ALIAS}, input": 3.5}}
    # A series that ends without a mark of its end counts for up to five minutes more.
    assert 3.6 <= found["cost_recorded_usd"][ALIAS] <= 3.96
