"""What OpenAI billed, read with the openai client; or another provider's bill from a file."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tokentrail.cli.command import CommandError
from tokentrail.cli.reconcile.facts import DAY, Bill, Days, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Method = Callable[..., Any]

RELEASE: Final = "2.34.0"
"""The first release of openai with the administration API, according to its maintainers."""
_MOST: Final = 31
"""Days in a page, the most that the API allows."""
_RETRIES: Final = 5
_TOKENS: Final = (("completions", ["model", "batch"]), ("embeddings", ["model"]))
_REQUESTS: Final = ("images", "audio_speeches", "audio_transcriptions")
_TOOLS: Final = (
    ("web_search", "web_search_calls", "num_requests"),
    ("file_search", "file_search_calls", "num_requests"),
    ("code_interpreter", "code_interpreter_sessions", "num_sessions"),
)
_COLUMNS: Final = ["model", "direction", "tokens"]


def billed_by_openai(days: Days, url: str) -> Bill:
    """Return the bill of these days; raise ``CommandError`` (2) if any page of it is missing."""
    key = os.environ.get("OPENAI_ADMIN_KEY", "").strip()
    if not key or not key.isascii() or not key.isprintable():
        message = "OPENAI_ADMIN_KEY has no key: set it to an admin key; no other key can read bills"
        raise CommandError(message, code=2)
    try:
        import openai
    except ImportError as error:
        message = f"the bill is read with openai: pip install 'openai>={RELEASE}'"
        raise CommandError(message, code=2) from error
    try:
        # An empty key, because otherwise OPENAI_API_KEY would be sent instead of the admin key. No
        # redirect is followed, so only the named host is asked.
        client = openai.OpenAI(
            api_key="",
            admin_api_key=key,
            base_url=url,
            max_retries=_RETRIES,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        usage = client.admin.organization.usage
    except (AttributeError, TypeError) as error:
        message = (
            f"openai {openai.__version__} cannot read the bill: pip install 'openai>={RELEASE}'"
        )
        raise CommandError(message, code=2) from error
    with client:
        try:
            return _read(usage, days)
        except openai.APIStatusError as error:  # its body may contain the key
            _fail(f"HTTP {error.status_code}")
        except openai.APIError as error:
            _fail(f"{type(error).__name__}: check your network, and --openai")


def _read(usage: Any, days: Days) -> Bill:
    tokens: Counter[Key] = Counter()
    batch: Counter[Key] = Counter()
    requests: Counter[str] = Counter()
    for name, group_by in _TOKENS:
        for result in _results(getattr(usage, name), days, group_by=group_by):
            model = _model(result)
            requests[model] += _number(result, "num_model_requests")
            directions = ("input", "output") if name == "completions" else ("input",)
            for direction in directions:
                number = _number(result, f"{direction}_tokens")
                tokens[Key(model, direction)] += number
                if getattr(result, "batch", None):
                    batch[Key(model, direction)] += number
    for name in _REQUESTS:
        for result in _results(getattr(usage, name), days, group_by=["model"]):
            requests[_model(result)] += _number(result, "num_model_requests")
    tools: Counter[str] = Counter()
    for tool, name, of in _TOOLS:
        method = getattr(usage, name, None)
        if method is None:  # openai 2.34 has neither search; tokens are complete without them
            continue
        for result in _results(method, days):
            tools[tool] += _number(result, of)
    return Bill(dict(tokens), dict(batch), dict(requests), dict(tools), _cost(usage, days))


def _cost(usage: Any, days: Days) -> dict[str, dict[str, float]]:
    cost: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in _results(usage.costs, days, group_by=["line_item"]):
        amount = getattr(result, "amount", None)
        if amount is None or amount.value is None:
            _fail("a cost without an amount")
        currency = (amount.currency or "unknown currency").upper()
        cost[currency][result.line_item or "(no line item)"] += float(amount.value)  # type: ignore[assignment] # a Counter of floats adds as well
    return {currency: dict(items) for currency, items in cost.items()}


def _results(method: Method, days: Days, **more: Any) -> Iterator[Any]:
    """Yield the results of every day, from every page."""
    seen: set[int] = set()
    cursors: set[str] = set()
    asked = {"start_time": days.start, "end_time": days.end, "bucket_width": "1d", "limit": _MOST}
    while True:
        page = method(**asked, **more)
        for bucket in _buckets(page, method):
            start = bucket.start_time
            whole = bucket.end_time == start + DAY and days.start <= start < days.end
            if not whole or (start - days.start) % DAY:
                _fail("its days are not those of UTC that were asked for")
            if start in seen:
                _fail("it has a day twice")
            seen.add(start)
            yield from bucket.results
        if not page.has_more:
            return
        if not page.next_page or page.next_page in cursors:
            _fail("a page of it has no next one, and there is more")
        cursors.add(page.next_page)
        asked["page"] = page.next_page


def _buckets(page: Any, method: Method) -> list[Any]:
    """Return the days of a page, checked: the client does not, and the address may be wrong."""
    data = getattr(page, "data", None)
    if not isinstance(data, list) or not isinstance(getattr(page, "has_more", None), bool):
        _fail(f"no page of {method.__name__} was answered")
    for bucket in data:
        times = (getattr(bucket, "start_time", None), getattr(bucket, "end_time", None))
        results = getattr(bucket, "results", None)
        if not all(isinstance(time, int) for time in times) or not isinstance(results, list):
            _fail(f"a day of {method.__name__} is incomplete")
    return data


def _number(result: Any, name: str) -> int:
    number = getattr(result, name, None)
    if not isinstance(number, int):
        _fail(f"a result has no {name}")
    return number


def _model(result: Any) -> str:
    model = getattr(result, "model", None)
    return model if isinstance(model, str) and model else "(no model)"


def _fail(why: str) -> NoReturn:
    message = f"the bill could not be read: {why}"
    raise CommandError(message, code=2) from None  # its cause may contain the key


def billed_in_file(name: str) -> Bill:
    """Return the bill of a CSV file with the columns model, direction and tokens."""
    tokens: Counter[Key] = Counter()
    try:
        with Path(name).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if [column.strip() for column in rows.fieldnames or ()] != _COLUMNS:
                message = f"--billed {name}: its first line is not {','.join(_COLUMNS)}"
                raise CommandError(message, code=2)
            rows.fieldnames = _COLUMNS
            for row in rows:
                key, number = _row(row, f"--billed {name}, line {rows.line_num}")
                tokens[key] += number
    except OSError as error:
        message = f"--billed {name}: {error.strerror}: name a file that can be read"
        raise CommandError(message, code=2) from error
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"--billed {name} is not CSV in UTF-8: export it again"
        raise CommandError(message, code=2) from error
    return Bill(dict(tokens))


def _row(row: dict[str, Any], where: str) -> tuple[Key, int]:
    values = [value.strip() if isinstance(value, str) else "" for value in row.values()]
    if len(values) != len(_COLUMNS) or not values[0] or values[1] not in {"input", "output"}:
        message = f"{where}: not a model, input or output, and tokens"
        raise CommandError(message, code=2)
    if not (values[2].isascii() and values[2].isdigit()):
        message = f"{where}: {values[2]!r} is not a number of tokens"
        raise CommandError(message, code=2)
    return Key(values[0], values[1]), int(values[2])
