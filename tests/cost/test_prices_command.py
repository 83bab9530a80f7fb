"""``tokentrail prices``: the words of the command, and the rules on made series, by promtool."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from tests.dashboards.server import program

from tokentrail import cli
from tokentrail.cli.docs_option import DOCS
from tokentrail.cost import genai_prices

pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")

COST = "tokentrail:cost_usd:rate5m"
OWN = {
    "gpt-4o": {"input": 2, "output": 8, "service_tiers": {"flex": {"input": 1, "output": 4}}},
    "help": {"input": 3, "output": 4, "cache_read": 1},
}


@pytest.fixture
def prices(capsys):
    """Run the command; return its exit code, output and complaint."""

    def prices(*arguments):
        try:
            code = cli.main(["prices", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        return (code, *capsys.readouterr())

    return prices


@pytest.fixture
def own(tmp_path):
    """Give a file of own prices."""
    path = tmp_path / "own.json"
    path.write_text(json.dumps(OWN), "utf-8")
    return path


def _costs(text):
    rules = yaml.safe_load(text)["groups"][0]["rules"]
    return [rule for rule in rules if rule["record"] == COST]


@pytest.mark.thorough
def test_it_writes_every_model_of_openai_and_azure_to_the_screen(prices):
    code, output, errors = prices()
    assert (code, errors) == (0, "")
    named = {
        (r["labels"]["gen_ai_provider_name"], r["labels"]["tokentrail_price"])
        for r in _costs(output)
    }
    assert {
        ("openai", "gpt-4o-mini"),
        ("azure.ai.openai", "openai/gpt-4o-mini"),
        ("openai", "text-embedding-3-small"),
    } <= named
    assert output.startswith("# Made by tokentrail ")
    assert f"the prices of genai-prices {genai_prices.data_version()}." in output


def test_it_writes_only_the_models_that_are_named(prices, tmp_path, own):
    path = tmp_path / "prices.rules.yml"
    names = "gpt-4o-mini, gpt-4o-mini-2024-07-18,nought,help"
    asked = ("--models", names, "--overrides", own, "--provider", "openai", "--output", path)
    assert prices(*asked) == (0, "", f"{path}: 4 prices\nno price is known of nought\n")
    named = {
        (r["labels"]["tokentrail_price"], r["labels"].get("tokentrail_tier"))
        for r in _costs(path.read_text("utf-8"))
    }
    assert named == {
        ("help", None),
        ("gpt-4o-mini", None),
        ("gpt-4o-mini", "fast"),
        ("gpt-4o-mini", "priority"),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--models", "nought"], 2, "none of --models nought has a price: name your own with"),
        (["--models", "tts-1"], 2, "none of --models tts-1 has a price"),
        (["--models", ","], 2, "--models names none: write --models gpt-4o,gpt-4o-mini"),
        (["--overrides", "/nought"], 2, "/nought: No such file or directory: name a file that"),
        (["--output", "/nought/x"], 1, "--output /nought/x: No such file or directory: name a"),
        (["--provider", "nought"], 2, "invalid choice: 'nought'"),
        (
            ["--budget", "-3"],
            2,
            "argument --budget: '-3' is not a budget: write a number",
        ),
        (["--budget", "nan"], 2, "argument --budget: 'nan' is not a budget"),
        (["--budget", "abc"], 2, "argument --budget: 'abc' is not a budget"),
    ],
)
def test_an_error_says_how_to_fix_it(prices, arguments, code, complaint):
    found, told, said = prices(*arguments)
    assert (found, told) == (code, "")
    assert complaint in said


def test_without_the_package_it_says_so_and_writes_what_is_your_own(prices, own, monkeypatch):
    monkeypatch.setattr(genai_prices, "is_installed", lambda: False)
    code, output, errors = prices()
    assert (code, output) == (2, "")
    assert "pip install 'tokentrail[cost]', or name your own with --overrides" in errors
    code, output, errors = prices("--overrides", own)
    assert (code, len(_costs(output))) == (0, 3)
    assert errors == "only your own prices: for others pip install 'tokentrail[cost]'\n"


def test_help_has_examples(prices):
    told = prices("--help")[1]
    assert "examples:" in told
    assert "--overrides contract.json --budget 50" in told
    assert "exit codes:" in told


def _holds(selector, name):
    """Whether a selector's conditions on the model hold for a name, anchored as Prometheus does."""
    for operator, quoted in re.findall(r'tokentrail_model(=~|!~)("(?:[^"\\]|\\.)*")', selector):
        matches = re.fullmatch(json.loads(quoted), name) is not None
        if matches is (operator == "!~"):
            return False
    return True


