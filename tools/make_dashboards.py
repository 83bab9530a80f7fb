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
from typing import TYPE_CHECKING, Any
from zlib import crc32

import dashboard_panels as shown
import dashboard_queries as asked
from dashboard_explain import explain_row
from dashboard_links import docs_link, service_link, trace_links
from dashboard_tools import tools_row
from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "src" / "tokentrail" / "dashboards"
FILES = {"tokentrail.json": False, "tokentrail-by.json": True}
"""Each file, and whether it has the label of ``--by``."""
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24
LEAST_INTERVAL = "2m"
"""Between two points, so that a line is made of more than a call or two."""
HASH = 3
"""What the first letter counts for, beside the second."""
GAP = 10 * 60 * 1000
"""Milliseconds without a point that a line bridges: seldom calls are still a line."""


def main() -> int:
    """Write the files, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is stale")
    check = parser.parse_args().check
    stale = []
    for name, by in FILES.items():
        path, text = FOLDER / name, rendered(by=by)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if stale and check:
        print(f"stale: {', '.join(stale)}; run python tools/make_dashboards.py", file=sys.stderr)
        return 1
    print(f"written: {', '.join(stale)}" if stale else "up to date")
    return 0


def rendered(*, by: bool) -> str:
    """Return a dashboard's JSON."""
    made = _plain(board(by=by))
    made["panels"] = list(_placed(_rows(by=by)))
    for variable in made["templating"]["list"]:
        del variable["id"]  # one and the same for all
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _rows(*, by: bool) -> Iterator[shown.Row]:
    """Yield all rows: those of other modules stand where a reader would look for them."""
    for row in shown.rows(by=by):
        yield row
        if row.title == "Tokens":
            yield explain_row(by=by)
    yield tools_row(by=by)


def board(*, by: bool) -> dashboard.Dashboard:
    """Return the builder of a dashboard, without its panels."""
    built = (
        dashboard.Dashboard("tokentrail")
        .uid("tokentrail")
        .description(
            "Calls of the openai client as tokentrail records them: outcomes, tokens, cost and"
            " time. It reads both vocabularies (the setting metric_names)."
        )
        .tags(["tokentrail", "gen_ai", "openai"])
        .time("now-2h", "now")
        .timezone("browser")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(docs_link())
        .link(
            dashboard.DashboardLink("Other dashboards of GenAI")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["gen_ai"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
        )
    )
    for variable in variables(by=by):
        built = built.with_variable(variable)
    return built


def variables(*, by: bool) -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    """Yield the variables, in the order in which one narrows the next."""
    yield dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    chosen: list[str] = []
    for name, title, label in (
        ("environment", "Environment", asked.ENVIRONMENT),
        ("version", "Version", asked.VERSION),
        ("service", "Service", asked.JOB),
        ("provider", "Provider", asked.PROVIDER),
        ("model", "Model", asked.MODEL),
        *([("by", asked.BY, asked.BY)] if by else []),
    ):
        where = f"{{{', '.join(chosen)}}}" if chosen else ""
        yield (
            dashboard.QueryVariable(name)
            .label(title)
            .datasource(SOURCE)
            .query(f"label_values({asked.CALLS}{where}, {label})")
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
        )
        chosen.append(f'{label}=~"${name}"')
    for name in ("tempo", "jaeger"):
        yield dashboard.DatasourceVariable(name).label(name.capitalize()).type(name)


def _placed(rows: tuple[shown.Row, ...]) -> Iterator[dict[str, Any]]:
    """Yield rows and panels, each below or beside the one before."""
    top = 0
    for row in rows:
        heading = _heading(row, top) if row.title else None
        if heading is not None:
            yield heading
            top += 1
        folded: list[dict[str, Any]] = []
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left = top + height, 0
            made = _built(panel)
            made["gridPos"] = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            left, height = left + panel.width, panel.height
            folded.append(made)
        if row.folded and heading is not None:
            heading["panels"] = folded
            top = heading["gridPos"]["y"] + 1
        else:
            yield from folded
            top += height


def _heading(row: shown.Row, top: int) -> dict[str, Any]:
    return {
        "type": "row",
        "id": _number(f"row {row.title}"),
        "title": row.title,
        "collapsed": row.folded,
        "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def _number(title: str) -> int:
    """Return a panel's number: it stays the same when others come, for links lead to it."""
    return crc32(title.encode()) % 100_000


def _built(panel: shown.Panel) -> dict[str, Any]:
    draw = {"stat": _stat, "timeseries": _lines, "table": _table, "heatmap": _heatmap}[panel.kind]
    steps = [models.Threshold(value=value, color=color) for value, color in panel.steps]
    built = (
        draw(panel)
        .title(", ".join(filter(None, [panel.title, panel.over])))
        .description(panel.about)
        .datasource(SOURCE)
        .unit(panel.unit)
        .no_value(panel.empty)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    )
    if panel.kind != "table":
        built = built.interval(panel.stretch or LEAST_INTERVAL)
    if panel.decimals is not None:
        built = built.decimals(panel.decimals)
    if panel.least is None or panel.least[0] == 0:
        built = built.min(0)
    if panel.most is not None:
        built = built.max(panel.most)
    if panel.traces and panel.kind != "table":
        built = built.data_links(trace_links(panel.traces))
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(panel, letter, query))
    return {**_plain(built), "id": _number(panel.title)}


def _plain(builder: Any) -> dict[str, Any]:
    """Return what a builder builds as JSON has it; not set is not null."""
    made = json.loads(json.dumps(builder.build(), cls=JSONEncoder))
    return {key: value for key, value in made.items() if value is not None}


def _target(panel: shown.Panel, letter: str, query: shown.Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
    target = target.instant() if query.instant else target.range()
    if panel.kind == "table":
        target = target.format(PromQueryFormat.TABLE)
    if panel.kind == "heatmap":
        target = target.format(PromQueryFormat.HEATMAP)
    if query.exemplars:
        target = target.exemplar(exemplar=True)
    return target.legend_format(query.legend or "__auto")


def _stat(panel: shown.Panel) -> stat.Panel:
    reduce = common.ReduceDataOptions().calcs([panel.calc]).values(values=False)
    names = [query.legend for query in panel.queries if query.legend != shown.HIGHER]
    if len(names) < len(panel.queries):
        reduce = reduce.fields(f"/^{names[0]}$/")
    several, text = len(names) > 1, common.VizTextDisplayOptions()
    return (
        stat.Panel()
        .reduce_options(reduce)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .text_mode(common_models.BigValueTextMode.VALUE_AND_NAME)
        .text(text.title_size(11 if several else 12).value_size(18 if several else 28))
    )


def _lines(panel: shown.Panel) -> lines.Panel:
    dashed = common_models.GraphTresholdsStyleMode
    style = dashed.DASHED if len(panel.steps) > 1 else dashed.OFF
    by_name = dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    built = (
        lines.Panel()
        .fill_opacity(70 if panel.stacked else 0)
        .line_width(0 if panel.stacked else 2)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(GAP)
        .color_scheme(by_name)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull"])
            .sort_by("Last *")
            .sort_desc(sort_desc=True)
        )
    )
    if panel.least is not None:
        built = built.axis_soft_min(panel.least[0]).axis_soft_max(panel.least[1])
    for pattern, color in _hues(panel.queries[0].legend):
        shade = {"mode": "shades", "fixedColor": color}
        value = models.DynamicConfigValue(id_val="color", value=shade)
        built = built.override_by_regexp(pattern, [value])
    for name, color in panel.colors.items():
        fixed = {"mode": "fixed", "fixedColor": color}
        value = models.DynamicConfigValue(id_val="color", value=fixed)
        built = built.override_by_name(name, [value])
    if panel.stacked:
        normal = common_models.StackingMode.NORMAL
        built = built.stacking(common.StackingConfig().group("A").mode(normal))
    return built


def _hues(legend: str) -> Iterator[tuple[str, str]]:
    """Yield patterns of names and a hue for each, the later the narrower."""
    if legend.startswith(asked.legend(asked.MODEL)):
        yield from ((f"/{pattern}/", color) for pattern, color in shown.MODELS.items())
    elif asked.legend(asked.JOB) in legend or asked.legend(asked.BY) in legend:
        yield from ((_spread(place), color) for place, color in enumerate(shown.HUES))


def _spread(place: int) -> str:
    """Return the pattern of names that have this place among the hues: a hash of two letters."""
    letters, hues = string.ascii_lowercase, len(shown.HUES)
    pairs = (
        first + "[" + letters[(place - HASH * number) % hues :: hues] + "]"
        for number, first in enumerate(letters)
    )
    return f"/^({'|'.join(pairs)})/i"


def _heatmap(panel: shown.Panel) -> heatmap.Panel:
    colors = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME)
    return (
        heatmap.Panel()
        .calculate(calculate=False)
        .color(colors.scheme("Blues").steps(64))
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .cell_gap(1)
    )


