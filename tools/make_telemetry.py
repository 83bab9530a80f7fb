"""Write docs/telemetry.md, from the one table of all that is recorded.

python tools/make_telemetry.py            # write it
python tools/make_telemetry.py --check    # exit 1 if it is stale
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tokentrail.telemetry import schema
from tokentrail.telemetry.meanings import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

TARGET = Path(__file__).resolve().parent.parent / "docs" / "telemetry.md"

HEAD = """\
# Telemetry

Made by `tools/make_telemetry.py` of the table in `tokentrail.telemetry.schema`: nobody writes here.
The tests in `tests/telemetry` compare it, key by key, with what calls of each API record, plain and
streamed, sync and async, in every vocabulary.

The level is what the OpenTelemetry GenAI conventions ask for, as of 2026-11-23; all of them are
still "development". `ours`: they do not know it, by this name or at this place. A call has an
attribute where its API does (`chat` completions, `responses`, legacy `completions`, `embeddings`,
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

What the content filter of Azure says is recorded as its categories and severities, never the text:
of prompts, of answers, and of a prompt that was refused. What is safe is absent. Of a stream it is
the worst that any of its chunks had.
"""

METRICS = """
## Metrics

`released` and `latest` are the vocabularies that the setting `metric_names` chooses; `both` has
the two. Points have the attributes that the table below lists, as far as `metric_attributes`
allows: server address and port, response model and service tier can be taken away, the system
fingerprint is there only if it is named. Attributes of the application's own come with
`custom_metric_attributes`.

"""

POINTS = """
### Attributes of their points

"""

BOTH = """
### Where the two differ

For inferences that are completed, sums over the old names and over the new ones agree: durations
and their number, times to chunks, tokens by direction. Where the conventions make them differ
(a name that stands in both columns is recorded once):

"""

EVENTS = """
## Log events

Emitted in the context of the call's span. They also have the span attributes listed above.

"""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def _apis(apis: tuple[str, ...]) -> str:
    return "all" if set(apis) == set(schema.APIS) else ", ".join(apis)


def _type(kind: type) -> str:
    return {str: "string", int: "int", float: "double", bool: "boolean", tuple: "string[]"}[kind]


def _sentence(note: str) -> str:
    """Return a note as a sentence; a name in code keeps its letters."""
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def _spans() -> str:
    head = ("attribute", "type", "level", "recorded where", "APIs", "what it is")
    return _table(
        head,
        (
            (
                f"`{row.name}`",
                _type(row.type),
                row.level.value,
                row.when.value,
                _apis(row.apis),
                " ".join(filter(None, (MEANINGS[row.name], _sentence(row.note)))),
            )
            for row in schema.SPAN
        ),
    )


def _metrics() -> str:
    head = ("metric", "instrument", "unit", "level", "in", "recorded where", "APIs", "what it is")
    return _table(
        head,
        (
            (
                f"`{row.name}`",
                row.instrument.kind,
                f"`{row.instrument.unit}`",
                row.level.value,
                ", ".join(row.vocabularies),
                row.when.value,
                _apis(row.apis),
                " ".join(filter(None, (row.instrument.description, _sentence(row.note)))),
            )
            for row in schema.METRICS
        ),
    )


def _points() -> str:
    """Return a table of attributes by metrics, those with the same attributes together."""
    groups: dict[tuple[schema.Attribute, ...], list[str]] = {}
    for row in schema.METRICS:
        known = groups.setdefault(row.attributes, [])
        if f"`{row.name}`" not in known:
            known.append(f"`{row.name}`")
    return _table(
        ("metrics", "attribute", "level", "where"),
        (
            (
                ", ".join(named) if first else "",
                f"`{row.name}`",
                row.level.value,
                row.when.value + ("" if row.apis == schema.APIS else f" ({', '.join(row.apis)})"),
            )
            for attributes, named in groups.items()
            for first, row in ((row is attributes[0], row) for row in attributes)
        ),
    )


def _events() -> str:
    listed = _table(
        ("event", "level", "recorded where", "APIs", ""),
        (
            (f"`{row.name}`", row.level.value, row.when.value, _apis(row.apis), row.note)
            for row in schema.EVENTS
        ),
    )
    exception = schema.EVENTS[1]
    attributes = _table(
        (f"attribute of `{exception.name}`", "level", "where"),
        ((f"`{row.name}`", row.level.value, row.when.value) for row in exception.attributes),
    )
    apart = "".join(f"\n`{name}` {about}.\n" for name, about in schema.APART.items())
    return f"{listed}\n{attributes}{apart}"


def _differences() -> Iterable[Iterable[str]]:
    for row in schema.DIFFERENCES:
        yield row.calls, _listed(row.released), _listed(row.latest), row.note


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def render() -> str:
    """Return the page."""
    head = ("calls", "`released` has", "`latest` has", "")
    return "".join(
        (
            *(HEAD, _spans(), DAY_TWO, METRICS, _metrics(), POINTS, _points()),
            *(BOTH, _table(head, _differences()), EVENTS, _events()),
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
