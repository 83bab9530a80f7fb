"""A llama of random weights, half a megabyte: real inference of nonsense in words of its own.

Its vocabulary is that of no model of OpenAI: a few hundred whole words, and a token per byte for
everything else.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 64, 2, 4, 128, 2048
WORDS = tuple("".join(parts) for parts in product("bdfklmnprst", "aeiou", ("n", "ra", "lo", "mi")))
# Whatever stands outside a word is spelled in bytes, as every SentencePiece vocabulary can.
SPECIAL = (
    ("<unk>", gguf.TokenType.UNKNOWN),
    ("<s>", gguf.TokenType.CONTROL),
    ("</s>", gguf.TokenType.CONTROL),
)
BYTES = tuple((f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256))
SPEAKABLE = tuple((f"▁{word}", gguf.TokenType.NORMAL) for word in WORDS)
VOCABULARY = (*SPECIAL, *BYTES, *SPEAKABLE)
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def write(path: Path) -> None:
    """Write the model to ``path``; the same one each time."""
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer)
    chance = np.random.default_rng(20260)
    for name, shape in _shapes():
        writer.add_tensor(name, _weights(name, shape, chance))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in VOCABULARY])
    writer.add_token_scores([0.0] * len(VOCABULARY))
    writer.add_token_types([kind for _, kind in VOCABULARY])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)


def _shapes():
    yield "token_embd.weight", (len(VOCABULARY), WIDTH)
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (len(VOCABULARY), WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (WIDTH,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{layer}.{name}.weight", (HIDDEN, WIDTH)
        yield f"blk.{layer}.ffn_down.weight", (WIDTH, HIDDEN)


def _weights(name: str, shape: tuple[int, ...], chance: np.random.Generator) -> np.ndarray:
    if "norm" in name:
        return np.ones(shape, dtype=np.float32)
    weights = chance.normal(0.0, 0.2, shape).astype(np.float32)
    if name == "output.weight":
        # Silent rows: only words are among the likeliest, so it never stops and spells no bytes.
        weights[: len(SPECIAL) + len(BYTES)] = 0.0
    return weights