@pytest.mark.parametrize("provider", ["openai", "azure.ai.openai"])
def test_each_name_has_the_rule_of_the_model_that_the_package_finds(provider):
    """A name of two models has the price of the first, as on spans."""
    from genai_prices.data_snapshot import get_snapshot

    from tokentrail.cli import price_rules
    from tokentrail.cost import UserPrices

    now = datetime.now(timezone.utc)
    rules = list(price_rules.published_prices((provider,), now, UserPrices(), None))
    clauses = [model.match for _, model in genai_prices.models_of(provider)]
    seen = 0
    for clause in clauses:
        for name in _spoken_of(clause):
            try:
                found = get_snapshot().find_provider_model(
                    name, None, genai_prices.PROVIDERS[provider], None
                )[1]
            except LookupError:
                continue
            standard = [
                rule.name.rsplit("/", 1)[-1]
                for rule in rules
                if rule.tier is None and _holds(rule.selectors[0], name)
            ]
            rates = genai_prices.rates_of(found, None, now)
            has_price = rates is not None and bool(rates.input or rates.audio_hour)
            assert standard == ([found.id.rsplit("/", 1)[-1]] if has_price else []), name
            seen += 1
    assert seen > 100


def _spoken_of(clause):
    said = vars(clause)
    for one in said.get("or_") or said.get("and_") or ():
        yield from _spoken_of(one)
    for kind, form in (("equals", "{}"), ("starts_with", "{}x"), ("contains", "x{}x")):
        if kind in said:
            yield form.format(said[kind]).lower()
    if "regex" in said:
        yield (
            said["regex"]
            .strip("^$")
            .replace("\\d{4}", "2026")
            .replace("\\d{2}", "11")
            .replace("\\", "")
        )


def test_a_price_of_what_is_in_no_metric_has_no_rule(prices, tmp_path):
    """An empty expression would be no file that Prometheus loads."""
    own, path = tmp_path / "own.json", tmp_path / "prices.rules.yml"
    own.write_text(json.dumps({"voice": {"characters": 20}, "help": {"input": 1}}))
    names = ("--models", "voice,help", "--provider", "openai")
    code, _, said = prices(*names, "--overrides", own, "-o", path)
    assert (code, said) == (0, f"{path}: 1 prices\nno price is known of voice\n")
    assert [rule["labels"]["tokentrail_price"] for rule in _costs(path.read_text())] == ["help"]


def test_own_names_are_no_patterns(prices, tmp_path):
    """Signs in the name of a deployment mean themselves, and no other model is left without."""
    signs = "a+b*c?(d)|[e]{2}^$.f"
    path = tmp_path / "own.json"
    path.write_text(json.dumps({signs: {"input": 1}, "x+": {"input": 1}}), "utf-8")
    code, output, _ = prices("--overrides", path, "--models", "gpt-4o-mini", "--provider", "openai")
    assert code == 0
    published = next(r for r in _costs(output) if r["labels"]["tokentrail_price"] == "gpt-4o-mini")
    (pattern,) = set(re.findall(r'request_model!~("(?:[^"\\]|\\.)*")', published["expr"]))
    left_out = [
        name
        for name in (signs, "x+", "x", "xx", "abcd", "gpt-4o-mini")
        if re.fullmatch(json.loads(pattern), name)
    ]
    assert left_out == [signs, "x+"]


