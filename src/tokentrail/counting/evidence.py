"""The evidence for each rule: recorded exchanges, published numbers. Made by ``tools/rules.py``."""

from __future__ import annotations

from typing import NamedTuple


class Evidence(NamedTuple):
    """Exchanges in which a rule was used."""

    supporting: int = 0
    """Those in which the whole count equals what was billed."""
    contradicting: int = 0
    """Those in which it does not, and no other rule used there fails more often."""
    projects: int = 0
    months: int = 0
    """Project and month of the exchanges that support the rule."""
    published: int = 0
    """Published numbers that the rule reproduces, see tests/counting/facts.py."""
    used: int = 0
    """All exchanges in which it was used, explained or not."""
    off: int = 0
    """Those of them in which the whole count was more than a tenth off."""


EVIDENCE: dict[str, Evidence] = {
    "input.text": Evidence(87, 0, 18, 20, 1, 89, 2),
    "input.text.empty": Evidence(0, 1, 0, 0, 0, 1, 1),
    "input.token_ids": Evidence(12, 0, 3, 4, 0, 12, 0),
    "input.messages": Evidence(1069, 2, 28, 29, 103, 1143, 28),
    "input.messages.gpt-3.5-turbo-0301": Evidence(0, 0, 0, 0, 1, 0, 0),
    "input.messages.reasoning": Evidence(323, 1, 18, 15, 9, 372, 25),
    "input.messages.early": Evidence(2, 2, 1, 1, 0, 4, 2),
    "input.messages.responses.march_2025": Evidence(11, 9, 5, 1, 0, 23, 6),
    "input.assistant.reasoning": Evidence(26, 0, 8, 7, 0, 28, 2),
    "input.text_parts": Evidence(12, 0, 5, 6, 0, 12, 0),
    "input.name": Evidence(3, 0, 2, 2, 11, 3, 0),
    "input.function_message": Evidence(0, 0, 0, 0, 3, 0, 0),
    "input.function_call": Evidence(0, 0, 0, 0, 2, 0, 0),
    "input.tools.chat": Evidence(270, 0, 21, 26, 36, 289, 2),
    "input.tools.responses": Evidence(110, 2, 13, 14, 7, 125, 2),
    "input.tools.chat.gpt-5": Evidence(45, 0, 7, 7, 0, 50, 4),
    "input.tools.responses.reasoning": Evidence(111, 1, 7, 8, 0, 138, 12),
    "input.tools.chat.o": Evidence(8, 0, 2, 2, 0, 11, 0),
    "input.tools.undescribed.reasoning": Evidence(24, 0, 1, 6, 0, 40, 10),
    "input.declaration": Evidence(535, 0, 26, 26, 43, 604, 20),
    "input.declaration.lines": Evidence(41, 0, 8, 10, 0, 46, 0),
    "input.declaration.title": Evidence(194, 0, 7, 13, 0, 208, 2),
    "input.declaration.default": Evidence(13, 0, 4, 4, 0, 15, 0),
    "input.declaration.enum": Evidence(14, 0, 7, 9, 8, 18, 0),
    "input.declaration.array": Evidence(21, 0, 5, 8, 1, 33, 1),
    "input.declaration.object": Evidence(2, 0, 2, 2, 3, 2, 0),
    "input.declaration.nested": Evidence(4, 1, 1, 2, 0, 12, 0),
    "input.declaration.union": Evidence(1, 12, 1, 1, 0, 13, 0),
    "input.declaration.reference": Evidence(5, 0, 2, 2, 0, 6, 0),
    "input.declaration.other_keyword": Evidence(8, 0, 1, 1, 0, 18, 3),
    "input.tool_choice.none": Evidence(0, 0, 0, 0, 8, 0, 0),
    "input.tool_choice.required": Evidence(24, 0, 8, 11, 0, 24, 0),
    "input.tool_choice.required.responses": Evidence(0, 0, 0, 0, 1, 0, 0),
    "input.tool_choice.required.gpt-4": Evidence(0, 1, 0, 0, 0, 1, 0),
    "input.tool_choice.allowed": Evidence(12, 0, 1, 2, 0, 13, 0),
    "input.tool_choice.named": Evidence(10, 0, 4, 4, 3, 11, 0),
    "input.tool_choice.function": Evidence(0, 0, 0, 0, 1, 0, 0),
    "input.tool_choice.reasoning": Evidence(6, 0, 4, 4, 0, 6, 0),
    "input.call.chat": Evidence(124, 0, 13, 16, 7, 126, 1),
    "input.call.responses": Evidence(70, 0, 10, 11, 2, 81, 1),
    "input.call.responses.completed": Evidence(33, 0, 4, 5, 0, 38, 1),
    "input.call.responses.completed.several": Evidence(1, 1, 1, 1, 0, 2, 0),
    "input.call.responses.completed.schema": Evidence(7, 5, 1, 2, 0, 12, 0),
    "input.call.chat.gpt-5": Evidence(13, 0, 5, 5, 0, 18, 4),
    "input.call.responses.gpt-5": Evidence(5, 3, 3, 3, 0, 28, 10),
    "input.call.responses.gpt-5.4": Evidence(29, 0, 3, 3, 0, 33, 2),
    "input.call.spaced.reasoning": Evidence(2, 0, 1, 1, 0, 5, 1),
    "input.call.o": Evidence(5, 3, 1, 1, 0, 8, 0),
    "input.call.beside_text": Evidence(1, 0, 1, 1, 0, 1, 0),
    "input.calls.chat": Evidence(20, 0, 7, 9, 1, 23, 0),
    "input.calls.responses": Evidence(13, 0, 4, 4, 0, 14, 0),
    "input.calls.chat.reasoning": Evidence(3, 0, 3, 3, 0, 3, 0),
    "input.calls.responses.reasoning": Evidence(5, 0, 2, 3, 0, 5, 0),
    "input.calls.not_ascii": Evidence(4, 3, 2, 2, 0, 7, 0),
    "input.schema.chat": Evidence(100, 0, 9, 10, 2, 100, 0),
    "input.schema.responses": Evidence(23, 0, 8, 9, 2, 33, 3),
    "input.schema.chat.reasoning": Evidence(6, 0, 3, 3, 0, 6, 0),
    "input.schema.responses.reasoning": Evidence(27, 0, 5, 5, 0, 28, 0),
    "input.schema.beside_tools": Evidence(19, 0, 3, 5, 2, 19, 0),
    "input.schema.answered": Evidence(5, 0, 3, 2, 0, 5, 0),
    "input.schema.union": Evidence(10, 0, 1, 3, 0, 10, 0),
    "input.schema.left_out": Evidence(39, 0, 1, 3, 0, 39, 0),
    "input.schema.not_ascii": Evidence(6, 0, 1, 2, 0, 6, 0),
    "input.schema.other_keyword": Evidence(0, 0, 0, 0, 0, 1, 1),
    "input.image.tiles.low": Evidence(0, 0, 0, 0, 5, 0, 0),
    "input.image.tiles": Evidence(0, 0, 0, 0, 8, 0, 0),
    "input.image.tiles.auto": Evidence(30, 0, 5, 6, 0, 30, 0),
    "input.image.patches": Evidence(10, 0, 1, 2, 3, 10, 0),
    "input.image.patches.fraction": Evidence(1, 4, 1, 1, 0, 5, 0),
    "input.image.patches.shrunk": Evidence(0, 0, 0, 0, 1, 0, 0),
    "input.image.unproven": Evidence(0, 1, 0, 0, 0, 1, 0),
    "input.image.unsized": Evidence(6, 11, 5, 4, 0, 21, 12),
    "input.file.text": Evidence(1, 0, 1, 1, 0, 1, 0),
    "input.reasoning.earlier_turn": Evidence(11, 0, 3, 4, 0, 14, 2),
    "input.reasoning.sealed": Evidence(0, 16, 0, 0, 0, 20, 8),
    "input.compaction": Evidence(0, 2, 0, 0, 0, 4, 0),
    "input.not_read": Evidence(0, 0, 0, 0, 0, 45, 31),
    "output.text": Evidence(790, 2, 23, 29, 22, 799, 4),
    "output.text.responses": Evidence(432, 3, 19, 18, 12, 470, 19),
    "output.item.responses": Evidence(432, 0, 19, 18, 12, 467, 16),
    "output.text.beside_tools": Evidence(198, 0, 15, 18, 12, 198, 0),
    "output.text.beside_hosted_tools": Evidence(3, 0, 2, 3, 0, 20, 6),
    "output.schema.beside_tools": Evidence(28, 0, 3, 6, 4, 28, 0),
    "output.schema.reasoning": Evidence(7, 1, 2, 3, 0, 8, 1),
    "output.refusal": Evidence(2, 0, 1, 2, 0, 2, 0),
    "output.stop_sequences": Evidence(39, 0, 3, 10, 0, 43, 0),
    "output.stop_sequences.inline": Evidence(2, 1, 2, 2, 0, 3, 1),
    "output.stop_sequences.gpt-4": Evidence(0, 1, 0, 0, 0, 1, 1),
    "output.call": Evidence(174, 0, 20, 21, 8, 175, 0),
    "output.call.gpt-4": Evidence(2, 0, 2, 2, 0, 2, 0),
    "output.call.gpt-4.required": Evidence(1, 0, 1, 1, 0, 1, 0),
    "output.call.named": Evidence(11, 0, 4, 5, 2, 11, 0),
    "output.call.function": Evidence(4, 0, 2, 4, 0, 4, 0),
    "output.call.beside_hosted_tools": Evidence(0, 2, 0, 0, 0, 4, 3),
    "output.call.allowed": Evidence(10, 2, 1, 2, 0, 12, 2),
    "output.calls.chat": Evidence(21, 0, 8, 10, 1, 21, 0),
    "output.calls.responses": Evidence(7, 0, 6, 5, 0, 7, 0),
    "output.calls.responses.early": Evidence(1, 0, 1, 1, 0, 1, 0),
    "output.calls.long": Evidence(0, 1, 0, 0, 0, 1, 0),
    "output.call.wrapped": Evidence(2, 0, 2, 2, 1, 2, 0),
    "output.text_and_call": Evidence(2, 0, 1, 2, 0, 3, 1),
    "output.end.azure": Evidence(14, 0, 3, 3, 0, 14, 0),
    "output.end.2025": Evidence(38, 0, 10, 5, 0, 38, 0),
    "output.end.unsure": Evidence(23, 4, 2, 5, 0, 27, 0),
    "output.header.no_thought": Evidence(86, 0, 4, 5, 0, 94, 6),
    "output.completion": Evidence(22, 0, 6, 6, 0, 23, 1),
    "output.not_read": Evidence(0, 0, 0, 0, 0, 26, 15),
}
