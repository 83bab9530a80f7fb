"""Images, audio and files in messages: a blob, a URL, or the id of an upload."""

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
"""Audio formats whose media type is not "audio/" plus their name."""
_MIME_TYPE: Final = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}")
_ID: Final = re.compile(r"[\w.:/-]{1,128}")
"""Patterns of media types and ids. Neither is redacted or capped, so anything else is rejected: it
might be part of the conversation."""


def image(part: Mapping[str, object]) -> Blob | Uri | File | None:
    """Read an image part: a nested URL in chat; a flat URL or an upload id in responses."""
    source = part.get("image_url")
    url = nonempty_str(fields(source).get("url")) or nonempty_str(source)
    if url is not None:
        return located("image", url)
    return _uploaded("image", part)


def sound(part: Mapping[str, object]) -> Blob | File | None:
    """Read an audio part."""
    given = fields(part.get("input_audio")) or part
    content = nonempty_str(given.get("data"))
    if content is not None:
        return blob("audio", sound_type(given.get("format")), content)
    return _uploaded("audio", given)


def sound_type(form: object) -> str | None:
    """Return the media type of an audio format."""
    name = nonempty_str(form)
    return None if name is None else _SOUNDS.get(name, f"audio/{name}")


def document(part: Mapping[str, object]) -> Blob | Uri | File | None:
    """Read a file part: an upload, a URL, or bytes as a ``data:`` URL or bare base64."""
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
    """Return ``url`` as a part; a ``data:`` URL becomes a blob."""
    if not _is_inline(url):
        return Uri(modality, url)
    head, _, content = url[len("data:") :].partition(",")
    mime_type = head.partition(";")[0] or None
    if head.lower().endswith(";base64"):
        return blob(modality, mime_type, content)
    raw = urllib.parse.unquote_to_bytes(content.encode("utf-8", "replace"))
    return blob(modality, mime_type, base64.b64encode(raw).decode())


def blob(modality: str, mime_type: str | None, content: str) -> Blob:
    """Return a blob of bytes in base64."""
    known = mime_type if mime_type is not None and _MIME_TYPE.fullmatch(mime_type) else None
    return Blob(modality, known, content, byte_size(content))


def joined(pieces: list[str]) -> str:
    """Join pieces of base64 into one; each piece may have its own padding."""
    if any(piece.endswith("=") for piece in pieces[:-1]):
        try:
            return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
        except ValueError:  # cut anywhere: the pieces cannot be decoded separately
            pass
    return "".join(pieces)


def byte_size(content: str) -> int:
    """Return how many bytes the base64 ``content`` encodes, without decoding it."""
    return (len(content) - content[-2:].count("=")) * 3 // 4


def _uploaded(modality: str, given: Mapping[str, object]) -> File | None:
    return upload(modality, nonempty_str(given.get("file_id")))


def upload(modality: str, name: str | None) -> File | None:
    """Return the uploaded file with this id, if the id is valid."""
    return File(modality, name) if name is not None and _ID.fullmatch(name) else None


def _is_inline(url: str) -> bool:
    return url[:5].lower() == "data:"
