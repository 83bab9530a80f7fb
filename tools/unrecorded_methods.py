"""Which methods of the client use a model or report usage and are not recorded, and why.

``docs/supported-methods.md`` has the table. ``tests/surface/test_unrecorded.py`` compares it with
every method of the installed client, so a release with a new method fails until it stands here or
is recorded. Patterns are those of :mod:`fnmatch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A part of the client that uses a model, and is not recorded."""

    what: str
    methods: tuple[str, ...]
    usage: str
    """Where you find its usage."""


UNRECORDED: Final = (
    Unrecorded(
        "Assistants",
        ("beta.threads.create_and_run*", "beta.threads.runs.*"),
        "`run.usage` and `step.usage`, once the run has ended",
    ),
    Unrecorded(
        "Batches, but for `retrieve`",
        tuple(f"batches.{verb}" for verb in ("create", "list", "cancel")),
        "`batch.usage`, once the batch is completed: fetch it with `batches.retrieve`",
    ),
    Unrecorded(
        "Evals",
        ("evals.runs.*",),
        "`run.per_model_usage`, and `sample.usage` of an output item",
    ),
    Unrecorded(
        "Fine-tuning",
        ("fine_tuning.jobs.*",),
        "`job.trained_tokens`",
    ),
    Unrecorded("Graders", ("fine_tuning.alpha.graders.run",), "`response.metadata.token_usage`"),
    Unrecorded(
        "Agents",
        ("beta.agents.sessions.*", "beta.agents.automations.*"),
        "`session.usage` and `turn.usage`",
    ),
    Unrecorded("ChatKit", ("beta.chatkit.*",), "only on the provider's usage page"),
    Unrecorded("Videos", ("videos.*",), "none: billed by the second of video"),
    Unrecorded("Live sessions", ("live.*",), "in the events of the session"),
    Unrecorded(
        "Realtime calls and translations",
        ("realtime.calls.*", "realtime.translations.*"),
        "in the events of the session, which do not pass this client, or are not read",
    ),
    Unrecorded(
        "Vector stores: embedding of files",
        (
            "vector_stores.file*",
            *(
                f"vector_stores.{verb}"
                for verb in ("create", "delete", "list", "retrieve", "update")
            ),
            "beta.vector_stores.*",
        ),
        "none: billed by storage (`usage_bytes`)",
    ),
    Unrecorded("Containers", ("containers.*",), "none: billed by session"),
    Unrecorded("Checks of where content comes from", ("content_provenance_checks.*",), "none"),
)
"""In the order of the page."""

READ_AGAIN: Final = (
    "chat.completions.list",
    "chat.completions.retrieve",
    "chat.completions.update",
    "beta.chat.completions.list",
    "beta.chat.completions.retrieve",
    "beta.chat.completions.update",
    "responses.input_items.*",
    "beta.responses.input_items.*",
    "conversations.*",
)
"""Return what an earlier call made and was recorded with: counted again, it would count twice."""

NO_MODEL: Final = (
    "admin.*",
    "audio.voice_consents.*",
    "audio.voices.*",
    *(f"beta.agents.{verb}" for verb in ("create", "delete", "list", "retrieve", "update")),
    "beta.agents.environments.*",
    "beta.agents.vaults.*",
    "beta.assistants.*",
    "beta.chat.completions.delete",
    "beta.chat.completions.messages.*",
    "beta.realtime.sessions.*",
    "beta.realtime.transcription_sessions.*",
    "beta.responses.delete",
    *(f"beta.threads.{verb}" for verb in ("create", "delete", "retrieve", "update")),
    "beta.threads.messages.*",
    "chat.completions.delete",
    "chat.completions.messages.*",
    *(f"evals.{verb}" for verb in ("create", "delete", "list", "retrieve", "update")),
    "files.*",
    "fine_tuning.alpha.graders.validate",
    "fine_tuning.checkpoints.*",
    "models.*",
    "realtime.client_secrets.*",
    "responses.delete",
    "safety.*",
    "skills.*",
    "uploads.*",
    "webhooks.*",
)
"""Keep or change something on the server and use no model."""


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of the patterns is that of a method."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def is_unrecorded(path: str) -> bool:
    """Return whether a method stands in the table."""
    return any(matches(path, row.methods) for row in UNRECORDED)
