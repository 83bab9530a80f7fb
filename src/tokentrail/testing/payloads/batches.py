"""Batches, of which only the usage is of interest here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.testing.replies import JsonObject


def finished(batch_id: str) -> JsonObject:
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
        "usage": {
            "input_tokens": 3000,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 500,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 3500,
        },
    }
