"""The shipped files: up to date, complete, and every query of theirs in the proof."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from operator import itemgetter
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from tests.dashboards import expected, promql
from tests.dashboards.server import program
from tests.dashboards.shipped import (
    BOARDS,
    FOLDER,
    LABEL,
    ROOT,
    RULES,
    dashboard,
    filled,
    panels,
    rules,
    targets,
)

from tokentrail import cli
from tokentrail.cli.budget_rules import BUDGET
from tokentrail.cli.docs_option import DOCS
from tokentrail.cli.label_option import PLACEHOLDER
from tokentrail.cli.promql_rules import COST as SPENT
from tokentrail.cli.promql_rules import PRICE
from tokentrail.model.records import Outcome, Source
from tokentrail.telemetry import schema, semconv

ALERTS = Path(__file__).with_name("alerts.yml")


def test_the_dashboards_are_what_the_tool_makes():
    pytest.importorskip("grafana_foundation_sdk", reason="needs tokentrail[dashboards]")
    tool = ROOT / "tools" / "make_dashboards.py"
    done = subprocess.run(
        [sys.executable, tool, "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", BOARDS)
def test_no_panel_has_a_query_that_is_not_in_the_proof(board):
    keys = [target.key for target in targets(board)]
    assert len(keys) == len(set(keys)), "two panels of one name"
    more = expected.BY_TENANT if board == BOARDS[1] else {}
    assert set(keys) == {**expected.PANELS, **more}.keys()


def test_no_rule_is_left_out_of_the_proof():
    assert {rule.name for rule in rules() if not rule.alert} == expected.RECORDINGS.keys()
    assert {rule.name for rule in rules() if rule.alert} == expected.ALERTS.keys()


PANELS = [
    pytest.param(panel, id=f"{board}-{panel['title']}")
    for board in BOARDS
    for panel in panels(board)
]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_says_what_it_shows_and_what_nothing_means(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    assert defaults["thresholds"]["steps"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    letters = [target["refId"] for target in panel["targets"]]
    assert letters
    assert letters == sorted(set(letters))


COST = re.compile(r"\bCost\b")


@pytest.mark.parametrize("panel", PANELS)
def test_what_is_not_set_up_says_how_to(panel):
    text = panel["fieldConfig"]["defaults"]["noValue"]
    if COST.search(panel["title"]) and panel["type"] != "table":
        assert "tokentrail prices" in text
    if text.startswith("Not set up"):
        assert ":" in text


def named_in_the_table(name):
    """Return the values that the table of telemetry names of an attribute."""
    every = (each for row in schema.METRICS for each in row.attributes if each.name == name)
    return set(re.findall(r"`(\w+)`", next(every).note))


FIXED = {
    "tokentrail_outcome": {each.value for each in Outcome},
    "tokentrail_usage_source": {each.value for each in Source},
    "tokentrail_input_part": {*semconv.INPUT_PARTS},
    "tokentrail_waste_reason": named_in_the_table(semconv.WASTE_REASON),
}
"""The values of labels that have the same colour everywhere."""


@pytest.mark.parametrize("panel", [p for p in PANELS if p.values[0]["type"] == "timeseries"])
def test_lines_can_be_read(panel):
    """Colours by name, no points, fills on stacks alone, the legend sorted, units in words."""
    defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
    custom = defaults["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    assert defaults["color"] == {"mode": "palette-classic-by-name"}
    assert custom["showPoints"] == "never"
    assert bool(custom["fillOpacity"]) == stacked
    assert custom["spanNulls"], "one call now and then is still a line"
    assert defaults["decimals"] is not None
    assert (options["legend"]["sortBy"], options["legend"]["sortDesc"]) == ("Last *", True)
    assert (options["tooltip"]["mode"], options["tooltip"]["sort"]) == ("multi", "desc")
    assert defaults["unit"] not in ("short", "reqps") or "tokentrail_internal" in json.dumps(panel)
    for word in ("per minute", "per second", "per hour"):
        if word in panel["title"]:
            assert f"/{word[4:7]}" in defaults["unit"] or f"/{word[4]}" in defaults["unit"]


@pytest.mark.parametrize("panel", [p for p in PANELS if p.values[0]["type"] == "timeseries"])
def test_outcomes_sources_and_reasons_have_the_same_colour_in_every_panel(panel):
    fixed = {
        each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"]
        for each in panel["fieldConfig"]["overrides"]
        if each["matcher"]["id"] == "byName"
    }
    for label, names in FIXED.items():
        if f"{{{{{label}}}}}" in panel["targets"][0]["legendFormat"]:
            assert fixed.keys() >= names
            assert len({fixed[name] for name in names}) == len(names)
    assert fixed.get("failed", "red") == "red"
    assert fixed.get("completed", "green") == "green"


@pytest.mark.parametrize("panel", [p for p in PANELS if p.values[0]["type"] == "timeseries"])
def test_models_of_one_service_have_hues_of_their_own(panel):
    """Grafana's colour by name is the same for o4-mini and gpt-4o-mini, whatever the service."""

    def hue(name):
        """Return the last override that is for a name, as Grafana applies them in turn."""
        shades = [None]
        for each in panel["fieldConfig"]["overrides"]:
            pattern = each["matcher"]["options"].strip("/")
            if each["matcher"]["id"] == "byRegexp" and re.search(pattern, name):
                assert each["properties"][0]["value"]["mode"] == "shades", "services differ"
                shades.append(each["properties"][0]["value"]["fixedColor"])
        return shades[-1]

    models = ("gpt-4o", "gpt-4o-mini", "o3", "o4-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")
    models += ("gpt-5.2", "gpt-5-mini", "gpt-5.1-nano", "text-embedding-3-small")
    hues = {hue(f"{model} / shop") for model in models}
    is_by_model = panel["targets"][0]["legendFormat"].startswith("{{gen_ai_request_model}}")
    assert len(hues - {None}) == (len(models) if is_by_model else 0)
    assert hue("our-own / shop") is None


