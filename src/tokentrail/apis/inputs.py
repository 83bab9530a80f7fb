"""Inputs of completions and embeddings: text, texts, token ids, or lists of token ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokentrail.apis.values import is_absent, is_sequence, plain_str

if TYPE_CHECKING:
    from collections.abc import Sequence


class Inputs(NamedTuple):
    """The contents of an input."""

    texts: tuple[str, ...] = ()
    token_ids: int = 0
    unread: bool = False
    """Whether the input contains something other than text and token ids."""


def read_inputs(given: object) -> Inputs:
    """Read an input of any of the four forms. Token ids are only counted."""
    whole = plain_str(given)
    if whole is not None:
        return Inputs(texts=(whole,))
    if not is_sequence(given):
        return Inputs(unread=not is_absent(given))
    if _holds_ids(given):
        return Inputs(token_ids=len(given))
    texts = tuple(item for item in map(plain_str, given) if item is not None)
    ids = [len(item) for item in given if is_sequence(item) and _holds_ids(item)]
    return Inputs(texts, sum(ids), unread=len(texts) + len(ids) != len(given))


def _holds_ids(given: Sequence[object]) -> bool:
    """Check only the first item: there may be hundreds of thousands of ids, all of one type."""
    return bool(given) and type(given[0]) is int
