"""``tokentrail reconcile``: the bill compared with recorded telemetry."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual, status

if TYPE_CHECKING:
    from tokentrail.cli.command import Commands

_PROVIDER: Final = "openai"
_URL: Final = "https://api.openai.com/v1"
_ABOUT: Final = """\
Compares the tokens that OpenAI billed with those recorded in Prometheus, by
model and direction, for whole days of UTC. If they differ, it shows the reasons
that the numbers give. It reads the bill with OPENAI_ADMIN_KEY, an admin key,
writes nothing, and connects only to the addresses that you name.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail reconcile --from 2026-11-01 --to 2026-11-07 \\
      --prometheus http://localhost:9090
  tokentrail reconcile --from 2026-11-01 --to 2026-11-30 \\
      --prometheus http://localhost:9090 --billed azure.csv \\
      --selector 'gen_ai_provider_name="azure.ai.openai"'

"""
_EXIT_CODES: Final = "exit codes: 0 within the tolerance, 1 beyond it, 2 it could not be compared"


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    reconcile = commands.add_parser(
        "reconcile",
        help="compare the provider's bill with what telemetry has",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    for option, name, about in (
        ("--from", "first", "the first day, like 2026-11-01"),
        ("--to", "last", "the last day, which must be over in UTC"),
    ):
        reconcile.add_argument(
            option, dest=name, type=_day, required=True, metavar="DAY", help=about
        )
    reconcile.add_argument(
        "--prometheus", required=True, metavar="URL", help="where the metrics are"
    )
    reconcile.add_argument(
        "--selector", default="", metavar="PROMQL", help="""only these series: 'job="shop"'"""
    )
    reconcile.add_argument(
        "--billed", metavar="FILE", help="a bill as CSV: model,direction,tokens (for Azure)"
    )
    reconcile.add_argument(
        "--openai", default=_URL, metavar="URL", help="where the bill is (default: %(default)s)"
    )
    reconcile.add_argument(
        "--tolerance",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="the share of the bill that may differ: 0.02 or 2%% (default: 1%%)",
    )
    reconcile.add_argument("--json", action="store_true", help="print an object, for programs")
    reconcile.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    # Reading is slow to import, and other commands do not need it.
    from tokentrail.cli.reconcile import bill, comparison, output, prometheus
    from tokentrail.cli.reconcile.facts import Days

    days = Days(asked.first, asked.last)
    _check(asked)
    store = prometheus.Prometheus(asked.prometheus)
    if asked.billed is not None:
        billed, provider = bill.billed_in_file(asked.billed), None
    else:
        with status("reading the bill"):
            billed, provider = bill.billed_by_openai(days, asked.openai), _PROVIDER
    with status("reading telemetry"):
        ours = prometheus.recorded(store, days, asked.selector, provider)
    found = comparison.compare(billed, ours, asked.tolerance)
    printed = output.as_json if asked.json else output.as_table
    print(printed(found, days, asked.tolerance))
    return 0 if found.agrees else 1


def _check(asked: argparse.Namespace) -> None:
    from tokentrail.cli.reconcile.facts import is_url

    if asked.last < asked.first:
        message = f"--to {asked.last} is before --from {asked.first}: exchange them"
        raise CommandError(message, code=2)
    today = datetime.now(timezone.utc).date()
    if asked.last >= today:
        message = f"--to {asked.last} is not over: it is {today} in UTC, so choose an earlier day"
        raise CommandError(message, code=2)
    if not is_url(asked.openai):
        message = f"--openai is not a URL: write it like {_URL}"
        raise CommandError(message, code=2)


def _day(given: str) -> date:
    with suppress(ValueError):
        return datetime.strptime(given, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a time
    message = f"{given!r} is not a day: write it like 2026-11-01"
    raise argparse.ArgumentTypeError(message)


def _share(given: str) -> float:
    with suppress(ValueError):
        share = float(given[:-1]) / 100 if given.endswith("%") else float(given)
        if 0 <= share < 1:
            return share
    message = f"{given!r} is not a tolerance: write 0.02 or 2%"
    raise argparse.ArgumentTypeError(message)
