import pytest
from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from tokentrail.counting import GUESSED_ENCODING, encoding_name, may_reason, resolve
from tokentrail.counting.encodings import RECIPES

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
    ("gpt-6", None, False),
    ("gpt-4.7", None, False),
    ("gpt-50", None, False),
    ("o5", None, False),
    ("o10", None, False),
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