def _table(panel: shown.Panel) -> table.Panel:
    order = {column.name: place for place, column in enumerate(panel.columns)}
    hidden = {"Time": True}
    sorted_by = common.TableSortByFieldState().display_name(panel.sort)
    built = (
        table.Panel()
        .cell_height(common_models.TableCellHeight.SM)
        .sort_by([sorted_by.desc(desc=not panel.ascending)])
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize", options={"excludeByName": hidden, "indexByName": order}
            )
        )
    )
    for column in panel.columns:
        built = built.override_by_name(column.name, list(_column(panel, column)))
    return built


def _column(panel: shown.Panel, column: shown.Column) -> Iterator[models.DynamicConfigValue]:
    def value(name: str, of: object) -> models.DynamicConfigValue:
        return models.DynamicConfigValue(id_val=name, value=of)

    yield value("displayName", column.title)
    if column.name.startswith("Value"):
        yield value("unit", column.unit)
    if column.decimals is not None:
        yield value("decimals", column.decimals)
    if column.empty:
        yield value("noValue", column.empty)
    if column.width is not None:
        yield value("custom.width", column.width)
    if column.steps:
        steps = [{"value": at, "color": color} for at, color in column.steps]
        yield value("thresholds", {"mode": "absolute", "steps": steps})
    if column.color:
        yield value("custom.cellOptions", {"type": "color-text"})
    if column.hidden:
        yield value("custom.hidden", of=True)
        yield value("custom.hideFrom", {"viz": True})  # what Grafana 12 made of it
    links = _links_of(panel, column.name)
    if links:
        yield value("links", [{**_plain(link), "targetBlank": True} for link in links])


def _links_of(panel: shown.Panel, name: str) -> list[dashboard.DashboardLink]:
    if name == asked.MODEL and panel.traces:
        return trace_links("model", in_table=True)
    if name == "alert":
        return [docs_link(shown.ALERT + "${__data.fields.alert}")]
    if name in (asked.JOB, asked.BY):
        there = {column.name for column in panel.columns}
        field = asked.choice(name) if asked.choice(name) in there else name
        return [service_link(field, "by" if name == asked.BY else "service")]
    return []


if __name__ == "__main__":
    sys.exit(main())