TILES = [p for p in PANELS if p.values[0]["type"] == "stat"]


@pytest.mark.parametrize("panel", TILES)
def test_a_tile_says_which_time_its_number_covers(panel):
    (calc,) = panel["options"]["reduceOptions"]["calcs"]
    assert panel["options"]["textMode"] == "value_and_name"
    hidden = panel["options"]["reduceOptions"].get("fields")
    for target in panel["targets"]:
        if hidden and not re.search(hidden.strip("/"), target["legendFormat"]):
            continue  # a line that keeps the small one below the number
        said = {"sum": "shown", "lastNotNull": "15 min"}[calc]
        assert target["legendFormat"].endswith(said)
        assert ("[15m]" in target["expr"]) == (calc == "lastNotNull")


@pytest.mark.parametrize("board", BOARDS)
def test_a_title_says_over_which_time_a_panel_is_if_it_is_a_set_one(board):
    for panel in panels(board):
        asked = {
            found for t in panel["targets"] for found in re.findall(r"\[(15m|\$__range)", t["expr"])
        }
        if panel["type"] != "stat":
            assert panel["title"].endswith("15 min") == ("15m" in asked), panel["title"]
        if {"15m", "$__range"} <= asked:
            assert "of the time shown" in panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_a_legend_has_whole_rows(board):
    """It has 35 % of a panel less its title: of 7 lines two rows and the heading, of 9 three."""
    for panel in panels(board):
        if panel["type"] == "timeseries":
            legend = 0.35 * (panel["gridPos"]["h"] * 38 - 8 - 58)
            assert legend % 23 < 6, panel["title"]


LINKED = {"job": "var-service", LABEL: "var-by"}
"""Columns of the table of alerts that lead to the dashboard for them alone, and how."""


