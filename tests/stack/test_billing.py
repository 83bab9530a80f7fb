"""The script of made-up answers through the stack: its numbers in rules and panels.

Each counter grows by the same number in the second round as in the first, so what a rate shows is
that number times one pace, which calls of the script show too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from tests.billing import hearing
from tests.billing.script import CASES, HEARD
from tests.dashboards.server import Queries
from tests.dashboards.shipped import BOARDS, ROOT, filled, targets
from tests.waiting import wait_until
from tools.stack.fleet import free_ports
from tools.stack.programs import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JOB, MODEL, TOOL, KIND = (
    "billing",
    "gen_ai_request_model",
    "tokentrail_tool_name",
    "gen_ai_token_type",
)
PLAIN = f'tokentrail_operations_total{{job="{JOB}", {MODEL}="desk-plain"}}'
PACE = f"scalar(sum(rate({PLAIN}[5m])))"
COST = f'tokentrail:cost_usd:rate5m{{job="{JOB}"}}'
CALLS = f'sum(tokentrail_operations_total{{job="{JOB}"}})'
BY_RULES = {(case.name,): case.by_rules for case in CASES} | {(m,): usd for m, usd in HEARD.items()}
"""Millionths of USD of a round."""
PANELS = {
    "Cost of a thousand calls by model": {(case.name,): case.by_rules / 1000 for case in CASES},
    "Requests to tools by tool": {
        (case.name, tool): 60 * number for case in CASES for tool, number in case.requests.items()
    },
    "Tokens of generated images": {
        (case.name, "image_generation", kind): number
        for case in CASES
        if case.images
        for kind, number in zip(("input", "output"), case.images, strict=True)
    },
    "Tokens of transcription": {
        (hearing.BY_TOKENS, "input"): 100,
        (hearing.BY_TOKENS, "output"): 20,
    },
    "Transcribed sound per minute": {(hearing.BY_TIME,): 60 * 90},
    "Input from the cache by model, 15 min": {(case.name,): 0.4 for case in CASES},
}
"""What each panel shows, by the values of its labels: at a pace of one round a second."""
RATIOS = {"Cost of a thousand calls by model", "Input from the cache by model, 15 min"}
"""Panels that do not hang on the pace."""


@contextmanager
def _script(stack):
    variables = {
        **os.environ,
        "OTEL_SERVICE_NAME": JOB,
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_url,
    }
    command = [sys.executable, "-m", "tests.billing.script"]
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, text=True
    ) as one:
        try:
            yield one
        finally:
            one.stdin.close()
            assert one.wait(60) == 0


@pytest.fixture(scope="module")
def prometheus(engines, tmp_path_factory):
    """Give the stack's Prometheus, after it saw the second round."""
    with Stack(engines, tmp_path_factory.mktemp("billing"), free_ports()) as stack:
        queries = Queries(stack.prometheus_url)
        with _script(stack) as script:

            def played():
                return sum(queries.values(CALLS, time.time()).values())

            wait_until(lambda: played() == len(CASES), "the first round", patience=120)
            wait_until(
                lambda: len(queries.samples(PLAIN, time.time())[0][1]) > 1, "two samples of it"
            )
            script.stdin.write("again\n")
            script.stdin.flush()
            wait_until(lambda: played() == 2 * len(CASES), "the second round", patience=120)
            yield queries


def _costs_of(prometheus):
    """Return when costs were recorded last, or now: rules see what was there then."""
    found = [samples[-1][0] for _, samples in prometheus.samples(COST, time.time())]
    return max(found, default=time.time())


def _shown(prometheus, query, known):
    """Return what a query shows by the values of its labels, at last what is known."""
    found = {}

    def is_known():
        found.clear()
        for labels, value in prometheus.values(query, _costs_of(prometheus)).items():
            told = dict(labels)
            found[tuple(told[name] for name in (MODEL, TOOL, KIND) if name in told)] = value
        return found == pytest.approx(known, rel=1e-6)

    with suppress(TimeoutError):  # the rules are evaluated some seconds after the calls have come
        wait_until(is_known, "what one works out", patience=120)
    return found


def test_rules_find_what_one_works_out(prometheus):
    query = f"sum by ({MODEL}) ({COST}) * 1e6 / {PACE}"
    assert _shown(prometheus, query, BY_RULES) == pytest.approx(BY_RULES, rel=1e-6)


@pytest.mark.parametrize("panel", PANELS)
def test_panels_show_what_one_works_out(prometheus, panel):
    (query,) = (t.expr for t in targets(BOARDS[0]) if t.panel == panel)
    query = filled(query, service=JOB)
    if panel not in RATIOS:
        query = f"({query}) / {PACE}"
    assert _shown(prometheus, query, PANELS[panel]) == pytest.approx(PANELS[panel], rel=1e-6)