def test_a_model_with_names_that_prometheus_cannot_have_has_no_rule(prices, publish):
    """RE2 has no lookahead, and a rule that it refuses would cost all the others."""
    from genai_prices.types import ClauseRegex, ModelInfo, ModelPrice

    price = ModelPrice(input_mtok=Decimal(2))
    publish(
        openai=[
            ModelInfo(id=name, match=ClauseRegex(regex=regex), prices=price)
            for name, regex in {"said": r"^said-\d{4}$", "not said": "^(?!.*-tts)not"}.items()
        ]
    )
    code, output, _ = prices("--provider", "openai")
    rules = {rule["labels"]["tokentrail_price"]: rule["expr"] for rule in _costs(output)}
    assert (code, list(rules)) == (0, ["said"])
    assert 'tokentrail_model=~"(?i)(.*(^said-\\\\d{4}$).*)"' in rules["said"]


def test_a_model_of_several_conditions_takes_no_rule_from_another(prices, publish):
    from genai_prices.types import (
        ClauseAnd,
        ClauseContains,
        ClauseStartsWith,
        ModelInfo,
        ModelPrice,
    )

    starts, holds = ClauseStartsWith(starts_with="m-"), ClauseContains(contains="1")
    publish(
        openai=[
            ModelInfo(id=name, match=match, prices=ModelPrice(input_mtok=Decimal(2)))
            for name, match in {"both": ClauseAnd(and_=[starts, holds]), "m": starts}.items()
        ]
    )
    code, output, _ = prices("--provider", "openai")
    rules = {rule["labels"]["tokentrail_price"]: rule["expr"] for rule in _costs(output)}
    assert (code, list(rules)) == (0, ["m"])
    assert 'tokentrail_model=~"(?i)(m-.*)"' in rules["m"]


USED, INPUT = "gen_ai_client_token_usage_sum", "gen_ai_client_inference_usage_input_tokens_total"
OUTPUT = "gen_ai_client_inference_usage_output_tokens_total"
CACHED = "gen_ai_client_inference_usage_cache_read_input_tokens_total"
DATED = {"gen_ai_response_model": "gpt-4o-mini-2024-07-18"}
IN, OUT = {"gen_ai_token_type": "input"}, {"gen_ai_token_type": "output"}
UNKNOWN, AUDIO = {"gen_ai_token_modality": "unknown"}, {"gen_ai_token_modality": "audio"}


def _tier(name):
    return {"openai_response_service_tier": name}


SERIES = [
    # released names
    (USED, "gpt-4o-mini", {**DATED, **IN}, 1000),
    (USED, "gpt-4o-mini", {**DATED, **OUT}, 200),
    (CACHED, "gpt-4o-mini", {**DATED, **UNKNOWN}, 400),
    # the same call under the latest names as well: it is one call
    (OUTPUT, "gpt-4o-mini", {**DATED, **UNKNOWN}, 200),
    # a service tier, one without a price, and a model without one
    (USED, "gpt-5-nano", {**IN, **_tier("flex")}, 1000),
    (USED, "gpt-5-nano", {**IN, **_tier("nought")}, 1000),
    (USED, "our-own", IN, 1000),
    # own prices: of who answered, of a deployment, of a service tier
    (USED, "x", {"gen_ai_response_model": "gpt-4o", **IN}, 1000),
    (USED, "help", {"gen_ai_response_model": "gpt-4o-mini", **IN}, 1000),
    (CACHED, "help", {"gen_ai_response_model": "gpt-4o-mini", **UNKNOWN}, 1000),
    (USED, "gpt-4o", {**OUT, **_tier("flex")}, 1000),
    # the latest names, with sound
    (INPUT, "gpt-audio", UNKNOWN, 900),
    (INPUT, "gpt-audio", AUDIO, 100),
]
"""Metrics, the model asked for, further labels, tokens a second."""


def _series(metric, model, labels, pace):
    told = {"job": "shop", "gen_ai_provider_name": "openai", "gen_ai_request_model": model}
    named = ", ".join(f'{name}="{value}"' for name, value in {**told, **labels}.items())
    return {"series": f"{metric}{{{named}}}", "values": f"0+{pace * 60}x90"}


