"""``--service-label``: dashboards and rules for stores in which services have another label.

Prometheus turns ``service.name`` into ``job``; VictoriaMetrics has ``service_name``, others
``service.name``. A name with a dot is quoted in PromQL's UTF-8 syntax.
"""

from __future__ import annotations

import argparse
import json
import re
from functools import partial
from typing import Final

JOB: Final = "job"
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_PLACES: Final = re.compile(
    r"\{\{ \$labels\.job \}\}"  # an annotation of an alert
    r"|\.(?P<of>labels|fields)\.job\}"  # a link of Grafana
    r"|\{\{job\}\}"  # a legend of Grafana
    r'|"job"'  # a column of a table
    r'|\\"job\\"'  # an argument of PromQL
    r"|(?<![\w:.])job(?![\w:])"  # PromQL, but for the names of recordings
)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--service-label`` to a command's parser."""
    parser.add_argument(
        "--service-label",
        type=_label,
        default=JOB,
        metavar="NAME",
        help="the label that names a service in your store (default: job, as Prometheus has it;"
        " service_name in VictoriaMetrics)",
    )


def relabelled(text: str, label: str, *, in_json: bool = False) -> str:
    """Return a file's text with ``label`` in place of ``job``; ``in_json``: it is JSON."""
    if label == JOB:
        return text
    quote = json.dumps(f'"{label}"')[1:-1] if in_json else f'"{label}"'
    return _PLACES.sub(partial(_named, label=label, quoted=quote if "." in label else label), text)


def _named(found: re.Match[str], *, label: str, quoted: str) -> str:
    place = found[0]
    if place == JOB:
        return quoted
    if label == quoted or place in ('"job"', r"\"job\"", "{{job}}"):
        return place.replace(JOB, label)
    if found["of"]:
        return f".{found['of']}[{quoted}]}}"
    return f"{{{{ index $labels `{label}` }}}}"


def _label(given: str) -> str:
    if _NAME.fullmatch(given):
        return given
    message = f"{given!r} is not a label: use letters, digits, _ and dots, like service_name"
    raise argparse.ArgumentTypeError(message)
