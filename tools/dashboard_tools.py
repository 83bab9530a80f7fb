"""The row of the dashboard about what is billed beside answers: tools, transcription."""

from __future__ import annotations

from dashboard_panels import MINUTES, SLOW, TOKENS_PER_SECOND, Panel, Query, Row
from dashboard_queries import KIND, TRACED, Queries, label, legend, series

from tokentrail.telemetry import semconv

TOOL = label(semconv.TOOL_NAME)
REQUESTS = series(semconv.TOOL_REQUESTS, "total")
TOKENS = series(semconv.TOOL_TOKENS, "total")
TRANSCRIBED = series(semconv.TRANSCRIPTION_TOKENS, "total")
TRANSCRIBED_TIME = series(semconv.TRANSCRIPTION_TIME, "seconds_total")


def tools_row(*, by: bool) -> Row:
    """Return the row; ``by``: of the dashboard by tenant."""
    ask = Queries(by=by)
    return Row(
        "The server's own tools",
        (
            Panel(
                "Requests to tools by tool",
                "Web searches, file searches and others that the server made itself, a minute, by"
                " model and service. They are billed beside tokens.",
                "timeseries",
                (
                    Query(
                        f"{ask.total(REQUESTS, TOOL, *TRACED)} * {MINUTES}",
                        legend(*TRACED, TOOL),
                    ),
                ),
                unit="suffix: requests/min",
                empty="No tools of the server's own",
                decimals=1,
                stretch=SLOW,
                least=(0.0, 2.0),
                traces="model",
                width=12,
            ),
            Panel(
                "Tokens of generated images",
                "Tokens that the tool of image generation read and wrote, a second. They are in no"
                " other panel of tokens.",
                "timeseries",
                (Query(ask.total(TOKENS, TOOL, KIND, *TRACED), legend(*TRACED, TOOL, KIND)),),
                unit=TOKENS_PER_SECOND,
                empty="No images generated in answers",
                decimals=1,
                traces="model",
                width=12,
            ),
            Panel(
                "Tokens of transcription",
                "Tokens that realtime sessions used to transcribe what they heard, a second, by the"
                " model that transcribes. They are in no other panel of tokens.",
                "timeseries",
                (Query(ask.total(TRANSCRIBED, KIND, *TRACED), legend(*TRACED, KIND)),),
                unit=TOKENS_PER_SECOND,
                empty="No transcription billed by tokens",
                decimals=1,
                traces="model",
                width=12,
            ),
            Panel(
                "Transcribed sound per minute",
                "Seconds of sound transcribed in a minute, by models that are billed by time: of"
                " transcriptions, translations and realtime sessions.",
                "timeseries",
                (
                    Query(
                        f"{ask.total(TRANSCRIBED_TIME, *TRACED)} * {MINUTES}",
                        legend(*TRACED),
                    ),
                ),
                unit="suffix: s/min",
                empty="No transcription billed by time",
                decimals=1,
                traces="model",
                width=12,
            ),
        ),
    )
