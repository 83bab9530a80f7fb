from typing import get_args

import pytest
from openai import types
from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from tokentrail.counting import GUESSED_ENCODING, encoding_name, may_reason, resolve
from tokentrail.counting.encodings import RECIPES
from tokentrail.counting.models import Dialect, dialect_of, is_known

CASES = [
    # model, encoding, may reason
    ("gpt-4o", "o200k_base", False),
    ("gpt-4o-2024-08-06", "o200k_base", False),
    ("gpt-4o-mini-2024-07-18", "o200k_base", False),
    ("gpt-4o-audio-preview", "o200k_base", False),
    ("chatgpt-4o-latest", "o200k_base", False),
    ("gpt-4.1", "o200k_base", False),
    ("gpt-4.1-nano-2025-04-14", "o200k_base", False),
    ("gpt-4.5-preview", "o200k_base", False),
    ("gpt-5", "o200k_base", True),
    ("gpt-5-mini", "o200k_base", True),
    ("gpt-5.4-2026-03-05", "o200k_base", True),
    ("gpt-5-codex", "o200k_base", True),
    ("gpt-5-chat-latest", "o200k_base", False),
    ("o1", "o200k_base", True),
    ("o1-mini", "o200k_base", True),
    ("o3-mini-2025-01-31", "o200k_base", True),
    ("o4-mini", "o200k_base", True),
    ("codex-mini-latest", "o200k_base", True),
    ("computer-use-preview-2025-03-11", "o200k_base", True),
    ("gpt-oss-120b", "o200k_base", True),
    ("openai/gpt-oss-20b:free", "o200k_base", True),
    ("gpt-4", "cl100k_base", False),
    ("gpt-4-0613", "cl100k_base", False),
    ("gpt-4-32k-0314", "cl100k_base", False),
    ("gpt-4-turbo-2024-04-09", "cl100k_base", False),
    ("gpt-4-1106-preview", "cl100k_base", False),
    ("gpt-3.5-turbo", "cl100k_base", False),
    ("gpt-3.5-turbo-0613", "cl100k_base", False),
    ("gpt-35-turbo", "cl100k_base", False),
    ("gpt-35-turbo-16k", "cl100k_base", False),
    ("text-embedding-3-small", "cl100k_base", False),
    ("text-embedding-ada-002", "cl100k_base", False),
    ("davinci-002", "cl100k_base", False),
    ("ft:gpt-4.1:org::id", "o200k_base", False),
    ("ft:gpt-4o-mini-2024-07-18:my-org:custom_suffix:id", "o200k_base", False),
    ("ft:gpt-3.5-turbo-0613:org::id", "cl100k_base", False),
    ("ft:o4-mini-2025-04-16:org::id", "o200k_base", True),
    ("openai/gpt-4o", "o200k_base", False),
    ("azure/gpt-4o", "o200k_base", False),
    ("gpt-4o@2024-08-06", "o200k_base", False),
    ("gpt-4@default", "cl100k_base", False),
    ("gpt-4o@", "o200k_base", False),
    ("gpt-4o_2024", None, False),
    ("GPT-4o", "o200k_base", False),
    (" gpt-4 ", "cl100k_base", False),
    ("text-davinci-003", None, False),
    ("ada", None, False),
    ("gpt-6", None, True),
    ("gpt-6.1-sol", None, True),
    ("gpt-audio-mini", None, False),
    ("gpt-daybreak", None, True),
    ("openai.gpt-oss-120b", "o200k_base", True),
    ("us.openai.gpt-4o-v1:0", "o200k_base", False),
    ("openai:gpt-4o", "o200k_base", False),
    ("databricks-gpt-5", "o200k_base", True),
    ("azure_openai/gpt-4.1", "o200k_base", False),
    ("gpt-4.7", None, False),
    ("gpt-50", None, True),
    ("gpt-60x", None, True),
    ("o5", None, True),
    ("o10", None, True),
    ("o5.1", None, False),
    ("o55x", None, False),
    ("my-deployment", None, False),
    ("llama-3.1-8b", None, False),
    ("ft:", None, False),
    ("ft:::", None, False),
    ("/", None, False),
    ("", None, False),
]


@pytest.mark.parametrize(("model", "encoding", "reasons"), CASES)
def test_a_model_has_an_encoding_or_is_unknown(model, encoding, reasons):
    assert encoding_name(model) == encoding
    assert may_reason(model) is reasons


def test_the_table_agrees_with_tiktoken_s():
    """Whatever tiktoken maps to an encoding that is shipped, ours maps to the same."""
    dated = {
        f"{prefix.rstrip('-')}-2026-01-01": name
        for prefix, name in MODEL_PREFIX_TO_ENCODING.items()
    }
    theirs = {**dated, **MODEL_TO_ENCODING}
    for model, name in theirs.items():
        # o200k_harmony differs from o200k_base in special tokens only.
        shipped = {"o200k_harmony": "o200k_base"}.get(name, name)
        assert encoding_name(model) == (shipped if shipped in RECIPES else None), model


def test_an_encoding_s_own_name_is_as_good_as_a_model_s():
    assert resolve("o200k_base") == "o200k_base"
    assert resolve("cl100k_base") == "cl100k_base"
    assert resolve("gpt-4") == "cl100k_base"
    assert resolve("p50k_base") is None
    assert GUESSED_ENCODING in RECIPES


def listed():
    """Yield every model that the installed client names, by the alias it stands in."""
    for name in ("ChatModel", "ResponsesModel", "EmbeddingModel", "ImageModel", "VideoModel"):
        alias = getattr(types, name, None)  # older clients have fewer
        for part in (alias, *get_args(alias)):
            yield from (name for name in get_args(part) if isinstance(name, str))


LEFT_OUT = ("dall-e-", "sora-")
"""What makes pictures and films without a token."""


def test_no_model_that_the_client_lists_is_missing():
    names = {name for name in listed() if not name.startswith(LEFT_OUT)}
    assert len(names) > 20
    assert sorted(name for name in names if not is_known(name)) == []


def test_only_names_say_how_a_model_writes():
    """An encoding's own name says nothing about thought."""
    assert not is_known("o200k_base")
    assert dialect_of("gpt-5.3-codex") is Dialect.GPT_5
    assert dialect_of("gpt-5.4") is dialect_of("gpt-6-sol") is Dialect.GPT_5_4
    assert dialect_of("o1-mini") is Dialect.EARLY
    assert dialect_of("o3-mini") is dialect_of("codex-mini-latest") is Dialect.O_SERIES
    assert dialect_of("openai.gpt-oss-20b") is Dialect.OSS
    assert dialect_of("gpt-5-chat-latest") is dialect_of("my-deployment") is Dialect.PLAIN
    assert dialect_of("gpt-35-turbo-0301") is Dialect.OLDEST
