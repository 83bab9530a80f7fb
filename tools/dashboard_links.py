"""Where a series or a row of a dashboard leads: traces by data source, dashboards, docs."""

from __future__ import annotations

import json
from urllib.parse import quote

from dashboard_queries import JOB, MODEL, OUTCOME
from grafana_foundation_sdk.builders import dashboard

from tokentrail.cli.docs_option import DOCS
from tokentrail.telemetry import semconv

_ROW = "${__data.fields.%s}"
_SERIES = "${__field.labels.%s}"


def trace_links(of: str, *, in_table: bool = False) -> list[dashboard.DashboardLink]:
    """Return links to the traces behind a series or row, in Tempo and in Jaeger.

    ``of``: ``model``, ``error`` (of that model, failed ones only) or ``outcome``. Each opens
    Explore with the data source that is chosen at the top. Jaeger is asked for one service at a
    time, so there is no link to it from what is summed over services.
    """
    template = _ROW if in_table else _SERIES
    model, job = template % MODEL, template % JOB
    if of == "outcome":
        outcome = template % OUTCOME
        query = f'{{ span.{semconv.OUTCOME} = "{outcome}" }}'
        return [_link("Traces of this outcome in Tempo", _explore("tempo", _tempo(query)))]
    failed = of == "error"
    query = f'span.{semconv.REQUEST_MODEL} = "{model}" && resource.service.name = "{job}"'
    query += " && status = error" if failed else ""
    tags = f'{semconv.REQUEST_MODEL}="{model}"'
    # not error=true: Jaeger 2.19 that keeps spans in memory finds nothing by it
    tags += f' {semconv.OUTCOME}="failed"' if failed else ""
    what = "Failed traces" if failed else "Traces"
    jaeger = {"queryType": "search", "service": job, "tags": tags, "limit": 50}
    return [
        _link(
            f"{what} of this service and model in Tempo",
            _explore("tempo", _tempo(f"{{ {query} }}")),
        ),
        _link(f"{what} of this service and model in Jaeger", _explore("jaeger", jaeger)),
    ]


def service_link(label: str, variable: str) -> dashboard.DashboardLink:
    """Return a link to this dashboard for the row under the cursor alone."""
    here = "/d/tokentrail?${__url_time_range}&${datasource:queryparam}"
    return _link("This dashboard, for it alone", f"{here}&var-{variable}={_ROW % label}")


def docs_link(alert: str = "") -> dashboard.DashboardLink:
    """Return a link to the page of the dashboards, or to that of an alert."""
    if alert:
        return _link("What to do: the runbook", f"{DOCS}/runbooks.md#{alert}")
    return _link("Docs", f"{DOCS}/dashboards.md")


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).url(url).target_blank(target_blank=True)


def _tempo(query: str) -> dict[str, object]:
    return {"queryType": "traceql", "query": query, "limit": 50}


def _explore(source: str, query: dict[str, object]) -> str:
    reference = {"type": source, "uid": f"${{{source}}}"}
    pane = {
        "datasource": f"${{{source}}}",
        "queries": [{"refId": "A", "datasource": reference, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    return f"/explore?schemaVersion=1&orgId=1&panes={_quoted({'traces': pane})}"


def _quoted(value: object) -> str:
    """Return JSON as a part of a URL, in which Grafana still finds its variables."""
    return quote(json.dumps(value, separators=(",", ":")), safe="${}.:,[]_")
