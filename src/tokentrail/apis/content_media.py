"""Images, sound and files inside messages: a blob, an address, or the id of an upload."""

from __future__ import annotations

import base64
import re
import urllib.parse
from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import fields, nonempty_str
from tokentrail.content.parts import Blob, File, Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOUNDS: Final = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}
"""Formats of sound whose media type is not "audio/" and their name."""
_MIME_TYPE: Final = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}")
_ID: Final = re.compile(r"[\w.:/-]{1,128}")
"""What media types and ids look like. Neither is redacted or capped, so nothing else is taken for
one: it might be anything that was said."""


def image(part: Mapping[str, object]) -> Blob | Uri | File | None:
    """Read an image part: chat nests its URL, responses has it flat or the id of an upload."""
    source = part.get("image_url")
    url = nonempty_str(fields(source).get("url")) or nonempty_str(source)
    if url is not None:
        return located("image", url)
    return _uploaded("image", part)


def sound(part: Mapping[str, object]) -> Blob | File | None:
    """Read a sound part."""
    given = fields(part.get("input_audio")) or part
    content = nonempty_str(given.get("data"))
    if content is not None:
        return blob("audio", sound_type(given.get("format")), content)
    return _uploaded("audio", given)


def sound_type(form: object) -> str | None:
    """Return the media type of a format of sound."""
    name = nonempty_str(form)
    return None if name is None else _SOUNDS.get(name, f"audio/{name}")


def document(part: Mapping[str, object]) -> Blob | Uri | File | None:
    """Read a file part: an upload, an address, or bytes, as a ``data:`` URL or bare base64."""
    given = fields(part.get("file")) or part
    content, address = nonempty_str(given.get("file_data")), nonempty_str(given.get("file_url"))
    if content is not None:
        return located("document", content) if _is_inline(content) else blob(
            "document", None, content
        )  # fmt: skip
    if address is not None:
        return located("document", address)
    return _uploaded("document", given)


def located(modality: str, url: str) -> Blob | Uri:
    """Return what stands at ``url``; a ``data:`` URL holds it itself."""
    if not _is_inline(url):
        return Uri(modality, url)
    head, _, content = url[len("data:") :].partition(",")
    mime_type = head.partition(";")[0] or None
    if head.lower().endswith(";base64"):
        return blob(modality, mime_type, content)
    raw = urllib.parse.unquote_to_bytes(content.encode("utf-8", "replace"))
    return blob(modality, mime_type, base64.b64encode(raw).decode())


def blob(modality: str, mime_type: str | None, content: str) -> Blob:
    """Return bytes that are given in base64."""
    known = mime_type if mime_type is not None and _MIME_TYPE.fullmatch(mime_type) else None
    return Blob(modality, known, content, byte_size(content))


def joined(pieces: list[str]) -> str:
    """Return base64 that came in pieces as one; each may be padded as if it were the last."""
    if any(piece.endswith("=") for piece in pieces[:-1]):
        try:
            return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
        except ValueError:  # cut anywhere: no piece is anything by itself
            pass
    return "".join(pieces)


def byte_size(content: str) -> int:
    """Return how many bytes ``content`` is the base64 of, without decoding it."""
    return (len(content) - content[-2:].count("=")) * 3 // 4


def _uploaded(modality: str, given: Mapping[str, object]) -> File | None:
    return upload(modality, nonempty_str(given.get("file_id")))


def upload(modality: str, name: str | None) -> File | None:
    """Return what is known by its id."""
    return File(modality, name) if name is not None and _ID.fullmatch(name) else None


def _is_inline(url: str) -> bool:
    return url[:5].lower() == "data:"