# millionths of USD a second, by the names of request and price, and the tier
KNOWN = {
    ("gpt-4o-mini", "gpt-4o-mini", None): 600 * 0.15 + 400 * 0.075 + 200 * 0.6,
    ("gpt-5-nano", "gpt-5-nano", "flex"): 1000 * 0.025,
    ("x", "gpt-4o", None): 1000 * 2,
    ("help", "help", None): 1000 * 1,
    ("gpt-4o", "gpt-4o", "flex"): 1000 * 4,
    ("gpt-audio", "gpt-audio", None): 900 * 2.5 + 100 * 32,
}


def _where(alert):
    return {"panel_url": "/d/tokentrail", "runbook_url": f"{DOCS}/runbooks.md#{alert}"}


def test_promtool_finds_the_costs_that_one_works_out(prices, tmp_path, own):
    path = tmp_path / "prices.rules.yml"
    # at this pace 170 USD are spent in four hours
    assert prices("--overrides", own, "--provider", "openai", "--budget", 100, "-o", path)[0] == 0
    checked = subprocess.run(
        [program("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    query = f"sum by (gen_ai_request_model, tokentrail_price, tokentrail_tier) ({COST}) * 1e6"
    total = sum(KNOWN.values())
    test = {
        "interval": "1m",
        "input_series": [_series(*each) for each in SERIES],
        "promql_expr_test": [
            {
                "expr": f"round({query}, 0.001)",
                "eval_time": "60m",
                "exp_samples": [
                    {
                        "labels": f'{{gen_ai_request_model="{asked}", tokentrail_price="{price}"'
                        + (f', tokentrail_tier="{tier}"}}' if tier else "}"),
                        "value": usd,
                    }
                    for (asked, price, tier), usd in KNOWN.items()
                ],
            },
            {
                "expr": f"round(sum({COST}) * 1e6, 0.001)",
                "eval_time": "60m",
                "exp_samples": [{"labels": "{}", "value": total}],
            },
        ],
        "alert_rule_test": [
            {"alertname": "TokentrailCostBudgetBurns", "eval_time": "2m", "exp_alerts": []},
            {
                "alertname": "TokentrailCostBudgetBurns",
                "eval_time": "70m",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "job": "shop"},
                        "exp_annotations": {
                            "summary": "shop spends a day's budget in four hours",
                            "description": f"At this pace {total * 14400 / 1e6:.4g} USD are"
                            " spent in four hours; the daily budget is"
                            " tokentrail:cost_budget_usd:per_day.",
                            **_where("TokentrailCostBudgetBurns"),
                        },
                    }
                ],
            },
        ],
    }
    _test_with_promtool(tmp_path, path, test)


