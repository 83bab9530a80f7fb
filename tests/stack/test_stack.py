"""The stack of examples/observability as its real programs run it: `make verify-stack`.

Jaeger, the Collector and Prometheus are built from their modules and started with the files that
compose mounts; the calls are those of the demo, of a load, and of a program behind the gateway.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections import Counter
from urllib.parse import unquote

import pytest
from tests.dashboards.shipped import BOARDS, filled, panels
from tests.stack.calls import asked
from tests.stack.conftest import CALLS, KEPT, OF_EACH, OTHERS, ROUNDS
from tests.stack.test_searches import searches
from tests.waiting import wait_until
from tools.stack.fleet import agent_of_one_gateway
from tools.stack.programs import FILES, open_url

from tokentrail.model.records import Source
from tokentrail.telemetry import semconv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKENS = {
    "input": (semconv.INPUT_TOKENS, semconv.APPROXIMATED_INPUT),
    "output": (semconv.OUTPUT_TOKENS, semconv.VISIBLE_OUTPUT, semconv.APPROXIMATED_OUTPUT),
}
"""Where the tokens of a direction stand on a span, whatever they are worth: one of these."""


def _calls(spans):
    return [span for span in spans if semconv.OUTCOME in span.attributes]


def _value(seen, query):
    """Return the only value of a query, 0 where there is none."""
    return sum(seen.prometheus.values(query, time.time()).values())


@pytest.mark.parametrize("config", ["collector.yaml", "gateway/gateway.yaml", "gateway/agent.yaml"])
def test_the_collector_finds_every_setting_valid(engines, tmp_path, config):
    """Of agent.yaml with its exporter of whole traces replaced: that one cannot be built here."""
    path = FILES / config
    if config.endswith("agent.yaml"):
        path = tmp_path / "agent.yaml"
        path.write_text(json.dumps(agent_of_one_gateway("127.0.0.1:4317")), "utf-8")
    done = _validate(engines, path)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr + done.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(path.read_text("utf-8").replace("check_interval", "check_intervall"), "utf-8")
    assert _validate(engines, wrong).returncode == 1


def _validate(engines, path):
    command = [engines.absolute() / "collector", "validate", "--config", path]
    variables = {"TRACES": "127.0.0.1:4317", "METRICS": "http://127.0.0.1:1", "HOSTNAME": "one"}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


# Nothing lost ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spans(seen):
    """Give the calls of the load, once there are as many as were made."""
    found = wait_until(
        lambda: len(calls := _calls(seen.jaeger.spans("load"))) >= ROUNDS * CALLS and calls,
        f"{ROUNDS * CALLS} calls in Jaeger",
    )
    wait_until(
        lambda: _value(seen, 'sum(tokentrail_operations_total{job="load"})') >= ROUNDS * CALLS,
        f"{ROUNDS * CALLS} calls in Prometheus",
    )
    return found


def test_a_collector_that_restarts_and_a_process_that_exits_lose_no_call(seen, spans):
    assert len(spans) == len({span.id for span in spans}) == ROUNDS * CALLS
    assert _value(seen, 'sum(tokentrail_operations_total{job="load"})') == ROUNDS * CALLS


def test_tokens_by_source_are_the_same_in_jaeger_in_prometheus_and_at_the_server(seen, spans):
    in_jaeger = Counter()
    for span in spans:
        for kind, places in TOKENS.items():
            source = span.attributes.get(f"tokentrail.usage.{kind}.source")
            number = next((span.attributes[p] for p in places if p in span.attributes), 0)
            if source is not None:
                in_jaeger[kind, source] += number
    by = "gen_ai_token_type, tokentrail_usage_source"
    query = f'sum by ({by}) (tokentrail_usage_tokens_total{{job="load"}})'
    in_prometheus = {
        tuple(dict(labels)[name] for name in by.split(", ")): value
        for labels, value in seen.prometheus.values(query, time.time()).items()
    }
    assert in_jaeger == in_prometheus
    sources = {source for _, source in in_jaeger}
    # until the encoding is built, the first of a process may be approximated
    assert {"reported", "counted", "visible"} <= sources <= {*Source}
    reported = {kind: in_jaeger[kind, "reported"] for kind in TOKENS}
    assert reported == seen.provider.reported()


# What the README says one sees -------------------------------------------------------------------


@pytest.mark.parametrize("tags", [tags for tags, _ in searches()], ids=str)
def test_each_search_of_the_readme_finds_some_calls_of_the_demo_and_not_all(seen, tags):
    def marked(spans):
        return [span for span in spans if tags.items() <= span.attributes.items()]

    found = wait_until(lambda: marked(seen.jaeger.spans("demo", tags)), f"a span with {tags}")
    assert len(found) < len(_calls(seen.jaeger.spans("demo")))
    traces = {span.trace for span in found}
    assert {span.trace for span in seen.jaeger.spans("demo", tags)} >= traces


def test_both_apis_of_jaeger_have_the_same_spans(seen, spans):
    """The newer one is all that Jaeger's main has since August 2026."""

    def own(found):
        return {
            (span.trace, span.id, span.parent, span.name, span.attributes[semconv.OUTCOME])
            for span in _calls(found)
        }

    assert own(seen.jaeger.spans_by_v3("load")) == own(seen.jaeger.spans_by_v1("load"))
    tags = {semconv.REQUEST_MODEL: "o4-mini"}
    found = own(seen.jaeger.spans_by_v3("load", tags))
    assert found == own(seen.jaeger.spans_by_v1("load", tags))
    assert len(found) == ROUNDS


