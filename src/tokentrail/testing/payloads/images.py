"""Images: whole, and as the events of a stream."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from tokentrail.testing.replies import Event

if TYPE_CHECKING:
    from tokentrail.testing.replies import JsonObject

_PIXEL: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
_KIND: Final = {
    "background": "opaque",
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
}
IMAGE_TOKENS: Final = 272
"""Tokens billed for an image of low quality, as output or input."""


def images(*, text_tokens: int, given: int = 0, count: int = 1) -> JsonObject:
    """Return ``count`` whole images, made from a text and ``given`` images."""
    return {
        "created": 1764000000,
        **_KIND,
        "data": [{"b64_json": _PIXEL}] * count,
        "usage": _usage(text_tokens, given, count),
    }


def events(*, text_tokens: int, given: int = 0) -> list[Event]:
    """Return the events of one streamed image, two of them partial images."""
    name = "image_edit" if given else "image_generation"
    head: JsonObject = {"created_at": 1764000000, "b64_json": _PIXEL, **_KIND}
    partial = f"{name}.partial_image"
    parts = [
        Event({**head, "type": partial, "partial_image_index": index}, partial)
        for index in range(2)
    ]
    done = f"{name}.completed"
    return [*parts, Event({**head, "type": done, "usage": _usage(text_tokens, given, 1)}, done)]


def _usage(text_tokens: int, given: int, made: int) -> JsonObject:
    read, written = text_tokens + given * IMAGE_TOKENS, made * IMAGE_TOKENS
    return {
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": text_tokens, "image_tokens": given * IMAGE_TOKENS},
        "output_tokens": written,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": written},
        "total_tokens": read + written,
    }
