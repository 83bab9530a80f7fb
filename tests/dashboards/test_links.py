"""Where links lead: nobody clicks them here, so every address is taken apart."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.dashboards.shipped import BOARDS, ROOT, dashboard, panels, rules

from tokentrail.cli.docs_option import DOCS
from tokentrail.telemetry import schema, semconv

FILLED = {
    "datasource:queryparam": "var-datasource=main",
    "__url_time_range": "from=1&to=2",
    "__from": "1",
    "__to": "2",
    "tempo": "my-tempo",
    "jaeger": "my-jaeger",
}
"""What Grafana puts in place of variables; in that of labels and fields comes a value."""
SPANS = {each.name for each in schema.SPAN}


def links(board):
    """Return the addresses of a dashboard, each with where it stands, filled as Grafana does."""
    found = [("dashboard", link) for link in dashboard(board)["links"] if link["type"] == "link"]
    for panel in panels(board):
        config = panel["fieldConfig"]
        properties = [p for each in config["overrides"] for p in each["properties"]]
        own = [link for p in properties if p["id"] == "links" for link in p["value"]]
        found += [(panel["title"], link) for link in (*config["defaults"].get("links", ()), *own)]
    return [(where, filled(link["url"])) for where, link in found]


def filled(url):
    """Return an address without variables."""
    return re.sub(r"\$\{([^}]+)\}", lambda found: FILLED.get(found[1], "acme"), url)


LINKS = [
    pytest.param(board, url, id=f"{board}-{where}-{url[:30]}")
    for board in BOARDS
    for where, url in links(board)
]


@pytest.mark.parametrize(("board", "url"), LINKS)
def test_a_link_leads_somewhere(board, url):
    """To a page and a place of the docs, to this dashboard, or to a query in Explore."""
    assert "$" not in url
    if url.startswith(DOCS):
        page, _, place = url.removeprefix(f"{DOCS}/").partition("#")
        text = (ROOT / "docs" / page).read_text("utf-8")
        assert not place or 'id="Tokentrail' in text, "an alert's place has its name"
        return
    parts = urlsplit(url)
    asked = parse_qs(parts.query, strict_parsing=True)
    if parts.path == "/explore":
        (pane,) = json.loads(asked["panes"][0]).values()
        _check_pane(pane)
        return
    shown = dashboard(board)
    assert parts.path == f"/d/{shown['uid']}"
    variables = {each["name"] for each in shown["templating"]["list"]}
    assert {name[4:] for name in asked if name.startswith("var-")} <= variables


def _check_pane(pane):
    (query,) = pane["queries"]
    assert query["datasource"]["uid"] == pane["datasource"]
    assert pane["datasource"] == f"my-{query['datasource']['type']}"
    assert pane["range"] == {"from": "1", "to": "2"}
    if query["datasource"]["type"] == "jaeger":
        assert (query["queryType"], query["service"]) == ("search", "acme")
        tags = dict(re.findall(r'([\w.]+)="?(\w+)"?', query["tags"]))
        assert tags.pop(semconv.OUTCOME, "failed") == "failed"
        assert set(tags) == {semconv.REQUEST_MODEL}
        return
    assert query["queryType"] == "traceql"
    conditions = re.fullmatch(r"\{ (.+) \}", query["query"])[1].split(" && ")
    for condition in conditions:
        name = re.fullmatch(r'(?:(span|resource)\.)?([\w.]+) = ("acme"|error)', condition)
        assert name, condition
        if name[1] == "span":
            assert name[2] in SPANS
        else:
            assert name[2] in ("service.name", "status")


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.alert], ids=lambda r: r.name)
def test_the_panel_of_an_alert_is_in_both_dashboards(rule):
    for board in BOARDS:
        ids = {panel["title"]: panel["id"] for panel in panels(board)}
        assert f"viewPanel=panel-{ids[rule.annotations['panel']]}&" in rule.annotations["panel_url"]
