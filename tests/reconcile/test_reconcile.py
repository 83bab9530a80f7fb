"""``tokentrail reconcile``: every page of the bill, and every token that a counter grew by."""

from __future__ import annotations

import json
import time

import pytest
from tests.reconcile.conftest import KEY
from tests.reconcile.imitation import DAY, RESULTS, Billing, Store, completions

from tokentrail.telemetry import semconv
from tokentrail.testing.payloads import errors
from tokentrail.testing.server import Plain, Server

MONDAY = 1_793_577_600  # 2026-11-02, 00:00 UTC
DAYS = ("--from", "2026-11-02", "--to", "2026-11-06")
OUTCOME = semconv.OUTCOME.replace(".", "_")
FILES = {"num_requests": 7}
TOKENS = "tokentrail_usage_tokens_total"
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")


def tokens(model, direction, samples, source="reported", outcome="completed", pod="1"):
    """Return a series; ``samples`` are pairs of an hour and a value."""
    labels = {
        "gen_ai_request_model": model,
        "gen_ai_token_type": direction,
        "tokentrail_usage_source": source,
        OUTCOME: outcome,
        "instance": pod,
    }
    return TOKENS, labels, [(MONDAY + int(hour * 3600), value) for hour, value in samples]


def answered(asked, model):
    """Return a series of the conventional metrics that has a requested and an answered model."""
    labels = {"gen_ai_request_model": asked, "gen_ai_response_model": model}
    return "gen_ai_client_operation_duration_seconds_count", labels, [(MONDAY + 60, 1.0)]


@pytest.fixture
def compared(reconcile):
    """Run the command for a bill and telemetry; return exit code, output and complaint."""

    def compared(billing, store, *more, days=DAYS):
        with Server(billing) as bill, Server(store) as prometheus:
            urls = ("--openai", f"{bill.url}/v1", "--prometheus", prometheus.url)
            return reconcile(*days, *urls, *more)

    return compared


def _rows(told):
    found = json.loads(told)
    return {(row["model"], row["direction"]): row for row in found["tokens"]}


def _codes(row):
    return [reason["code"] for reason in row["reasons"]]


