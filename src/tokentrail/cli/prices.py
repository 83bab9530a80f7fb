"""``tokentrail prices``: Prometheus recording rules that turn tokens into money."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli import docs_option, label_option
from tokentrail.cli.command import CommandError, manual
from tokentrail.cli.service_label import add_option, relabelled
from tokentrail.cost import PricesError, UserPrices, genai_prices
from tokentrail.cost.user_prices import read_prices
from tokentrail.version import __version__

if TYPE_CHECKING:
    from tokentrail.cli.command import Commands
    from tokentrail.cli.priced import Priced

_ABOUT: Final = """\
Writes Prometheus recording rules that turn the tokens in metrics into money:
tokentrail:cost_usd:rate5m, in USD per second, by job, provider and model. It uses your prices
from --overrides first, then those of the installed genai-prices. Nothing is downloaded. A model
without a price has no cost. The Cost row of the dashboards shows the recorded cost.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail prices                            all models, to the screen
  tokentrail prices -o prices.rules.yml --models gpt-4o,gpt-4o-mini,o4-mini
  tokentrail prices -o prices.rules.yml --overrides contract.json --budget 50
  tokentrail prices --provider groq --provider deepseek
  tokentrail prices --by tenant --budget-each 10 --budget-each acme=50
  tokentrail prices --service-label service_name      for VictoriaMetrics

--overrides takes JSON, in USD per million tokens, by the model of the answer or
of the request (for example an Azure deployment):
  {"gpt-4o": {"input": 2.5, "output": 10, "cache_read": 1.25},
   "our-llama": {"input": 0.1, "output": 0.3}}

To price past tokens, use promtool: the page on pricing has the command.
"""
_DEFAULT: Final = ("openai", "azure.ai.openai")


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    prices = commands.add_parser(
        "prices",
        help="write Prometheus rules that turn tokens into money",
        **manual(_ABOUT, _EXAMPLES),
    )
    prices.add_argument("--models", metavar="NAMES", help="only these models, separated by commas")
    prices.add_argument(
        "--provider",
        action="append",
        choices=sorted(genai_prices.PROVIDERS),
        metavar="NAME",
        help="the provider of published prices, by gen_ai.provider.name; may be repeated (default:"
        f" {' and '.join(_DEFAULT)}; there are {', '.join(sorted(genai_prices.PROVIDERS))})",
    )
    prices.add_argument(
        "--overrides", metavar="FILE", help="your own prices, used before the published ones"
    )
    prices.add_argument(
        "--budget", type=_usd, metavar="USD", help="add an alert: the daily budget of a job, in USD"
    )
    label_option.add_option(prices, "keep a label on costs; may be repeated", again=True)
    prices.add_argument(
        "--budget-each",
        type=_share,
        action="append",
        default=[],
        metavar="[VALUE=]USD",
        help="add an alert: the daily budget of one value of the first --by, in USD; without"
        " VALUE, that of every other value",
    )
    docs_option.add_option(prices)
    prices.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default: standard output)"
    )
    add_option(prices)
    prices.set_defaults(run=_run)


def _usd(given: str) -> float:
    with suppress(ValueError):
        number = float(given)
        if 0 < number < float("inf"):
            return number
    message = f"{given!r} is not a budget: write a number of USD above 0, like 50 or 12.5"
    raise argparse.ArgumentTypeError(message)


def _share(given: str) -> tuple[str | None, float]:
    value, named, number = given.rpartition("=")
    return (value if named else None), _usd(number)


def _run(asked: argparse.Namespace) -> int:
    from tokentrail.cli import price_rules

    by, shares = tuple(dict.fromkeys(asked.by)), dict(asked.budget_each)
    if shares and not by:
        message = "--budget-each is for each value of a label: name one with --by tenant"
        raise CommandError(message, code=2)
    own = _own(asked.overrides)
    wanted = _wanted(asked.models)
    priced: list[Priced] = [
        one for one in price_rules.own_prices(own) if wanted is None or one.name in wanted
    ]
    now = datetime.now(timezone.utc)
    if genai_prices.is_installed():
        providers = tuple(asked.provider or _DEFAULT)
        priced += price_rules.published_prices(providers, now, own, wanted)
    elif not own:
        message = (
            f"there are no prices: {genai_prices.INSTALL_HINT}, or name your own with --overrides"
        )
        raise CommandError(message, code=2)
    if not priced:
        message = f"none of --models {asked.models} has a price: name your own with --overrides"
        raise CommandError(message, code=2)
    text = price_rules.text(priced, asked.budget, _head(now, asked.overrides), by, shares)
    text = docs_option.with_docs(text, asked.docs)
    _write(relabelled(text, asked.service_label), asked.output)
    _say(priced, wanted, asked.output)
    return 0


def _own(name: str | None) -> UserPrices:
    if name is None:
        return UserPrices()
    try:
        return read_prices(name)
    except PricesError as error:
        # The message about the file's content already says what is allowed.
        mend = ": name a file that can be read" if isinstance(error.__cause__, OSError) else ""
        message = f"--overrides {error}{mend}"
        raise CommandError(message, code=2) from error


def _wanted(models: str | None) -> frozenset[str] | None:
    if models is None:
        return None
    wanted = frozenset(name.strip() for name in models.split(",") if name.strip())
    if not wanted:
        message = "--models names none: write --models gpt-4o,gpt-4o-mini"
        raise CommandError(message, code=2)
    return wanted


def _head(now: datetime, overrides: str | None) -> str:
    source = "no published prices: genai-prices is not installed"
    if genai_prices.is_installed():
        source = f"the prices of {genai_prices.PACKAGE} {genai_prices.data_version()}"
    mine = f", after those of {Path(overrides).name}" if overrides else ""
    return (
        f"Made by tokentrail {__version__} on {now:%Y-%m-%d}: {source}{mine}.\n"
        "USD per second by job, provider and model; numbers are USD per million tokens (e-6).\n"
        "Run the command again when prices change."
    )


def _write(text: str, name: str | None) -> None:
    if name is None:
        print(text, end="")
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--output {name}: {error.strerror}: name a file that can be written"
        raise CommandError(message) from error


def _say(priced: list[Priced], wanted: frozenset[str] | None, output: str | None) -> None:
    """Print on standard error what the file contains and what it does not."""
    if output is not None:
        print(f"{output}: {len(priced)} prices", file=sys.stderr)
    if not genai_prices.is_installed():
        print(f"only your own prices: for others {genai_prices.INSTALL_HINT}", file=sys.stderr)
    unknown = sorted((wanted or frozenset()).difference(*(one.wanted for one in priced)))
    if unknown:
        print(f"no price is known of {', '.join(unknown)}", file=sys.stderr)