SEARCHES, TOOL = "tokentrail_tool_requests_total", "tokentrail_tool_name"
SEARCHED = [
    (USED, "gpt-4o-mini", {**DATED, **IN}, 1000),
    (SEARCHES, "gpt-4o-mini", {TOOL: "web_search", "tokentrail_usage_source": "reported"}, 2),
    (SEARCHES, "gpt-4o-mini", {TOOL: "web_search", "tokentrail_usage_source": "counted"}, 1),
    (SEARCHES, "gpt-4o-mini", {TOOL: "file_search"}, 4),
    (SEARCHES, "gpt-4o-mini", {TOOL: "mcp"}, 5),
    (SEARCHES, "mine", {TOOL: "web_search"}, 1),
    (SEARCHES, "our-own", {TOOL: "web_search"}, 1),
    # a deployment that another model answers, as its answer says
    (SEARCHES, "desk", {TOOL: "web_search", **DATED}, 2),
]
IMAGE_TOKENS = "tokentrail_tool_tokens_total"
GENERATED = {TOOL: "image_generation", "tokentrail_tool_model": "gpt-image-1.5"}
CACHED_PART, AN_IMAGE = {"tokentrail_cache_state": "read"}, {"gen_ai_token_modality": "image"}
TEXT = {"gen_ai_token_modality": "text"}
MADE = [
    (USED, "gpt-4o-mini", {**DATED, **IN}, 1000),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **IN, **TEXT}, 30),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **IN, **TEXT, **CACHED_PART}, 10),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **IN, **AN_IMAGE}, 20),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **IN, **AN_IMAGE, **CACHED_PART}, 5),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **OUT, **TEXT}, 7),
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **OUT, **AN_IMAGE}, 4160),
    # of these nobody knows what they are, or of which model
    (IMAGE_TOKENS, "gpt-4o-mini", {**GENERATED, **OUT, **UNKNOWN}, 1000),
    (IMAGE_TOKENS, "gpt-4o-mini", {TOOL: "image_generation", **OUT, **AN_IMAGE}, 1000),
    # asked of a model with a price of one's own, and made by one; without own parts the whole's
    (IMAGE_TOKENS, "mine", {**GENERATED, **OUT, **AN_IMAGE}, 100),
    (
        IMAGE_TOKENS,
        "gpt-4.1",
        {**GENERATED, "tokentrail_tool_model": "painter", **IN, **AN_IMAGE},
        100,
    ),
]


def test_promtool_finds_what_the_servers_own_searches_cost(prices, tmp_path):
    """Each thousand costs 10 and 2.5 USD, or 7 by a price of one's own, once for all tiers."""
    own, path = tmp_path / "own.json", tmp_path / "prices.rules.yml"
    tiers = {"service_tiers": {"flex": {"input": 1, "web_search": 9}}}
    own.write_text(json.dumps({"mine": {"input": 2, "web_search": 7, **tiers}}))
    assert prices("--overrides", own, "--provider", "openai", "-o", path)[0] == 0
    usd = {
        "gpt-4o-mini": 1000 * 0.15 + 3 * 10_000 + 4 * 2_500,
        "mine": 7_000,
        "desk": 2 * 10_000,
    }
    _test_costs(tmp_path, path, SEARCHED, usd)


def test_promtool_finds_what_generated_images_cost(prices, tmp_path):
    """By the model that made them, whichever was requested: 5, 1.25, 8, 2, 10 and 32 USD."""
    own, path = tmp_path / "own.json", tmp_path / "prices.rules.yml"
    own.write_text(json.dumps({"mine": {"input": 2}, "painter": {"input": 3, "output": 4}}))
    names = "gpt-4o-mini,gpt-image-1.5,mine,painter"
    arguments = ("--overrides", own, "--provider", "openai", "--models", names, "-o", path)
    assert prices(*arguments)[0] == 0
    made = 30 * 5 + 10 * 1.25 + 20 * 8 + 5 * 2 + 7 * 10 + 4160 * 32
    usd = {"gpt-4o-mini": 1000 * 0.15 + made, "mine": 100 * 32, "gpt-4.1": 100 * 3}
    _test_costs(tmp_path, path, MADE, usd)


HEARD, HEARD_TIME = (
    "tokentrail_transcription_tokens_total",
    "tokentrail_transcription_time_seconds_total",
)
TRANSCRIBED = [
    (HEARD, "gpt-4o-mini-transcribe", {**IN, **AUDIO}, 90),
    (HEARD, "gpt-4o-mini-transcribe", {**IN, **TEXT}, 10),
    (HEARD, "gpt-4o-mini-transcribe", {**OUT, **UNKNOWN}, 20),
    (HEARD, "gpt-4o-transcribe", {**IN, **UNKNOWN}, 10),  # what they are nobody knows
    (HEARD, "ours", {**IN, **AUDIO}, 10),
    (HEARD_TIME, "whisper-1", {}, 90),
    (HEARD_TIME, "gpt-live-transcribe", {}, 90),
    (HEARD_TIME, "ours", {}, 30),
]