def test_every_page_is_read_past_a_rate_limit_and_an_empty_day(compared):
    """Five days of two to a page, the third without a call, the second request refused."""
    days = {MONDAY + day * DAY: [completions("gpt-4o", 1000, 100, calls=2)] for day in (0, 1, 3, 4)}
    refused = errors.reply(429, "Slow down.")
    refused.headers["retry-after-ms"] = "1"
    billing = Billing(days, trouble={2: refused})
    store = Store([tokens("gpt-4o", "input", [(1, 4000)]), tokens("gpt-4o", "output", [(1, 400)])])
    code, output, said = compared(billing, store, "--json")
    assert (code, said) == (0, "")
    rows = _rows(output)
    assert [(row["billed"], row["recorded"]) for row in rows.values()] == [
        (4000, 4000),
        (400, 400),
    ]
    requests = json.loads(output)["requests"]
    assert requests == [{"model": "gpt-4o", "billed": 8, "recorded": None}]
    read = [call.query.get("page") for call in billing.calls if "completions" in call.path]
    third, fifth = str(MONDAY + 2 * DAY), str(MONDAY + 4 * DAY)
    assert read == [None, third, third, fifth]


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (errors.reply(400, "No."), "HTTP 400"),
        (Plain({"object": "page", "data": [], "has_more": True, "next_page": None}), "no next"),
        (Plain({"object": "page"}), "no page of completions"),
        (Plain(status=302, headers={"location": "http://192.0.2.1/"}), "HTTP 302"),
        (
            Plain(
                {
                    "data": [{"start_time": MONDAY + 3600, "end_time": MONDAY + 90_000}],
                    "has_more": False,
                }
            ),
            "is incomplete",
        ),
        (
            Plain(
                {
                    "data": [
                        {"start_time": MONDAY + 3600, "end_time": MONDAY + 90_000, "results": []}
                    ],
                    "has_more": False,
                }
            ),
            "not those of UTC",
        ),
    ],
    ids=["refused", "no cursor", "no page", "redirected", "no results", "other time zone"],
)
def test_a_page_that_failed_is_never_a_smaller_bill(compared, trouble, why):
    billing = Billing({MONDAY: [completions("gpt-4o", 1000, 100)]}, trouble={2: trouble})
    store = Store([tokens("gpt-4o", "input", [(1, 1000)])])
    code, output, said = compared(billing, store)
    assert (code, output) == (2, "")
    assert "the bill could not be read" in said
    assert why in said


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_days_are_those_of_utc_wherever_it_runs(compared, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        billing = Billing({MONDAY: [completions("gpt-4o", 10, 0)]})
        outside = [(-1, 500), (0, 700), (1, 710), (24, 710), (25, 9000)]
        day = ("--from", "2026-11-02", "--to", "2026-11-02")
        code, output, _ = compared(
            billing, Store([tokens("gpt-4o", "input", outside)]), "--json", days=day
        )
    finally:
        monkeypatch.undo()
        time.tzset()
    assert code == 0
    assert _rows(output)["gpt-4o", "input"]["recorded"] == 10
    asked = {(call.query["start_time"], call.query["end_time"]) for call in billing.calls}
    assert asked == {(str(MONDAY), str(MONDAY + DAY))}


def test_a_process_that_began_again_loses_no_token(compared):
    """What a counter has at its first sample, and after it fell, is counted whole."""
    billing = Billing({MONDAY: [completions("gpt-4o", 1000 + 50 + 7, 0)]})
    samples = [(1, 400), (2, 1000), (3, 50)]
    series = [tokens("gpt-4o", "input", samples), tokens("gpt-4o", "input", [(3, 7)], pod="2")]
    code, output, _ = compared(billing, Store(series), "--json")
    assert code == 0
    assert json.loads(output)["starts"] == 3
    assert json.loads(output)["gaps"][0] == {
        "start": "2026-11-02T00:00:00Z",
        "end": "2026-11-02T01:00:00Z",
    }


def test_reasons_are_those_that_the_numbers_show(compared):
    billing = Billing(
        {
            MONDAY: [
                completions("o4-mini", 100, 900),
                completions("gpt-4o", 300, 100, batch=True),
                completions("gpt-4o", 300, 100, batch=False),
                completions("gpt-never", 50, 5),
                ("code_interpreter_sessions", {"num_sessions": 3}),
                ("costs", {"amount": {"currency": "usd", "value": 1.5}, "line_item": "gpt-4o"}),
            ]
        }
    )
    series = [
        tokens("o4-mini", "input", [(1, 100)]),
        tokens("o4-mini", "output", [(1, 200)], source="visible"),
        tokens("gpt-4o", "input", [(1, 290)]),
        tokens("gpt-4o", "output", [(1, 60)]),
        tokens("gpt-4o", "output", [(1, 30)], outcome="failed"),
    ]
    code, output, _ = compared(billing, Store(series), "--json")
    rows = _rows(output)
    assert code == 1
    assert {key: _codes(row) for key, row in rows.items()} == {
        ("gpt-4o", "input"): ["batch"],
        ("gpt-4o", "output"): ["failed", "batch"],
        ("gpt-never", "input"): ["never_seen"],
        ("gpt-never", "output"): ["never_seen"],
        ("o4-mini", "input"): [],
        ("o4-mini", "output"): ["visible"],
    }
    assert rows["o4-mini", "output"]["difference"] == -700
    found = json.loads(output)
    assert found["tools"] == {"code_interpreter": {"billed": 3, "recorded": None}}
    assert found["cost"] == {"USD": {"gpt-4o": 1.5}}


def test_a_dated_model_is_its_alias_where_an_answer_says_so(compared):
    billing = Billing({MONDAY: [completions("gpt-4o-2024-08-06", 100, 10)]})
    series = [tokens("gpt-4o", "input", [(1, 100)]), tokens("gpt-4o", "output", [(1, 10)])]
    code, output, _ = compared(billing, Store(series), "--json")
    assert (code, len(_rows(output))) == (1, 4)
    code, output, _ = compared(
        billing, Store([*series, answered("gpt-4o", "gpt-4o-2024-08-06")]), "--json"
    )
    assert (code, list(_rows(output))) == (0, [("gpt-4o", "input"), ("gpt-4o", "output")])


@pytest.mark.skipif(RESULTS["web_search_calls"] is None, reason="openai 2.34 has no searches")
def test_searches_are_billed_besides_tokens_and_recorded_by_tool(compared):
    searches = {"num_model_requests": 1, "num_requests": 3}
    billing = Billing({MONDAY: [("web_search_calls", searches), ("file_search_calls", FILES)]})
    labels = {"tokentrail_tool_name": "web_search"}
    tool = ("tokentrail_tool_requests_total", labels, [(MONDAY + 60, 1.0), (MONDAY + 120, 2.0)])
    series = [tokens("gpt-4o", "input", [(-1, 5), (1, 5)]), tool]
    code, output, _ = compared(billing, Store(series), "--json")
    assert code == 0
    assert json.loads(output)["tools"] == {
        "file_search": {"billed": 7, "recorded": None},
        "web_search": {"billed": 3, "recorded": 2},
    }


@pytest.mark.parametrize(
    ("tolerance", "code"), [(None, 0), ("0.5%", 1), ("0.009", 1), ("2%", 0), ("0.01", 0)]
)
def test_the_tolerance_is_a_share_of_the_bill(compared, tolerance, code):
    billing = Billing({MONDAY: [completions("gpt-4o", 1000, 0)]})
    store = Store([tokens("gpt-4o", "input", [(1, 990)])])
    more = () if tolerance is None else ("--tolerance", tolerance)
    assert compared(billing, store, *more)[0] == code


def test_the_table_shows_sources_and_reasons(compared):
    billing = Billing({MONDAY: [completions("o4-mini", 1000, 900)]})
    series = [
        tokens("o4-mini", "input", [(1, 1000)]),
        tokens("o4-mini", "output", [(1, 200)], source="visible"),
        tokens("o4-mini", "output", [(1, 610)]),
    ]
    code, output, _ = compared(billing, Store(series))
    assert code == 1
    lines = output.splitlines()
    assert lines[0] == "Tokens of 2026-11-02 to 2026-11-06, whole days of UTC"
    assert lines[5:8] == [
        "o4-mini  output            900            810            -90  -10.00%",
        "  reported 610, visible 200",
        "  ! 200 are visible only: reasoning was billed and not shown",
    ]
    assert lines[-1] == "1 of 2 rows differ by more than 0.01 of the bill"


def test_a_bill_of_a_file_needs_no_key(compared, tmp_path, monkeypatch):
    bill = tmp_path / "azure.csv"
    bill.write_text("model,direction,tokens\nprod,input,60\nprod,input,40\n", "utf-8")
    billing, store = Billing({}), Store([tokens("prod", "input", [(1, 100)])])
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    code, output, _ = compared(billing, store, "--billed", bill, "--selector", '{job="shop"}')
    assert (code, billing.calls) == (0, [])
    assert f'{TOKENS}{{job="shop"}}[3600s]' in store.queries
    assert "prod   input             100            100" in output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("model,tokens\n", "its first line is not model,direction,tokens"),
        ("model,direction,tokens\nprod,both,1\n", "line 2: not a model"),
        ("model,direction,tokens\nprod,input,1\nprod,input,1.5\n", "line 3: '1.5' is not a number"),
        ("model,direction,tokens\nprod,input,1,000\n", "line 2: not a model"),
    ],
)
def test_a_bill_of_a_file_that_is_wrong_is_not_compared(compared, tmp_path, text, why):
    bill = tmp_path / "azure.csv"
    bill.write_text(text, "utf-8")
    code, output, errors = compared(Billing({}), Store([]), "--billed", bill)
    assert (code, output) == (2, "")
    assert why in errors


