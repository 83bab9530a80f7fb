"""Write the Grafana dashboards of src/tokentrail/dashboards, or say whether they are up to date.

    python tools/make_dashboards.py [--check]

What they show stands in dashboard_panels.py. Needs tokentrail[dashboards] and Python 3.11.
"""

from __future__ import annotations

import argparse
import json
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import dashboard_panels as shown
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "src" / "tokentrail" / "dashboards"
HEIGHTS = {"stat": 4, "timeseries": 9, "table": 9}
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

_ROW = "${__data.fields.%s}"
_SERIES = "${__field.labels.%s}"

TableOrder = {
    shown.JOB: "Service",
    shown.PROVIDER: "Provider",
    shown.OPERATION: "Operation",
    shown.MODEL: "Model",
    "Value #A": "Calls",
    "Value #B": "Failed",
    "Value #C": "Input tokens",
    "Value #D": "Output tokens",
    "Value #E": "p95 duration",
}


def main() -> int:
    """Write the files, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is stale")
    check = parser.parse_args().check
    stale = []
    for vocabulary in shown.VOCABULARIES:
        path, text = FOLDER / f"tokentrail-{vocabulary.name}.json", rendered(vocabulary)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not check:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and check:
        print(f"stale: {', '.join(stale)}; run python tools/make_dashboards.py", file=sys.stderr)
        return 1
    print(f"written: {', '.join(stale)}" if stale else "up to date")
    return 0


def rendered(vocabulary: shown.Vocabulary) -> str:
    """Return a dashboard's JSON."""
    made = json.loads(json.dumps(board(vocabulary).build(), cls=JSONEncoder))
    for number, panel in enumerate(made["panels"], start=1):
        panel["id"] = number  # the builder numbers none, and links to a panel need one
        if panel.get("options", {}) is None:
            del panel["options"]  # not set is not null
    for variable in made["templating"]["list"]:
        del variable["id"]  # one and the same for all
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def board(vocabulary: shown.Vocabulary) -> dashboard.Dashboard:
    """Return the builder of a dashboard."""
    built = (
        dashboard.Dashboard(f"tokentrail ({vocabulary.name} names)")
        .uid(f"tokentrail-{vocabulary.name}")
        .description(
            "Calls of the openai client, their tokens and time, as tokentrail tells them under the"
            f" names of {vocabulary.about}."
        )
        .tags(["tokentrail", "gen_ai", "openai"])
        .time("now-1h", "now")
        .timezone("browser")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for variable in variables():
        built = built.with_variable(variable)
    for row in shown.rows(vocabulary):
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(drawn(panel))
    return built


def variables() -> Iterator[
    dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.TextBoxVariable
]:
    """Yield the variables, in the order in which one narrows the next."""
    yield dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    chosen: list[str] = []
    for name, title, label in (
        ("service", "Service", shown.JOB),
        ("provider", "Provider", shown.PROVIDER),
        ("model", "Model", shown.MODEL),
    ):
        where = f"{{{', '.join(chosen)}}}" if chosen else ""
        yield (
            dashboard.QueryVariable(name)
            .label(title)
            .datasource(SOURCE)
            .query(f"label_values({shown.CALLS}{where}, {label})")
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
        )
        chosen.append(f'{label}=~"${name}"')
    yield dashboard.DatasourceVariable("tempo").label("Tempo").type("tempo")
    address = "http://localhost:16686"
    yield (
        dashboard.TextBoxVariable("jaeger")
        .label("Jaeger")
        .default_value(address)
        .current(models.VariableOption(selected=True, text=address, value=address))
    )


def drawn(panel: shown.Panel) -> timeseries.Panel | stat.Panel | table.Panel:
    """Return a panel's builder, whatever its kind."""
    draw = {"stat": _stat, "timeseries": _timeseries, "table": _table}[panel.kind]
    steps = [models.Threshold(value=value, color=color) for value, color in panel.steps]
    built = (
        draw(panel)
        .title(panel.title)
        .description(panel.about)
        .datasource(SOURCE)
        .unit(panel.unit)
        .min(0)
        .height(HEIGHTS[panel.kind])
        .span(panel.width)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    )
    if panel.most is not None:
        built = built.max(panel.most)
    if panel.traces and panel.kind != "table":
        built = built.data_links(links(_SERIES))
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(panel, letter, query))
    return built


def _target(panel: shown.Panel, letter: str, query: shown.Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
    target = target.instant() if query.instant else target.range()
    if panel.kind == "table":
        target = target.format(PromQueryFormat.TABLE)
    if query.exemplars:
        target = target.exemplar(exemplar=True)
    return target.legend_format(query.legend or "__auto")


def _stat(panel: shown.Panel) -> stat.Panel:
    reduce = common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
    return (
        stat.Panel()
        .reduce_options(reduce)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
    )


def _timeseries(panel: shown.Panel) -> timeseries.Panel:
    lines = common_models.GraphTresholdsStyleMode
    style = lines.DASHED if len(panel.steps) > 1 else lines.OFF
    built = (
        timeseries.Panel()
        .fill_opacity(30 if panel.stacked else 10)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["mean", "lastNotNull"])
        )
    )
    if panel.stacked:
        built = built.stacking(
            common.StackingConfig().group("A").mode(common_models.StackingMode.NORMAL)
        )
    return built


def _table(panel: shown.Panel) -> table.Panel:
    del panel
    order = {name: place for place, name in enumerate(TableOrder)}
    built = (
        table.Panel()
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True}, "indexByName": order},
            )
        )
    )
    for name, title in TableOrder.items():
        told = [models.DynamicConfigValue(id_val="displayName", value=title)]
        if name == "Value #E":
            told.append(models.DynamicConfigValue(id_val="unit", value="s"))
        if name == shown.MODEL:
            found = [
                {"title": link.build().title, "url": link.build().url, "targetBlank": True}
                for link in links(_ROW)
            ]
            told.append(models.DynamicConfigValue(id_val="links", value=found))
        built = built.override_by_name(name, told)
    return built


def links(template: str) -> list[dashboard.DashboardLink]:
    """Return links to the traces of the model under the cursor, in Tempo and in Jaeger.

    Jaeger is asked for one service at a time, so there it is the service under the cursor's, too.
    """
    model = template % shown.MODEL
    pane = {
        "datasource": "${tempo}",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "${tempo}"},
                "queryType": "traceql",
                "query": f'{{ span.{semconv.REQUEST_MODEL} = "{model}" }}',
            }
        ],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    tags = {semconv.REQUEST_MODEL: model}
    tempo = f"/explore?schemaVersion=1&orgId=1&panes={_quoted({'traces': pane})}"
    jaeger = (
        f"${{jaeger}}/search?service={template % shown.JOB}&tags={_quoted(tags)}"
        "&start=${__from}000&end=${__to}000"
    )
    return [
        dashboard.DashboardLink("Traces of this model in Tempo").url(tempo).target_blank(True),  # noqa: FBT003 - the builder's signature
        dashboard.DashboardLink("Traces of this service and model in Jaeger")
        .url(jaeger)
        .target_blank(True),  # noqa: FBT003 - the builder's signature
    ]


def _quoted(value: object) -> str:
    """Return JSON as a part of a URL, in which Grafana still finds its variables."""
    return quote(json.dumps(value, separators=(",", ":")), safe="${}.:,[]_")


if __name__ == "__main__":
    sys.exit(main())
