"""``--by``: dashboards, rules and prices by a label of the application's own, such as a tenant.

The label must be on metrics: name it in the setting ``custom_metric_attributes``.
"""

from __future__ import annotations

import argparse
import re
from typing import Final

from tokentrail.cli.promql_rules import promql_name

PLACEHOLDER: Final = "tokentrail_by"
"""Placeholder for the label in the shipped files."""
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_TAKEN: Final = re.compile(r"job|instance|le|(gen_ai|tokentrail|openai|server|error)[._].*")


def add_option(parser: argparse.ArgumentParser, meaning: str, *, again: bool = False) -> None:
    """Add ``--by`` to a command's parser; ``again``: the option may be repeated."""
    parser.add_argument(
        "--by",
        type=_label,
        action="append" if again else "store",
        default=[] if again else None,
        metavar="NAME",
        help=f"{meaning}; an attribute of tokentrail.attributes() that custom_metric_attributes"
        " puts on metrics, such as tenant or feature",
    )


def labelled(text: str, label: str) -> str:
    """Return a shipped text with ``label`` in place of the placeholder."""
    return text.replace(PLACEHOLDER, label)


def _label(given: str) -> str:
    """Return the label that Prometheus makes of an attribute's name."""
    if not _NAME.fullmatch(given):
        message = f"{given!r} is not an attribute: use letters, digits, _ and dots, like tenant"
        raise argparse.ArgumentTypeError(message)
    if _TAKEN.fullmatch(given):
        message = f"{given!r} is a label of the metrics themselves: name one of yours, like tenant"
        raise argparse.ArgumentTypeError(message)
    return promql_name(given)
