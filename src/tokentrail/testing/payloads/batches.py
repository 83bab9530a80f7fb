"""Batches, of which only the usage is of interest here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.testing.payloads.answer import Usage
from tokentrail.testing.payloads.responses import usage_of

if TYPE_CHECKING:
    from tokentrail.testing.replies import JsonObject

USED = Usage(3000, 500)


def finished(batch_id: str, usage: Usage = USED) -> JsonObject:
    """Return a batch of which all requests were answered."""
    return {
        "id": batch_id,
        "object": "batch",
        "completion_window": "24h",
        "created_at": 1_767_225_600,
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file_1",
        "status": "completed",
        "model": "gpt-4o-mini",
        "request_counts": {"total": 2, "completed": 2, "failed": 0},
        "usage": usage_of(usage),
    }