@pytest.mark.parametrize("board", BOARDS)
def test_a_cell_that_has_nothing_says_so(board):
    """A blank one reads as missing: an alert about no single model says any, and its link All."""
    for panel in (each for each in panels(board) if each["type"] == "table"):
        empty = {
            each["matcher"]["options"]: dict(map(itemgetter("id", "value"), each["properties"]))
            for each in panel["fieldConfig"]["overrides"]
        }
        for name, properties in empty.items():
            if name.startswith("Value #"):
                assert properties["noValue"].strip(), (panel["title"], name)
            if panel["title"] == "Firing alerts" and name in ("gen_ai_request_model", *LINKED):
                assert properties["noValue"] == "any"
            if panel["title"] == "Firing alerts" and name in LINKED:
                (link,) = properties["links"]
                assert f"{LINKED[name]}=${{__data.fields.{name}_or_all}}" in link["url"]
                assert empty[f"{name}_or_all"]["custom.hidden"]


@pytest.mark.parametrize("board", BOARDS)
def test_the_oldest_alert_is_the_first_and_says_since_when(board):
    """What does not fit is a symptom of what began before."""
    (panel,) = (each for each in panels(board) if each["title"] == "Firing alerts")
    assert panel["options"]["sortBy"] == [{"displayName": "Since", "desc": False}]
    (since,) = (
        each["properties"]
        for each in panel["fieldConfig"]["overrides"]
        if each["matcher"]["options"] == "Value"
    )
    assert {"id": "unit", "value": "time:HH:mm"} in since


@pytest.mark.parametrize("board", BOARDS)
def test_services_and_tenants_have_hues_that_are_read_in_dark_and_light(board):
    """Each name of letters has one; Grafana's colours by name are nearly white for some."""

    def brightness(color):
        parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return sum(n * share for n, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))

    named = ("{{job}}", f"{{{{{LABEL}}}}}")
    of_names = [p for p, t in _queries(board, "timeseries") if t["legendFormat"].startswith(named)]
    assert len(of_names) > 2
    for panel in of_names:
        hues = {
            each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"]
            for each in panel["fieldConfig"]["overrides"]
            if each["matcher"]["id"] == "byRegexp"
        }
        patterns = [
            re.compile(key.removeprefix("/").removesuffix("/i"), re.IGNORECASE) for key in hues
        ]
        for name in ("shop", "search", "Support", "acme", "globex", "initech", "umbrella"):
            assert len([p for p in patterns if p.match(name)]) == 1, name
        assert all(0.15 < brightness(color) < 0.55 for color in hues.values())
        assert len(set(hues.values())) == len(hues)


@pytest.mark.parametrize("board", BOARDS)
def test_panels_stand_beside_each_other(board):
    everything = dashboard(board)["panels"]
    folded = [panel["panels"] for panel in everything if panel.get("panels")]
    for group in (everything, *folded):
        taken: set[tuple[int, int]] = set()
        for panel in group:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells
    ids = [p["id"] for panel in everything for p in (panel, *panel.get("panels", ()))]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("board", BOARDS)
def test_the_first_screen_has_1080_lines(board):
    """A line of the grid is 38 pixels high, and what stands above the panels some 90."""
    rows = [panel for panel in dashboard(board)["panels"] if panel["type"] == "row"]
    assert rows[0]["gridPos"]["y"] * 38 + 90 <= 1080
    closed = {row["title"] for row in rows if row["collapsed"]}
    assert {
        "How good the numbers are",
        "tokentrail itself",
        "Limits and retries",
        "Why so many tokens",
    } <= closed


@pytest.fixture
def grouping():
    """Give what tells by which labels a query groups its result."""
    pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    from tests.dashboards import promql

    return lambda expr: promql.grouping(filled(expr))


def _linked(panel):
    return [unquote(link["url"]) for link in panel["fieldConfig"]["defaults"].get("links", ())]


def _queries(board, kind):
    return [
        (panel, target)
        for panel in panels(board)
        for target in panel["targets"]
        if panel["type"] == kind
    ]


