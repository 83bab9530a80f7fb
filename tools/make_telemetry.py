"""Write docs/telemetry.md, from the one table of all that is emitted.

python tools/make_telemetry.py            # write it
python tools/make_telemetry.py --check    # exit 1 if it is stale
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "docs" / "telemetry.md"

HEAD = """\
# Telemetry

Made by `tools/make_telemetry.py` of the table in `tools/telemetry_schema.py`: nobody writes here.
The tests in `tests/telemetry` compare it, key by key, with what calls of each shape tell, plain and
streamed, sync and async, in every vocabulary.

The level is what the OpenTelemetry GenAI conventions ask for, as of 2026-11-23; all of them are
still "development". `ours`: they do not know it, by this name or at this place. A call has an
attribute where its shape does (`chat` completions, `responses`, legacy `completions`, `embeddings`,
`fetch_response`: a response fetched or cancelled) and the condition holds. What is not known is
absent: never zero, never a guess.

## Spans

A CLIENT span named `{operation} {model}`, or `fetch_response` alone. Its status is unset, or ERROR
with the HTTP status and the error's code: never the text of an error, which may quote what was
said, unless content goes to spans.

"""

DAY_TWO = """
### Day two

Request id, retries and rate limits are read where an answer shows its headers anyway: raw answers,
streams, and errors that have a status; nothing is asked for. A plain answer shows its request id
alone. `tokentrail.retries` is what the client says of its last try (openai 1.40 does not say it);
absent is not known, and 0 is none. The times until a limit is over are in seconds.

What the content filter of Azure says is told as its categories and severities, never the text: of
prompts, of answers, and of a prompt that was refused. What is safe is absent. Of a stream it is the
worst that any of its chunks bore.
"""

METRICS = """
## Metrics

`released` and `latest` are the vocabularies that the setting `metric_names` chooses; `both` has
the two. Points bear what the table below says, as far as `metric_attributes` allows: server
address and port, response model and service tier can be taken away, the system fingerprint is
there only if it is named. Attributes of the application's own come with
`custom_metric_attributes`.

"""

BEARS = """
### Attributes of their points

"""

BOTH = """
### Where the two differ

For inferences that are completed, sums over the old names and over the new ones agree: durations
and their number, times to chunks, tokens by direction. Where the conventions make them differ
(a name that stands in both columns is told once):

"""

EVENTS = """
## Log events

Emitted in the context of the call's span. What they bear beside is what the table says of spans.

"""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def _of(schema: Any, of: tuple[str, ...]) -> str:  # noqa: ANN401 - a module
    return "all" if set(of) == set(schema.SHAPES) else ", ".join(of)


def _kind(kind: type) -> str:
    return {str: "string", int: "int", float: "double", bool: "boolean", tuple: "string[]"}[kind]


def _spans(schema: Any) -> str:  # noqa: ANN401 - a module
    head = ("attribute", "type", "level", "told where", "of", "")
    return _table(
        head,
        (
            (
                f"`{row.name}`",
                _kind(row.kind),
                row.level.value,
                row.when.value,
                _of(schema, row.of),
                row.about,
            )
            for row in schema.SPAN
        ),
    )


def _metrics(schema: Any) -> str:  # noqa: ANN401 - a module
    head = ("metric", "instrument", "unit", "level", "in", "told where", "of", "")
    return _table(
        head,
        (
            (
                f"`{row.name}`",
                row.kind,
                f"`{row.unit}`",
                row.level.value,
                ", ".join(row.vocabularies),
                row.when.value,
                _of(schema, row.of),
                row.about,
            )
            for row in schema.METRICS
        ),
    )


def _points(schema: Any) -> str:  # noqa: ANN401 - a module
    """Return a table of attributes by metrics, those with the same attributes together."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in schema.METRICS:
        known = groups.setdefault(row.bears, [])
        if f"`{row.name}`" not in known:
            known.append(f"`{row.name}`")
    return _table(
        ("metrics", "bear", "level", "where"),
        (
            (
                ", ".join(named) if first else "",
                f"`{row.name}`",
                row.level.value,
                row.when.value + ("" if row.of == schema.SHAPES else f" ({', '.join(row.of)})"),
            )
            for bears, named in groups.items()
            for first, row in ((row is bears[0], row) for row in bears)
        ),
    )


def _events(schema: Any) -> str:  # noqa: ANN401 - a module
    listed = _table(
        ("event", "level", "told where", "of", ""),
        (
            (f"`{row.name}`", row.level.value, row.when.value, _of(schema, row.of), row.about)
            for row in schema.EVENTS
        ),
    )
    exception = schema.EVENTS[1]
    bears = _table(
        (f"`{exception.name}` bears", "level", "where"),
        ((f"`{row.name}`", row.level.value, row.when.value) for row in exception.bears),
    )
    apart = "".join(f"\n`{name}` {about}.\n" for name, about in schema.APART.items())
    return f"{listed}\n{bears}{apart}"


def _differences(schema: Any) -> Iterable[Iterable[str]]:  # noqa: ANN401 - a module
    for row in schema.DIFFERENCES:
        yield row.of, _listed(row.released), _listed(row.latest), row.about


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def load() -> Any:  # noqa: ANN401 - a module
    """Return the table, wherever this is run."""
    spec = importlib.util.spec_from_file_location("telemetry_schema", HERE / "telemetry_schema.py")
    if spec is None or spec.loader is None:
        raise SystemExit(1)
    schema = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("telemetry_schema", schema)
    spec.loader.exec_module(schema)
    return schema


def render() -> str:
    """Return the page."""
    schema = load()
    head = ("of", "`released` has", "`latest` has", "")
    return "".join(
        (
            *(HEAD, _spans(schema), DAY_TWO, METRICS, _metrics(schema), BEARS, _points(schema)),
            *(BOTH, _table(head, _differences(schema)), EVENTS, _events(schema)),
        )
    )


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit status."""
    page = render()
    if "--check" not in arguments:
        TARGET.write_text(page, encoding="utf-8")
        return 0
    there = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    if page != there:
        print(f"{TARGET.name} is stale: run python tools/make_telemetry.py")
    return int(page != there)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
