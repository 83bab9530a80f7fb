"""The application of the stack, and what its README says one finds of it in Jaeger."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from tests.dashboards.shipped import ROOT, RULES, filled, rules, targets

from tokentrail.telemetry import semconv

pytestmark = pytest.mark.timeout(120)

STACK = ROOT / "examples" / "observability"
ROW = re.compile(r"\| [^|]+ \| `([^`]+)` \| \[open\]\(([^)]+)\) \|")
SLOW = 1.0


def _searches():
    page = (STACK / "README.md").read_text("utf-8")
    return [(dict(t.split("=") for t in tags.split()), url) for tags, url in ROW.findall(page)]


def test_each_search_of_the_readme_opens_what_it_says():
    searches = _searches()
    assert len(searches) == 7
    for tags, url in searches:
        asked = parse_qs(urlsplit(url).query)
        assert json.loads(asked["tags"][0]) == tags
        assert asked["service"] == ["demo"]


@pytest.fixture(scope="module")
def told():
    """Give the spans that the application tells in a round, as the Collector hands them on."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the OTLP exporter")
    from tests.stack.receiver import run_application

    compose = yaml.safe_load((STACK / "compose.yaml").read_text("utf-8"))
    settings = compose["services"]["demo"]["environment"]
    return run_application(STACK / "app.py", settings, slow=SLOW + 0.2)


def test_the_application_tells_calls_under_its_own_spans(told):
    by_id = {span["id"]: span for span in told.spans}
    calls = [span for span in told.spans if semconv.OUTCOME in span["attributes"]]
    assert len(calls) == 16
    for call in calls:
        assert by_id[call["parent"]]["name"].startswith("POST /")
    assert {span["resource"]["service.name"] for span in told.spans} == {"demo"}


def _loaded():
    """Return the rules that the stack's Prometheus loads."""
    files = yaml.safe_load((STACK / "prometheus.yaml").read_text("utf-8"))["rule_files"]
    folders = {"tokentrail.rules.yml": RULES.parent, "prices.rules.yml": STACK}
    return [
        rule
        for name in (PurePosixPath(path).name for path in files)
        for rule in rules(folders[name] / name)
    ]


def test_every_metric_that_the_dashboards_ask_for_is_told_or_recorded(told):
    """Within a round, but for what the stand-in model does not report: parts of its usage."""
    promql = pytest.importorskip("tests.dashboards.promql", reason="needs tokentrail[dashboards]")
    asked = {name for target in targets() for name, _ in promql.selected(filled(target.expr))}
    written = {name.replace(".", "_") for name in told.metrics}
    recorded = {rule.name for rule in _loaded() if not rule.alert}
    unmet = {
        metric
        for metric in asked - recorded
        if not any(metric.startswith(name) for name in written)
    }
    assert "tokentrail:cost_usd:rate5m" in asked
    assert unmet
    assert all("_cache_" in metric or "_reasoning_" in metric for metric in unmet), unmet


def test_every_call_of_the_demo_whose_tokens_are_known_has_a_price(told):
    """By a rule for its provider that picks the model that answered."""
    prices = [rule.expr for rule in _loaded() if rule.name == "tokentrail:cost_usd:rate5m"]
    calls = [
        span["attributes"] for span in told.spans if semconv.INPUT_TOKENS in span["attributes"]
    ]
    models = {(call[semconv.PROVIDER_NAME], call[semconv.RESPONSE_MODEL]) for call in calls}
    assert len(models) > 3
    for provider, model in models:
        assert any(_picks(expr, provider, model) for expr in prices), (provider, model)


def _picks(expr, provider, model):
    patterns = re.findall(r'tokentrail_model=~("(?:[^"\\]|\\.)*")', expr)
    assert patterns
    named = any(re.fullmatch(json.loads(pattern), model) for pattern in patterns)
    return named and f'gen_ai_provider_name="{provider}"' in expr


def test_each_search_of_the_readme_finds_some_calls_and_not_all(told):
    """By equality of whole texts, as Jaeger does, after the Collector's mark."""
    read = yaml.safe_load((STACK / "collector.yaml").read_text("utf-8"))
    statements = read["processors"]["transform/slow"]["trace_statements"]
    (mark,) = re.findall(r'set\(attributes\["(\w+)"\], "slow"\)', str(statements))
    assert f'attributes["{semconv.TIME_TO_FIRST_CHUNK}"] > {SLOW}' in str(statements)
    marked = [
        {
            **span["attributes"],
            **(
                {mark: "slow"}
                if span["attributes"].get(semconv.TIME_TO_FIRST_CHUNK, 0) > SLOW
                else {}
            ),
        }
        for span in told.spans
    ]
    for tags, _ in _searches():
        found = [each for each in marked if tags.items() <= each.items()]
        assert 0 < len(found) < len(marked) - 9, tags