@pytest.mark.parametrize("board", BOARDS)
def test_a_panel_of_one_service_and_model_leads_to_its_traces(board):
    by_model = [
        panel
        for panel, target in _queries(board, "timeseries")
        if "{{gen_ai_request_model}} / {{job}}" in target["legendFormat"]
    ]
    assert len(by_model) > 10
    for panel in by_model:
        tempo, jaeger = _linked(panel)
        for url, source in ((tempo, "tempo"), (jaeger, "jaeger")):
            assert url.startswith("/explore?")
            assert f'"uid":"${{{source}}}"' in url
            assert "${__field.labels.gen_ai_request_model}" in url
            assert "${__field.labels.job}" in url
        assert ("status = error" in tempo) == ("tokentrail.outcome=" in jaeger)
        assert ("status = error" in tempo) == panel["title"].startswith("Failed")
    assert "localhost" not in json.dumps(dashboard(board))


@pytest.mark.parametrize("board", BOARDS)
def test_a_panel_of_outcomes_leads_to_traces_of_that_outcome(board):
    by_outcome = [
        panel
        for panel, target in _queries(board, "timeseries")
        if target["legendFormat"] == "{{tokentrail_outcome}}"
    ]
    assert by_outcome
    for panel in by_outcome:
        (tempo,) = _linked(panel)
        assert 'span.tokentrail.outcome = \\"${__field.labels.tokentrail_outcome}\\"' in tempo


@pytest.mark.parametrize("board", BOARDS)
def test_every_row_of_a_table_is_a_link(board):
    tables = [panel for panel in panels(board) if panel["type"] == "table"]
    assert len(tables) == (2 if board == BOARDS[0] else 3)
    for panel in tables:
        properties = [p for o in panel["fieldConfig"]["overrides"] for p in o["properties"]]
        assert [p for p in properties if p["id"] == "links"], panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_no_two_series_of_a_panel_have_one_name(board, grouping):
    """A legend has every label that tells series apart, model first, and none that they lack."""
    for panel, target in _queries(board, "timeseries"):
        named = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        outer = re.match(r"[^\[]*?\bby \(([^)]*)\)", target["expr"])
        own = set(outer[1].split(", ")) if outer else set()
        assert own <= grouping(target["expr"])
        assert set(named) == own - {"le"}, panel["title"]
        assert len(named) == len(set(named))
        if "gen_ai_request_model" in named:
            assert named[0] == "gen_ai_request_model"
    for panel in panels(board):
        names = [target["legendFormat"] for target in panel["targets"]]
        assert len(names) == len(set(names)) or panel["type"] == "table", panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_quantiles_over_time_have_exemplars(board):
    """Prometheus keeps them with buckets: elsewhere the switch would be for nothing."""
    for _, target in _queries(board, "timeseries"):
        assert target.get("exemplar", False) == ("histogram_quantile" in target["expr"])


def test_every_query_can_be_read():
    promql_parser = pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    for target in targets():
        promql_parser.parse(filled(target.expr))
    for rule in rules():
        promql_parser.parse(rule.expr)


PARTS = {
    "histogram": ("_bucket", "_sum", "_count"),
    "counter": ("_total",),
    "up-down counter": ("",),
    "gauge": ("",),
}
PROMOTED = {"deployment_environment_name", "service_version"}
"""Labels that Prometheus makes of a resource where it is told to."""
BY_PRICES = {SPENT, PRICE, BUDGET, "ALERTS", "ALERTS_FOR_STATE"}
"""What the rules of ``tokentrail prices`` record, and Prometheus itself."""
UNITS = {"s": "_seconds", "1": "_ratio"}


def in_prometheus():
    """Return the labels of each series that the table of telemetry makes, by its name there."""
    series: dict[str, set[str]] = {}
    for row in schema.METRICS:
        unit = UNITS.get(row.instrument.unit, "")
        for part in PARTS[row.instrument.kind]:
            name = f"{row.name.replace('.', '_')}{unit}{part}"
            labels = {each.name.replace(".", "_") for each in row.attributes}
            series.setdefault(name, {"job", "le", *PROMOTED, LABEL}).update(labels)
    return series


