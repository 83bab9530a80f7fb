import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.counting.images import image_price, image_size
from tokentrail.counting.rules import Part, RuleId


def url(content, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png(width, height):
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02rest"
    )


def gif(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\xf7\x00\x00rest"


def jpeg(width, height, metadata=10, tables=()):
    parts = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(10)
    for marker in tables:
        parts += b"\xff" + bytes([marker]) + struct.pack(">HBHH", 17, 8, 7, 7) + bytes(10)
    while metadata:
        size = min(metadata, 60_000)
        parts += b"\xff\xe1" + struct.pack(">H", size + 2) + bytes(size)
        metadata -= size
    parts += b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return parts + bytes(40)


def webp(kind, width, height):
    if kind == b"VP8X":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = bytes(4) + size
    elif kind == b"VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    else:
        body = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + struct.pack("<I", len(body)) + body + bytes(8)


SIZES = (st.integers(1, 16_383), st.integers(1, 16_383))


@given(*SIZES)
def test_sizes_are_read_from_the_header(width, height):
    size = (width, height)
    assert image_size(url(png(*size))) == size
    assert image_size(url(gif(*size))) == size
    assert image_size(url(jpeg(*size))) == size
    for kind in (b"VP8X", b"VP8L", b"VP8 "):
        assert image_size(url(webp(kind, *size))) == size


def test_a_size_behind_much_metadata_is_found_and_behind_too_much_is_not():
    assert image_size(url(jpeg(640, 480, metadata=70_000))) == (640, 480)
    assert image_size(url(jpeg(640, 480, metadata=200_000))) is None


@pytest.mark.parametrize("table", [0xC4, 0xC8, 0xCC], ids=["huffman", "extension", "arithmetic"])
def test_a_table_before_the_frame_has_no_size(table):
    """Its marker stands among those of frames; encoders often write it first."""
    assert image_size(url(jpeg(640, 480, tables=[table]))) == (640, 480)


@pytest.mark.parametrize(
    "given_url",
    [
        None,
        "",
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,A",
        "data:image/png;base64,é",
        "data:image/svg+xml,<svg width='4' height='4'/>",
        "https://example.org/a.png",
        url(b"BM" + bytes(40)),
        url(png(0, 5)),
        url(jpeg(5, 5)[:6]),
        url(b"\xff\xd8\x00\x00" + bytes(40)),
        url(b"RIFF\x00\x00\x00\x00WEBPXXXX" + bytes(40)),
    ],
)
def test_no_size_where_none_can_be_read(given_url):
    assert image_size(given_url) is None


@given(st.sampled_from([png, gif, jpeg]), st.integers(0, 60), st.binary(max_size=30))
def test_no_header_raises(maker, cut, noise):
    size = image_size(url(maker(300, 200)[:cut] + noise))
    assert size is None or all(side > 0 for side in size)


def test_how_the_url_is_written_does_not_matter():
    small = url(png(3, 4))
    assert image_size(small.replace("data:", "DATA:")) == (3, 4)
    assert image_size(small.replace(";base64", ";BASE64")) == (3, 4)


PRICES = [
    # model, width, height, detail, rule and tokens; what was billed is in facts.py
    ("gpt-4o-2024-08-06", 1024, 1024, "high", RuleId.IMAGE_TILES, 765),
    ("gpt-4-turbo", 1024, 1024, "high", RuleId.IMAGE_TILES, 765),
    ("gpt-4o", 1024, 1024, "low", RuleId.IMAGE_TILES_LOW, 85),
    ("gpt-4o", 128, 64, "auto", RuleId.IMAGE_TILES_AUTO, 255),
    ("gpt-4o", 1024, 1024, None, RuleId.IMAGE_TILES_AUTO, 765),
    ("gpt-4o", 1024, 1024, "original", RuleId.IMAGE_TILES_AUTO, 765),
    ("gpt-4.1-mini", 128, 64, "high", RuleId.IMAGE_PATCHES, 14),
    ("gpt-4.1-mini", 128, 64, None, RuleId.IMAGE_PATCHES, 14),
    ("gpt-4.1-mini", 4000, 1474, "high", RuleId.IMAGE_PATCHES_SHRUNK, 2348),
    ("gpt-5-mini", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 120),
    ("gpt-5-nano", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 150),
    ("gpt-5.2", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 120),
    ("gpt-5.3-codex", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 120),
    ("gpt-5.4-nano", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 120),
    ("codex-mini-latest", 320, 320, "high", RuleId.IMAGE_PATCHES, 1 + 172),
    ("gpt-5.2", 128, 64, "high", RuleId.IMAGE_PATCHES, 1 + 10),
    ("gpt-5.2", 192, 32, "high", RuleId.IMAGE_PATCHES_FRACTION, 1 + 7),
    ("o1-2024-12-17", 128, 64, "high", RuleId.IMAGE_UNPROVEN, 225),
    ("o1", 128, 64, "low", RuleId.IMAGE_UNPROVEN, 75),
    ("computer-use-preview", 128, 64, "high", RuleId.IMAGE_UNPROVEN, 194),
    ("my-deployment", 128, 64, "low", RuleId.IMAGE_UNPROVEN, 85),
]


@pytest.mark.parametrize(("model", "width", "height", "detail", "rule", "tokens"), PRICES)
def test_an_image_s_price(model, width, height, detail, rule, tokens):
    assert image_price(model, url(png(width, height)), detail) == Part(rule, tokens)


def test_an_image_of_unknown_size_has_its_model_s_own_price():
    """As one of 400 x 300; by tiles, low detail has one price whatever the size."""
    there = "https://example.org/a.png"
    assert image_price("gpt-4o", there, "low") == Part(RuleId.IMAGE_TILES_LOW, 85)
    for model, tokens in (("gpt-4o", 255), ("gpt-4o-mini", 8500), ("gpt-5.4", 1 + 156)):
        assert image_price(model, there, "high") == Part(RuleId.IMAGE_UNSIZED, tokens)
    assert image_price("my-deployment", None, None) == Part(RuleId.IMAGE_UNPROVEN, 255)


def test_a_line_of_an_image_has_a_tile_and_a_patch():
    """However long it is, a side is not rounded away."""
    assert image_price("gpt-4o", url(png(100_000, 1)), "high").tokens == 85 + 170 * 4
    assert image_price("gpt-4.1-mini", url(png(1, 1_000_000)), "high").tokens > 1


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_no_image_is_free_or_beyond_the_most(width, height):
    image = url(png(width, height))
    assert 85 + 170 <= image_price("gpt-4o", image, "high").tokens <= 85 + 170 * 8
    assert 2 < image_price("gpt-4.1-mini", image, "high").tokens <= 1 + round(1536 * 1.62)
