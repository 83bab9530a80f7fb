"""gunicorn's hooks: the provider is made after the fork, since its threads do not survive one."""

from __future__ import annotations

from opentelemetry import trace

import tokentrail
from telemetry import provider


def on_starting(server):
    """Instrument before the application is loaded, with or without ``preload_app``."""
    tokentrail.instrument(preload_encodings="gpt-4o")


def post_fork(server, worker):
    """Start the telemetry of a worker."""
    trace.set_tracer_provider(provider())