def test_telemetry_without_a_sample_is_not_compared(compared):
    code, _, errors = compared(Billing({MONDAY: [completions("gpt-4o", 1, 1)]}), Store([]))
    assert code == 2
    assert "has no sample in these days" in errors


def test_a_prometheus_that_refuses_is_not_compared(compared):
    refusal = Plain({"status": "error", "error": "too many samples"}, status=422)
    code, _, errors = compared(Billing({}), Store([], failing=refusal))
    assert code == 2
    assert "HTTP 422: too many samples" in errors


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (("--from", "2026-11-03", "--to", "2026-11-02"), "is before --from"),
        (("--from", "2026-11-03", "--to", "2999-01-01"), "is not over"),
        (("--from", "yesterday", "--to", "2026-11-02"), "is not a day"),
    ],
)
def test_days_that_cannot_be_compared(compared, days, why):
    billing = Billing({})
    code, _, errors = compared(billing, Store([]), days=days)
    assert (code, billing.calls) == (2, [])
    assert why in errors


@pytest.mark.parametrize("key", ["", " ", f"{KEY}\u2026", f"{KEY}\n{KEY}"])
def test_without_an_admin_key_nothing_is_asked(compared, monkeypatch, key):
    monkeypatch.setenv("OPENAI_ADMIN_KEY", key)
    billing = Billing({})
    code, _, errors = compared(billing, Store([]))
    assert (code, billing.calls) == (2, [])
    assert "OPENAI_ADMIN_KEY has no key" in errors


def test_of_an_old_openai_it_names_the_release(compared, monkeypatch):
    monkeypatch.delattr("openai.OpenAI.admin")
    code, _, errors = compared(Billing({}), Store([]))
    assert code == 2
    assert "openai>=2.34.0" in errors


def test_the_help_fits_a_terminal_of_80_columns(reconcile, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, output, _ = reconcile("--help")
    assert code == 0
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("option", ["--prometheus", "--openai"])
@pytest.mark.parametrize("url", ["localhost:9090", "ftp://localhost", "http://[", "http://a:b"])
def test_an_invalid_address_is_named_in_the_error(reconcile, option, url):
    urls = {"--prometheus": "http://127.0.0.1:1", "--openai": "http://127.0.0.1:1", option: url}
    named = [word for pair in urls.items() for word in pair]
    code, output, errors = reconcile(*DAYS, *named)
    assert (code, output) == (2, "")
    assert f"{option} is not a URL" in errors


def test_a_password_is_sent_to_prometheus_and_not_printed(reconcile, tmp_path):
    bill = tmp_path / "bill.csv"
    bill.write_text("model,direction,tokens\n", "utf-8")
    with Server(Store([])) as prometheus:
        url = prometheus.url.replace("http://", "http://me:s3cr%40t@")
        code, output, errors = reconcile(*DAYS, "--prometheus", url, "--billed", bill)
        sent = {call.headers.get("authorization") for call in prometheus.calls}
    assert code == 2
    assert sent == {"Basic bWU6czNjckB0"}
    assert "s3cr" not in output + errors