def test_promtool_finds_what_transcription_in_sessions_costs(prices, tmp_path):
    """By tokens: 3, 1.25 and 5 USD a million; by time: 0.36 and 1.02 USD an hour, or your own."""
    own, path = tmp_path / "own.json", tmp_path / "prices.rules.yml"
    own.write_text(json.dumps({"ours": {"input": 1, "audio_input": 2, "audio_hour": 0.6}}))
    assert prices("--overrides", own, "--provider", "openai", "-o", path)[0] == 0
    usd = {
        "gpt-4o-mini-transcribe": 90 * 3 + 10 * 1.25 + 20 * 5,
        "whisper-1": 9_000,
        "gpt-live-transcribe": 25_500,
        "ours": 20 + 5_000,
    }
    _test_costs(tmp_path, path, TRANSCRIBED, usd)


LIVE_PARTS = "gen_ai_client_inference_usage_cache_read_input_tokens_total"
LIVE = [
    (INPUT, "gpt-realtime", AUDIO, 600),
    (INPUT, "gpt-realtime", TEXT, 400),
    (LIVE_PARTS, "gpt-realtime", AUDIO, 500),
    (LIVE_PARTS, "gpt-realtime", TEXT, 300),
]


def test_promtool_finds_what_cached_audio_costs(prices, tmp_path):
    """Of gpt-realtime: audio 32 USD, cached 0.4; text 4, cached 0.4."""
    path = tmp_path / "prices.rules.yml"
    assert prices("--provider", "openai", "--models", "gpt-realtime", "-o", path)[0] == 0
    _test_costs(tmp_path, path, LIVE, {"gpt-realtime": 100 * 32 + 500 * 0.4 + 100 * 4 + 300 * 0.4})


OWN_TOKENS = "tokentrail_usage_tokens_total"
REPORTED = {"tokentrail_usage_source": "reported"}
FETCHED = {"gen_ai_operation_name": "fetch_response", **DATED, **REPORTED}
DRAWN = {"gen_ai_operation_name": "generate_image", **REPORTED}
SPOKEN = {"gen_ai_operation_name": "transcribe_audio", **REPORTED}
APART = [
    # made in the background, 400 of 1000 from the cache, and beside it what is answered at once
    (USED, "", {**DATED, **IN}, 1000),
    (OWN_TOKENS, "", {**FETCHED, **IN}, 600),
    (OWN_TOKENS, "", {**FETCHED, **IN, **CACHED_PART}, 400),
    (OWN_TOKENS, "", {**FETCHED, **OUT}, 200),
    (OWN_TOKENS, "chat", {"gen_ai_operation_name": "chat", **DATED, **REPORTED, **IN}, 1000),
    (OWN_TOKENS, "gpt-image-1.5", {**DRAWN, **IN, **TEXT}, 30),
    (OWN_TOKENS, "gpt-image-1.5", {**DRAWN, **IN, **AN_IMAGE}, 20),
    (OWN_TOKENS, "gpt-image-1.5", {**DRAWN, **OUT, **AN_IMAGE}, 272),
    # a session is heard by the same model
    (HEARD, "gpt-4o-mini-transcribe", {**IN, **AUDIO}, 90),
    (OWN_TOKENS, "gpt-4o-mini-transcribe", {**SPOKEN, **IN, **AUDIO}, 90),
    (OWN_TOKENS, "gpt-4o-mini-transcribe", {**SPOKEN, **IN, **TEXT}, 10),
    (OWN_TOKENS, "gpt-4o-mini-transcribe", {**SPOKEN, **OUT, **UNKNOWN}, 20),
]


def test_promtool_finds_what_only_our_own_counter_has(prices, tmp_path):
    """Responses made in the background, images and transcripts."""
    path = tmp_path / "prices.rules.yml"
    names = "gpt-4o-mini,gpt-image-1.5,gpt-4o-mini-transcribe"
    assert prices("--provider", "openai", "--models", names, "-o", path)[0] == 0
    usd = {
        "": 1000 * 0.15 + 600 * 0.15 + 400 * 0.075 + 200 * 0.6,
        "gpt-image-1.5": 30 * 5 + 20 * 8 + 272 * 32,
        "gpt-4o-mini-transcribe": 90 * 3 + 90 * 3 + 10 * 1.25 + 20 * 5,
    }
    _test_costs(tmp_path, path, APART, usd)