def test_every_query_asks_for_a_metric_and_labels_of_the_table():
    """A name that the table of telemetry does not have shows nothing, and says so to nobody."""
    pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    from tests.dashboards import promql

    known, asked = in_prometheus(), set()
    recorded = {rule.name for rule in rules() if not rule.alert} | BY_PRICES
    for expr in (*(target.expr for target in targets()), *(rule.expr for rule in rules())):
        for name, labels in promql.selected(filled(expr)):
            if name not in recorded:
                assert labels <= known[name], (name, labels - known[name])
                asked.add(name)
    ours = {name for name in known if name.startswith("tokentrail_")}
    missing = {name for name in ours - asked if not name.endswith(("_sum", "_count", "_bucket"))}
    assert not missing


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.alert], ids=lambda r: r.name)
def test_every_alert_is_tested_to_fire_and_to_be_still(rule):
    cases = [
        case
        for test in yaml.safe_load(ALERTS.read_text("utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == rule.name
    ]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


def test_promtool_finds_no_fault_with_the_rules():
    subprocess.run([program("promtool"), "check", "rules", RULES], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_promtool_sees_the_alerts_fire(tmp_path):
    cases = tmp_path / "alerts.yml"
    (since,) = (target for target in targets(BOARDS[0]) if target.panel == "Firing alerts")
    text = ALERTS.read_text("utf-8").replace("[RULES]", f"[{RULES}]")
    cases.write_text(re.sub(r"(?<=expr: \()SINCE", lambda _: filled(since.expr), text), "utf-8")
    done = subprocess.run(
        [program("promtool"), "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_of_an_idle_service_is_not_a_number(tmp_path):
    """0 / 0 is NaN, which Grafana shows as a value: there must be nothing, so that it says why."""
    queries = {filled(target.expr) for target in targets()}
    queries |= {rule.expr for rule in rules() if not rule.alert}
    labels = {label: "some" for query in queries for label in promql.grouping(query)}
    idle = {
        _series(name, {**dict(sorted(labels.items())), "le": le, **equal})
        for query in queries
        for name, equal in promql.selectors(query)
        for le in ("1", "+Inf")
    }
    cases = tmp_path / "idle.yml"
    case = {
        "interval": "1m",
        "input_series": [{"series": one, "values": "7x120"} for one in sorted(idle)],
        "promql_expr_test": [
            {"expr": f"({query}) != ({query})", "eval_time": "110m", "exp_samples": []}
            for query in sorted(queries)
        ],
    }
    cases.write_text(yaml.safe_dump({"tests": [case]}), "utf-8")
    done = subprocess.run(
        [program("promtool"), "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _series(name: str, labels: dict[str, str]) -> str:
    """Return a series as promtool reads it; what is no histogram has no "le"."""
    shown = {k: v for k, v in labels.items() if k != "le" or name.endswith("_bucket")}
    return f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in shown.items())}}}"


NAMES = ["tokentrail.json", "tokentrail.rules.yml"]


def test_the_command_writes_them(tmp_path, capsys):
    there = tmp_path / "new" / "folder"
    assert cli.main(["dashboards", str(there)]) == 0
    assert sorted(p.name for p in there.iterdir()) == NAMES
    for name in NAMES:
        assert (there / name).read_bytes() == (FOLDER / name).read_bytes()
    assert capsys.readouterr().out.count(str(there)) == len(NAMES)
    assert cli.main(["dashboards", str(there)]) == 0


def test_edited_files_are_kept_unless_forced(tmp_path, capsys):
    mine = tmp_path / "tokentrail.rules.yml"
    mine.write_text("groups: []  # mine", "utf-8")
    assert cli.main(["dashboards", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert (output.out, mine.read_text("utf-8")) == ("", "groups: []  # mine")
    assert "tokentrail.rules.yml" in output.err
    assert "--force" in output.err
    assert cli.main(["dashboards", str(tmp_path), "--force"]) == 0
    assert mine.read_bytes() == RULES.read_bytes()


def test_where_it_cannot_write_it_says_so(tmp_path, capsys):
    (tmp_path / "file").write_text("", "utf-8")
    assert cli.main(["dashboards", str(tmp_path / "file")]) == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("label", "query", "annotation", "link", "legend"),
    [
        ("job", "sum by (job) (", "{{ $labels.job }}", "labels.job}", "{{job}}"),
        (
            "service_name",
            "sum by (service_name) (",
            "{{ $labels.service_name }}",
            "labels.service_name}",
            "{{service_name}}",
        ),
        (
            "service.name",
            'sum by ("service.name") (',
            "{{ index $labels `service.name` }}",
            'labels["service.name"]}',
            "{{service.name}}",
        ),
    ],
)
def test_a_store_may_name_services_by_another_label(
    tmp_path, label, query, annotation, link, legend
):
    assert cli.main(["dashboards", str(tmp_path), "--service-label", label]) == 0
    text = (tmp_path / "tokentrail.rules.yml").read_text("utf-8")
    assert query in text
    assert annotation in text
    assert "job:tokentrail_tokens:rate15m" in text, "a recording keeps its name"
    board = json.loads((tmp_path / "tokentrail.json").read_text("utf-8"))
    panel = next(p for p in board["panels"] if p["title"] == "Calls per minute by model")
    assert legend in panel["targets"][0]["legendFormat"]
    assert link in json.dumps(panel["fieldConfig"]).replace('\\"', '"')
    argument = f'"$1", "{label}", "(.+)")'
    assert argument in json.dumps(board).replace('\\"', '"')
    left = re.findall(r"\bjob\b(?!:)", text + json.dumps(board))
    assert bool(left) == (label == "job")


@pytest.mark.parametrize("command", [["dashboards", "there"], ["prices"]])
def test_a_label_that_is_none_is_refused(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--service-label", "service name"])
    assert ended.value.code == 2
    assert "'service name' is not a label" in capsys.readouterr().err


def test_the_command_adds_a_label_of_the_applications_own(tmp_path):
    assert cli.main(["dashboards", str(tmp_path), "--by", "user.team"]) == 0
    board = json.loads((tmp_path / "tokentrail.json").read_text("utf-8"))
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables["by"]["label"] == "user_team"
    assert variables["by"]["query"].endswith(", user_team)")
    titles = {panel["title"] for panel in board["panels"]}
    assert {
        "Cost per hour by user_team",
        "Calls, cost and tokens by user_team, sums of the time shown",
    } <= titles
    assert PLACEHOLDER not in json.dumps(board)


@pytest.mark.parametrize("name", ["job", "gen_ai_request_model", "error.type"])
def test_a_label_that_is_there_already_is_refused(tmp_path, capsys, name):
    with pytest.raises(SystemExit):
        cli.main(["dashboards", str(tmp_path), "--by", name])
    assert "is a label of the metrics themselves" in capsys.readouterr().err


def test_the_command_names_where_the_docs_are(tmp_path):
    where = "https://git.example/tokentrail/docs"
    assert cli.main(["dashboards", str(tmp_path), "--docs", where]) == 0
    for name in NAMES:
        text = (tmp_path / name).read_text("utf-8")
        assert f"{where}/" in text
        assert DOCS not in text


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.alert], ids=lambda r: r.name)
def test_every_alert_has_a_page_in_the_runbook_and_a_panel(rule):
    found = {panel["title"]: panel["id"] for panel in panels()}
    notes = rule.annotations
    assert notes["panel_url"].startswith(f"/d/tokentrail?viewPanel=panel-{found[notes['panel']]}&")
    page, _, anchor = notes["runbook_url"].removeprefix(f"{DOCS}/").partition("#")
    assert anchor == rule.name
    assert f'<a id="{anchor}"></a>' in (ROOT / "docs" / page).read_text("utf-8")
