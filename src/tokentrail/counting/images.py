"""Images: what an image in a prompt costs, by the family of the model.

Sizes are read from the header bytes of ``data:`` URLs (PNG, JPEG, GIF, WebP). Nothing is ever
fetched, and no pixel is decoded. Facts: OpenAI's vision guide and the billed examples collected
in its forum (threads 1262691, 1281361, 1357218, 1344040, 1377015); none of it is promised.
"""

from __future__ import annotations

import base64
import math

from tokentrail.counting.models import base_name
from tokentrail.counting.rules import Part, RuleId
from tokentrail.support.frozen import lean_dataclass

_HEADER = 128 * 1024
"""Characters of base64 read: a JPEG's size may follow 64 KB of metadata."""

_SQUARE = 2048
_SHORT_SIDE = 768
_TILE = 512
_PATCH = 32
_PATCHES = 1536
_HALF = 0.5
PATCHES_FRAME = 1
"""An image priced by patches costs one token more than the guide says (3 of 3 billed examples)."""

_MARKER = 0xFF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of JPEG's markers that start a frame."""


@lean_dataclass(frozen=True, slots=True)
class Tiles:
    """Pricing by tiles of 512 pixels: ``base``, and ``tile`` for each."""

    base: int
    tile: int

    def price(self, size: tuple[int, int], detail: str | None) -> Part:
        """Return the price; without a named detail it is high, as on the server."""
        if detail == "low":
            return Part(RuleId.IMAGE_TILES_LOW, self.base)
        width, height = _shrink(*size)
        tiles = math.ceil(width / _TILE) * math.ceil(height / _TILE)
        rule = RuleId.IMAGE_TILES if detail == "high" else RuleId.IMAGE_TILES_AUTO
        return Part(rule, self.base + self.tile * tiles)


@lean_dataclass(frozen=True, slots=True)
class Patches:
    """Pricing by patches of 32 pixels, at most 1536, times a factor."""

    factor: float

    def price(self, size: tuple[int, int], detail: str | None) -> Part:
        """Return the price, whatever the detail."""
        patches, rule = _covering(*size), RuleId.IMAGE_PATCHES
        if patches > _PATCHES:
            patches, rule = _shrunk_patches(*size), RuleId.IMAGE_PATCHES_SHRUNK
        cost = patches * self.factor
        if rule is RuleId.IMAGE_PATCHES and 0 < cost % 1 < _HALF:
            rule = RuleId.IMAGE_PATCHES_FRACTION
        return Part(rule, round(cost) + PATCHES_FRAME)


PRICES: tuple[tuple[str, Tiles | Patches], ...] = (
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-4.1-mini", Patches(1.62)),
    ("gpt-4.1-nano", Patches(2.46)),
    ("gpt-5-mini", Patches(1.2)),
    ("gpt-5-nano", Patches(1.5)),
    ("gpt-5.1", Tiles(70, 140)),
    ("gpt-5.", Patches(1.2)),
    ("o4-mini", Patches(1.72)),
    ("codex-mini", Patches(1.72)),
    ("gpt-4o", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.5", Tiles(85, 170)),
    ("gpt-4-turbo", Tiles(85, 170)),
    ("gpt-4-vision", Tiles(85, 170)),
    ("gpt-4-1106-vision", Tiles(85, 170)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("gpt-5-", Tiles(70, 140)),
    ("computer-use-preview", Tiles(65, 129)),
)
"""Prices by prefix of the model's name; the first that matches counts. Other vendors have none."""

_UNPROVEN = ("o1-", "gpt-5.1-", "gpt-5.5-", "gpt-5.6-", "computer-use-preview-")
"""Prefixes that no billed example confirms: o1 was billed 22 and 44, this gives 86 and 236."""
_GUESSED = Tiles(85, 170)
"""Used when no price is known."""
_USUAL = (400, 300)
"""Used when the size is unknown: most pictures sent by URL are small."""


def image_price(model: str, url: str | None, detail: str | None) -> Part:
    """Return the tokens of an image, and the rule that gives them."""
    name = f"{base_name(model)}-"
    found = next((rule for prefix, rule in PRICES if name.startswith(prefix)), None)
    size = image_size(url)
    price = (found or _GUESSED).price(size or _USUAL, detail)
    if found is None or name.startswith(_UNPROVEN):
        return Part(RuleId.IMAGE_UNPROVEN, price.tokens)
    if size is None and price.rule is not RuleId.IMAGE_TILES_LOW:
        return Part(RuleId.IMAGE_UNSIZED, price.tokens)
    return price


def image_size(url: str | None) -> tuple[int, int] | None:
    """Return width and height in pixels from the header of a ``data:`` URL, None if not known."""
    if url is None or url[:5].lower() != "data:":
        return None
    head, _, body = url[: _HEADER + 256].partition(",")
    if not head.lower().endswith(";base64"):
        return None
    try:
        start = body[:_HEADER]
        return _size(base64.b64decode(start + "=" * (-len(start) % 4)))
    except (ValueError, IndexError):
        return None


def _shrink(width: int, height: int) -> tuple[int, int]:
    """Shrink into the square, then to the short side, rounded to at least one pixel."""
    scale = min(1.0, _SQUARE / max(width, height))
    scale *= min(1.0, _SHORT_SIDE / (min(width, height) * scale))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _covering(width: int, height: int) -> int:
    """Return the patches that cover an image."""
    return math.ceil(width / _PATCH) * math.ceil(height / _PATCH)


def _shrunk_patches(width: int, height: int) -> int:
    """Return the patches of an image that is shrunk because it has too many.

    Not exact: 4000 x 1474 is billed as 1536 patches, this gives 1449.
    """
    scale = math.sqrt(_PATCH**2 * _PATCHES / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    fit = min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
    return min(_PATCHES, _round_up(across * fit) * _round_up(down * fit))


def _round_up(number: float) -> int:
    """Round up, except for the error that floating point leaves after a whole number."""
    return math.ceil(number - 1e-9)


def _size(head: bytes) -> tuple[int, int] | None:
    size = None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(head, 16, 4), _big(head, 20, 4)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _little(head, 6, 2), _little(head, 8, 2)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(head)
    return size if size and all(size) else None


def _webp(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    if kind == b"VP8L":
        bits = _little(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """Walk a JPEG's segments up to a start of frame."""
    at = 2
    while at + 9 <= len(head):
        if head[at] != _MARKER:
            return None
        marker = head[at + 1]
        if marker == _MARKER:  # Padding.
            at += 1
        elif marker in _FRAMES:
            return _big(head, at + 7, 2), _big(head, at + 5, 2)
        else:
            at += 2 + _big(head, at + 2, 2)
    return None


def _big(head: bytes, at: int, size: int) -> int:
    return _number(head, at, size, little=False)


def _little(head: bytes, at: int, size: int) -> int:
    return _number(head, at, size, little=True)


def _number(head: bytes, at: int, size: int, *, little: bool) -> int:
    if at + size > len(head):
        message = "the header is cut off"
        raise ValueError(message)
    return int.from_bytes(head[at : at + size], "little" if little else "big")