def test_calls_lie_under_the_spans_of_the_application(seen):
    spans = {span.id: span for span in seen.jaeger.spans("demo")}
    calls = _calls(spans.values())
    assert calls
    for call in calls:
        assert spans[call.parent].name.startswith("POST /")


def test_jaeger_sends_the_links_of_the_stack_to_its_page(seen):
    with open_url(f"{seen.stack.jaeger_url}/search", timeout=10) as said:
        page = said.read().decode()
    links = json.loads((FILES / "jaeger-ui.json").read_text("utf-8"))["linkPatterns"]
    (config,) = (line for line in page.splitlines() if line.startswith("JAEGER_CONFIG = "))
    assert json.loads(config.partition(" = ")[2].rstrip(";"))["linkPatterns"] == links


@pytest.mark.parametrize("what", ["calls", "latencies"])
@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        ("client", {"chat gpt-4o-mini", "chat gpt-4.1", "chat o4-mini", "chat gpt-nought"}),
        ("server", {"POST /plain", "POST /tool-call", "POST /unknown-model"}),
    ],
)
def test_the_monitor_tab_has_each_operation(seen, what, kind, operations):
    def shown():
        found = _monitored(seen, what, kind)
        return found.keys() >= operations and all(found[name] for name in operations)

    wait_until(shown, f"{what} of {operations}")


def test_the_monitor_tab_has_the_errors_of_what_failed_and_of_nothing_else(seen):
    """Of calls: the spans of the demo's own routes are no errors."""
    failed = wait_until(lambda: _monitored(seen, "errors", "client"), "errors in the Monitor tab")
    assert {name for name, share in failed.items() if share} == {"chat gpt-nought"}
    assert not any(_monitored(seen, "errors", "server").values())


def _monitored(seen, what, kind):
    """Return the greatest value of each operation of the demo in the last ten minutes."""
    asked = {
        "service": "demo",
        "spanKind": kind,
        "groupByOperation": "true",
        "endTs": int(time.time() * 1000),
        "lookback": 600_000,
        "step": 5_000,
        "ratePer": 60_000,
        **({"quantile": 0.95} if what == "latencies" else {}),
    }
    found = {}
    for series in seen.jaeger.ask(f"metrics/{what}", **asked)["metrics"]:
        (name,) = (each["value"] for each in series["labels"] if each["name"] == "operation")
        values = [float(p["gaugeValue"]["doubleValue"]) for p in series["metricPoints"]]
        found[name] = max((value for value in values if not math.isnan(value)), default=0.0)
    return found


ASKED = [
    pytest.param(service, target, id=f"{target.panel}-{target.letter}")
    for service, target in asked()
]
OF_DEMO = [target for service, target in asked() if service == "demo"]


@pytest.mark.parametrize(("service", "target"), ASKED)
def test_every_query_of_the_dashboards_is_answered_by_what_came_by_otlp(seen, service, target):
    query = filled(target.expr, service=service)
    wait_until(lambda: seen.prometheus.values(query, time.time()), query)