def _test_costs(tmp_path, path, series, usd):
    """Have promtool run the rules over ``series``; ``usd``: millionths a second by model."""
    test = {
        "interval": "1m",
        "input_series": [_series(*each) for each in series],
        "promql_expr_test": [
            {
                "expr": f"round(sum by (gen_ai_request_model) ({COST}) * 1e6, 0.001)",
                "eval_time": "60m",
                "exp_samples": [
                    {
                        "labels": f'{{gen_ai_request_model="{asked}"}}' if asked else "{}",
                        "value": value,
                    }
                    for asked, value in usd.items()
                ],
            }
        ],
    }
    _test_with_promtool(tmp_path, path, test)


def _test_with_promtool(tmp_path, rules, test):
    cases = tmp_path / "cases.yml"
    written = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}
    cases.write_text(yaml.safe_dump(written), "utf-8")
    done = subprocess.run(
        [program("promtool"), "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


TENANTS = {"acme": 20.0, "globex": 4.0, "initech": 1.0}
"""USD that each spends in four hours, nearly."""


def test_promtool_finds_costs_and_budgets_by_tenant(prices, tmp_path):
    """Two services, three tenants: each has the cost of its own tokens, whoever spent them."""
    path = tmp_path / "prices.rules.yml"
    asked = ("--models", "gpt-4o-mini", "--provider", "openai", "--by", "tenant", "-o", path)
    assert prices(*asked, "--budget-each", 2, "--budget-each", "acme=30")[0] == 0
    pace = {name: usd / 14400 / 0.15e-6 for name, usd in TENANTS.items()}  # tokens a second
    test = {
        "interval": "1m",
        "input_series": [
            _series(USED, "gpt-4o-mini", {**DATED, **IN, "tenant": name, "job": job}, each / 2)
            for name, each in pace.items()
            for job in ("shop", "search")
        ],
        "promql_expr_test": [
            {
                "expr": f"round(sum by (tenant) ({COST}) * 14400, 0.001)",
                "eval_time": "60m",
                "exp_samples": [
                    {"labels": f'{{tenant="{name}"}}', "value": usd}
                    for name, usd in TENANTS.items()
                ],
            },
            {
                "expr": "tokentrail:cost_budget_usd_each:per_day",
                "eval_time": "60m",
                "exp_samples": [
                    {
                        "labels": f'tokentrail:cost_budget_usd_each:per_day{{tenant="{name}"}}',
                        "value": usd,
                    }
                    for name, usd in {"acme": 30, "globex": 2, "initech": 2}.items()
                ],
            },
        ],
        "alert_rule_test": [
            {"alertname": "TokentrailShareOfBudgetBurns", "eval_time": "2m", "exp_alerts": []},
            {
                "alertname": "TokentrailShareOfBudgetBurns",
                "eval_time": "70m",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "tenant": "globex"},
                        "exp_annotations": {
                            "summary": "globex spends a day's budget in four hours",
                            "description": "At this pace 4 USD are spent in four hours; the"
                            " daily budget is tokentrail:cost_budget_usd_each:per_day.",
                            **_where("TokentrailShareOfBudgetBurns"),
                        },
                    }
                ],
            },
        ],
    }
    _test_with_promtool(tmp_path, path, test)


def test_a_budget_for_each_value_needs_a_label(prices):
    code, written, complaint = prices("--budget-each", 2)
    assert (code, written) == (2, "")
    assert "name one with --by tenant" in complaint


@pytest.mark.parametrize("name", ["TokentrailCostBudgetBurns", "TokentrailShareOfBudgetBurns"])
def test_the_alerts_of_budgets_have_a_page_in_the_runbook(name):
    page = Path(__file__).parents[2] / "docs" / "runbooks.md"
    assert f'<a id="{name}"></a>' in page.read_text("utf-8")
