"""Images: what an image in a prompt costs, by the family of the model.

Sizes are read from the header bytes of ``data:`` URLs (PNG, JPEG, GIF, WebP). Nothing is ever
fetched, and no pixel is decoded. Facts: OpenAI's vision guide and the billed examples collected
in its forum (threads 1262691, 1281361, 1357218); none of it is promised.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

from tokentrail.counting.models import base_name

_HEADER = 128 * 1024
"""Characters of base64 read: a JPEG's size may stand behind 64 KB of metadata."""

_SQUARE = 2048
_SHORT_SIDE = 768
_TILE = 512
_PATCH = 32
_PATCHES = 1536
PATCHES_FRAME = 1
"""An image priced by patches costs one more than the rule says (3 of 3 billed examples)."""

_MARKER = 0xFF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of JPEG's markers that start a frame."""


@dataclass(frozen=True, slots=True)
class Price:
    """What an image costs."""

    tokens: int
    exact: bool
    """Found by a rule that a billed example bears out: not where the server chose the detail."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Pricing by tiles of 512 pixels: ``base``, and ``tile`` for each."""

    base: int
    tile: int
    proven: bool = True
    """Billed examples bear it out."""

    def price(self, size: tuple[int, int] | None, detail: str | None) -> Price | None:
        """Return the price, high detail taken for one not named; None without a needed size."""
        if detail == "low":
            return Price(self.base, self.proven)
        if size is None:
            return None
        width, height = _shrink(*size)
        tiles = math.ceil(width / _TILE) * math.ceil(height / _TILE)
        return Price(self.base + self.tile * tiles, self.proven and detail == "high")


@dataclass(frozen=True, slots=True)
class Patches:
    """Pricing by patches of 32 pixels, at most 1536, times a factor."""

    factor: float

    def price(self, size: tuple[int, int] | None, detail: str | None) -> Price | None:
        """Return the price, whatever the detail; None where the size is not known."""
        if size is None:
            return None
        covered = _covering(*size)
        patches = covered if covered <= _PATCHES else _shrunk_patches(*size)
        exact = patches == covered and detail == "high"
        return Price(round(patches * self.factor) + PATCHES_FRAME, exact)


PRICES: tuple[tuple[str, Tiles | Patches], ...] = (
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-4.1-mini", Patches(1.62)),
    ("gpt-4.1-nano", Patches(2.46)),
    ("gpt-5-mini", Patches(1.62)),
    ("gpt-5-nano", Patches(2.46)),
    ("o4-mini", Patches(1.72)),
    ("gpt-4o", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.5", Tiles(85, 170)),
    ("gpt-4-turbo", Tiles(85, 170)),
    ("gpt-4-vision", Tiles(85, 170)),
    ("o1", Tiles(75, 150, proven=False)),  # billed 22 and 44 where this gives 86 and 236
    ("o3", Tiles(75, 150)),
    ("gpt-5-", Tiles(70, 140)),
    ("computer-use-preview", Tiles(65, 129, proven=False)),
)
"""The first that a model's name starts with is its price. Names not here (gpt-5.1 and later, other
makers') have no known price."""

UNKNOWN = 765
"""The guess where a price or size is not known: 1024 x 1024 pixels at 85 and 170."""


def image_price(model: str, url: str | None, detail: str | None) -> Price | None:
    """Return what the image costs, None where the model's price or the size is not known."""
    name = base_name(model)
    rule = next((rule for prefix, rule in PRICES if f"{name}-".startswith(prefix)), None)
    return rule.price(image_size(url), detail) if rule else None


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
    """Fit into the square, then to the short side, never enlarging; to the nearest pixel or one."""
    scale = min(1.0, _SQUARE / max(width, height))
    scale *= min(1.0, _SHORT_SIDE / (min(width, height) * scale))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _covering(width: int, height: int) -> int:
    """Return the patches that cover an image."""
    return math.ceil(width / _PATCH) * math.ceil(height / _PATCH)


def _shrunk_patches(width: int, height: int) -> int:
    """Return the patches of an image of too many, once it is shrunk.

    Not exact: 4000 x 1474 is billed as 1536 patches, this gives 1449.
    """
    scale = math.sqrt(_PATCH**2 * _PATCHES / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    fit = min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
    return min(_PATCHES, _round_up(across * fit) * _round_up(down * fit))


def _round_up(number: float) -> int:
    """Round up, but not for what floating point leaves behind a whole number."""
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
    """Walk the segments up to a start of frame."""
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
