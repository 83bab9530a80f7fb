"""The shipped files: up to date, complete, and every query of theirs in the proof."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from tests.dashboards import expected
from tests.dashboards.server import program
from tests.dashboards.shipped import (
    FOLDER,
    ROOT,
    RULES,
    VOCABULARIES,
    dashboard,
    filled,
    panels,
    rules,
    targets,
)

from tokentrail import cli
from tokentrail.cli.price_rules import COST
from tokentrail.telemetry import schema

ALERTS = Path(__file__).with_name("alerts.yml")


def test_the_dashboards_are_what_the_tool_makes():
    pytest.importorskip("grafana_foundation_sdk", reason="needs tokentrail[dashboards]")
    tool = ROOT / "tools" / "make_dashboards.py"
    done = subprocess.run(
        [sys.executable, tool, "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_no_panel_has_a_query_that_is_not_in_the_proof(vocabulary):
    keys = [target.key for target in targets(vocabulary)]
    assert len(keys) == len(set(keys)), "two panels of one name"
    assert set(keys) == expected.PANELS.keys()


def test_no_rule_is_left_out_of_the_proof():
    assert {rule.name for rule in rules() if not rule.alert} == expected.RECORDINGS.keys()
    assert {rule.name for rule in rules() if rule.alert} == expected.ALERTS.keys()


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_panel_says_what_it_shows(vocabulary):
    for panel in panels(vocabulary):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["targets"], panel["title"]
        assert len(panel["description"]) > 20
        assert panel["description"].endswith(".")
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_panels_stand_beside_each_other(vocabulary):
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(vocabulary)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in dashboard(vocabulary)["panels"]]
    assert len(ids) == len(set(ids))


@pytest.fixture
def grouping():
    """Give what tells by which labels a query groups."""
    pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    from tests.dashboards import promql

    return lambda expr: promql.grouping(filled(expr))


def _linked(panel):
    return [unquote(link["url"]) for link in panel["fieldConfig"]["defaults"].get("links", ())]


def _queries(vocabulary, kind):
    return [
        (panel, target)
        for panel in panels(vocabulary)
        for target in panel["targets"]
        if panel["type"] == kind
    ]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_a_panel_of_one_model_leads_to_its_traces(vocabulary, grouping):
    by_model = [
        panel
        for panel, target in _queries(vocabulary, "timeseries")
        if "gen_ai_request_model" in grouping(target["expr"])
    ]
    assert len(by_model) > 10
    for panel in by_model:
        tempo, jaeger = _linked(panel)
        assert "${tempo}" in tempo
        assert "${jaeger}" in jaeger
    assert any("__data.fields.gen_ai_request_model" in json.dumps(p) for p in panels(vocabulary))


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_jaeger_is_asked_for_the_service_of_the_series(vocabulary, grouping):
    """It knows no service of the name that the variable has for all of them."""
    linked = [
        (panel, target) for panel, target in _queries(vocabulary, "timeseries") if _linked(panel)
    ]
    assert linked
    for panel, target in linked:
        assert {"job", "gen_ai_request_model"} <= grouping(target["expr"]), panel["title"]
        assert "search?service=${__field.labels.job}&" in _linked(panel)[1]
    assert "service=${service}" not in json.dumps(dashboard(vocabulary))


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_no_two_series_of_a_panel_have_one_name(vocabulary, grouping):
    """A legend says every label that tells series apart, and no label that they lack."""
    for panel, target in _queries(vocabulary, "timeseries"):
        said = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        # where nothing is grouped by, there is one series, and its name is all that is needed
        assert set(said) == grouping(target["expr"]) - {"le"}, panel["title"]
        assert len(said) == len(set(said))
    for panel in panels(vocabulary):
        names = [target["legendFormat"] for target in panel["targets"]]
        assert len(names) == len(set(names)) or panel["type"] == "table", panel["title"]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_quantiles_have_exemplars(vocabulary):
    """Prometheus keeps them with buckets: elsewhere the switch would be for nothing."""
    for target in targets(vocabulary):
        ranges = "histogram_quantile" in target.expr and target.panel != "Calls, tokens and time"
        assert target.exemplar == ranges, target.key


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
}
UNITS = {"s": "_seconds", "1": "_ratio"}


def _in_prometheus():
    """Return the labels of each series that the table of telemetry makes, by its name there."""
    series: dict[str, set[str]] = {}
    for row in schema.METRICS:
        unit = UNITS.get(row.instrument.unit, "")
        for part in PARTS[row.instrument.kind]:
            name = f"{row.name.replace('.', '_')}{unit}{part}"
            labels = {each.name.replace(".", "_") for each in row.attributes}
            series.setdefault(name, {"job", "le"}).update(labels)
    return series


def test_every_query_asks_for_a_metric_and_labels_of_the_table():
    """A name that the table of telemetry does not have shows nothing, and says so to nobody."""
    pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    from tests.dashboards import promql

    known, asked = _in_prometheus(), set()
    recorded = {rule.name for rule in rules() if not rule.alert} | {COST}
    for expr in (*(target.expr for target in targets()), *(rule.expr for rule in rules())):
        for name, labels in promql.selected(filled(expr)):
            if name not in recorded:
                assert labels <= known[name], (name, labels - known[name])
                asked.add(name)
    ours = {name for name in known if name.startswith("tokentrail_")}
    assert not {name for name in ours - asked if not name.endswith(("_sum", "_count", "_bucket"))}


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
def test_promtool_sees_the_alerts_fire(tmp_path):
    cases = tmp_path / "alerts.yml"
    cases.write_text(ALERTS.read_text("utf-8").replace("[RULES]", f"[{RULES}]"), "utf-8")
    done = subprocess.run(
        [program("promtool"), "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


NAMES = ["tokentrail-latest.json", "tokentrail-released.json", "tokentrail.rules.yml"]


def test_the_command_writes_them(tmp_path, capsys):
    there = tmp_path / "new" / "folder"
    assert cli.main(["dashboards", str(there)]) == 0
    assert (
        sorted(p.name for p in there.iterdir()) == NAMES == sorted(p.name for p in FOLDER.iterdir())
    )
    for name in NAMES:
        assert (there / name).read_bytes() == (FOLDER / name).read_bytes()
    assert capsys.readouterr().out.count(str(there)) == len(NAMES)
    assert cli.main(["dashboards", str(there)]) == 0


def test_what_was_edited_is_kept_unless_told_otherwise(tmp_path, capsys):
    mine = tmp_path / "tokentrail.rules.yml"
    mine.write_text("groups: []  # mine", "utf-8")
    assert cli.main(["dashboards", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert (said.out, mine.read_text("utf-8")) == ("", "groups: []  # mine")
    assert "tokentrail.rules.yml" in said.err
    assert "--force" in said.err
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
    assert "job:tokentrail_tokens:rate5m" in text, "a recording keeps its name"
    board = json.loads((tmp_path / "tokentrail-released.json").read_text("utf-8"))
    panel = next(p for p in board["panels"] if p["title"] == "Calls by model")
    assert legend in panel["targets"][0]["legendFormat"]
    assert link in json.dumps(panel["fieldConfig"]).replace('\\"', '"')
    left = re.findall(r"\bjob\b(?!:)", text + json.dumps(board))
    assert bool(left) == (label == "job")


@pytest.mark.parametrize("command", [["dashboards", "there"], ["prices"]])
def test_a_label_that_is_none_is_refused(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--service-label", "service name"])
    assert ended.value.code == 2
    assert "'service name' is no label" in capsys.readouterr().err