@pytest.mark.parametrize("target", [t for t in OF_DEMO if t.exemplar], ids=lambda t: str(t.key))
def test_exemplars_lead_to_traces_in_jaeger(seen, target):
    query = filled(target.expr, service="demo")

    def exemplars():
        now = time.time()
        found = seen.prometheus.ask("query_exemplars", query=query, start=now - 300, end=now)
        return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}

    ids = wait_until(exemplars, f"an exemplar of {query}")
    traces = {span.trace for span in seen.jaeger.spans("demo")}
    assert len(ids - traces) <= len(ids) / 2, "the newest may be under way"


@pytest.mark.parametrize(
    ("panel", "model"),
    [("Cost per hour by model", "gpt-4.1"), ("Failed calls by model, 15 min", "gpt-nought")],
)
def test_the_link_of_a_panel_finds_its_traces_in_jaeger(seen, panel, model):
    """As Grafana asks Jaeger: tags as JSON, of one service."""
    (found,) = (each for each in panels(BOARDS[0]) if each["title"] == panel)
    (url,) = (
        unquote(each["url"])
        for each in found["fieldConfig"]["defaults"]["links"]
        if "${jaeger}" in each["url"]
    )
    query = json.loads(url.partition("panes=")[2])["traces"]["queries"][0]
    said = query["tags"].replace("${__field.labels.gen_ai_request_model}", model)
    tags = dict(re.findall(r'([\w.]+)="?([^" ]+)"?', said))
    asked = {"service": "demo", "tags": json.dumps(tags), "limit": query["limit"]}
    traces = wait_until(lambda: seen.jaeger.ask("traces", **asked)["data"], f"traces with {tags}")
    for trace in traces:
        of = [
            t["value"]
            for s in trace["spans"]
            for t in s["tags"]
            if t["key"] == semconv.REQUEST_MODEL
        ]
        assert model in of


def test_every_rule_is_healthy(seen):
    def evaluated():
        groups = seen.prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = wait_until(evaluated, "every rule is evaluated")
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {rule["name"] for rule in rules} > {
        "TokentrailCountsDrift",
        "tokentrail:cost_usd:rate5m",
    }


def test_no_alert_is_pending_or_firing_for_a_healthy_demo(seen):
    compared = 'job_model_type:tokentrail_compared_tokens:ratio_rate1h{job="demo"}'
    wait_until(lambda: _value(seen, compared), "counts of the demo are compared")
    for labels, ratio in seen.prometheus.values(compared, time.time()).items():
        assert ratio == pytest.approx(1, abs=0.05), labels
    alerts = [alert["labels"] for alert in seen.prometheus.ask("alerts")["alerts"]]
    # The demo asks for a model that is not there, again and again: of that one the alert is right.
    healthy = [one for one in alerts if one.get("gen_ai_request_model") != "gpt-nought"]
    assert [labels for labels in healthy if labels["job"] == "demo"] == []


def test_only_a_model_that_is_not_there_has_no_price(seen):
    (target,) = (t for t in OF_DEMO if t.panel == "Calls per minute without a price")
    query = filled(target.expr, service="demo")

    def unpriced():
        found = seen.prometheus.values(query, time.time())
        return {dict(labels)["gen_ai_request_model"] for labels in found}

    # The rules of prices are evaluated after the calls that they price have come.
    wait_until(lambda: unpriced() == {"gpt-nought"}, "only gpt-nought has no price")


# The gateway -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(seen):
    """Give how many calls of each kind the gateway kept, after it decided on the last of them."""

    def number(kind):
        return len(_calls(seen.jaeger.spans("sampled", {"kind": kind})))

    wait_until(lambda: number("slow") >= OF_EACH, "the slowest calls are kept", patience=120)
    wait_until(lambda: number("plain kind"), "some of the others are kept", patience=60)
    return {kind: number(kind) for kind in (*KEPT, "plain kind")}


@pytest.mark.parametrize("kind", KEPT)
def test_the_gateway_keeps_every_call_that_a_policy_is_for(kept, kind):
    assert kept[kind] == OF_EACH


def test_the_gateway_keeps_a_twentieth_of_the_rest(kept):
    assert OTHERS / 20 / 6 < kept["plain kind"] < OTHERS / 20 * 2


def test_the_gateway_counts_the_spans_that_it_drops(seen, kept):
    total = OTHERS + OF_EACH * len(KEPT)
    query = 'sum(traces_span_metrics_calls_total{service_name="sampled"})'
    wait_until(lambda: _value(seen, query) == total, f"{total} calls in the numbers of spans")
    assert _value(seen, 'sum(tokentrail_operations_total{job="sampled"})') == total
