"""Judgements: moderations, decisions, and search results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.testing.replies import JsonObject


def moderation(*, model: str, count: int) -> JsonObject:
    """Return a moderation that flags none of the inputs."""
    categories = ("hate", "violence")
    return {
        "id": "modr-70ke27a11",
        "model": model,
        "results": [
            {
                "flagged": False,
                "categories": dict.fromkeys(categories, False),
                "category_scores": dict.fromkeys(categories, 0.0),
                "category_applied_input_types": {name: ["text"] for name in categories},
            }
        ]
        * count,
    }


def decision(*, model: str, tokens: int, count: int) -> JsonObject:
    """Return decisions that answer each question with yes."""
    return {
        "model": model,
        "answers": [{"type": "predicate", "name": None, "probability": 0.75}] * count,
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens": count,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens + count,
        },
    }


def found(query: str, *, count: int) -> JsonObject:
    """Return a page of search results with falling scores."""
    return {
        "object": "vector_store.search_results.page",
        "search_query": [query],
        "data": [
            {
                "file_id": f"file-{place}",
                "filename": "sea.txt",
                "score": 1 / (place + 1),
                "attributes": {},
                "content": [{"type": "text", "text": "The sea is old and wide."}],
            }
            for place in range(count)
        ],
        "has_more": False,
        "next_page": None,
    }
