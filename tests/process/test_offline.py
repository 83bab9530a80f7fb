"""No network, whatever is counted; and nothing left behind on the machine."""

from __future__ import annotations

import pytest

GUARDED = """
    import pathlib, socket, tempfile

    def refuse(*args, **kwargs):
        raise SystemExit(f"reached out: {args}")

    connect = socket.socket.connect
    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            refuse(address)
        return connect(self, address)
    socket.socket.connect = guarded
    socket.socket.connect_ex = refuse
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **options: (
        resolve(host, *rest, **options) if host == "127.0.0.1" else refuse(host)
    )
"""


@pytest.mark.thorough
def test_counting_needs_no_network_and_no_registry(run, tmp_path):
    """Every encoding is counted with; tiktoken is not asked for one, and caches nothing."""
    cache = tmp_path / "cache"
    cache.mkdir()
    done = run(
        GUARDED
        + """
    import tokentrail
    tokentrail.instrument(tracer_provider=provider(), token_counting="always")
    import tiktoken, tiktoken.load, tiktoken.registry, openai
    tiktoken.get_encoding = tiktoken.registry.get_encoding = refuse
    tiktoken.encoding_for_model = tiktoken.load.read_file = refuse
    client = openai.OpenAI()
    for model in ("gpt-4o", "gpt-4", "o3", "gpt-5"):
        for _ in client.chat.completions.create(**{**ASKED, "model": model}, stream=True):
            pass
    client.chat.completions.create(**ASKED)
    say(tokentrail.count_tokens("Hello there.", model="gpt-4"))
    assert tokentrail.flush(20)
        """,
        TIKTOKEN_CACHE_DIR=str(cache),
        TOKENTRAIL_COUNT_TIMEOUT="20",
    )
    assert done.said == [3]
    told = [span["attributes"] for span in done.spans]
    encodings = {t["gen_ai.request.model"]: t["tokentrail.usage.encoding"] for t in told}
    assert encodings == {
        "gpt-4o": "o200k_base",
        "gpt-4": "cl100k_base",
        "o3": "o200k_base",
        "gpt-5": "o200k_base",
    }
    assert list(cache.iterdir()) == []
    assert done.err == ""
