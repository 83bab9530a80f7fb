"""What recorded exchanges and published numbers say of each rule. Made by ``tools/rules.py``."""

from __future__ import annotations

from typing import NamedTuple


class Evidence(NamedTuple):
    """Exchanges in which a rule was used."""

    supporting: int = 0
    """In which the whole count was what was billed."""
    contradicting: int = 0
    """In which it was not, and no other of its rules is more often among such."""
    projects: int = 0
    months: int = 0
    """Whose, and when, the supporting ones are."""
    published: int = 0
    """Published numbers that it fits, see tests/counting/facts.py."""


EVIDENCE: dict[str, Evidence] = {
    "input.text": Evidence(85, 1, 18, 20, 1),
    "input.token_ids": Evidence(10, 0, 3, 4, 0),
    "input.messages": Evidence(1069, 2, 28, 29, 102),
    "input.messages.gpt-3.5-turbo-0301": Evidence(0, 0, 0, 0, 1),
    "input.messages.reasoning": Evidence(323, 2, 18, 15, 9),
    "input.messages.early": Evidence(2, 2, 1, 1, 0),
    "input.messages.responses.march_2025": Evidence(11, 9, 5, 1, 0),
    "input.assistant.reasoning": Evidence(26, 0, 8, 7, 0),
    "input.text_parts": Evidence(12, 0, 5, 6, 0),
    "input.name": Evidence(3, 0, 2, 2, 11),
    "input.function_message": Evidence(0, 0, 0, 0, 3),
    "input.function_call": Evidence(0, 0, 0, 0, 2),
    "input.tools.chat": Evidence(269, 0, 21, 26, 36),
    "input.tools.responses": Evidence(110, 2, 13, 14, 6),
    "input.tools.chat.gpt-5": Evidence(44, 0, 7, 7, 0),
    "input.tools.responses.reasoning": Evidence(111, 1, 7, 8, 0),
    "input.tools.chat.o": Evidence(8, 0, 2, 2, 0),
    "input.tools.undescribed.reasoning": Evidence(24, 0, 1, 6, 0),
    "input.declaration": Evidence(533, 0, 26, 26, 42),
    "input.declaration.lines": Evidence(41, 0, 8, 10, 0),
    "input.declaration.title": Evidence(193, 0, 7, 13, 0),
    "input.declaration.default": Evidence(13, 0, 4, 4, 0),
    "input.declaration.enum": Evidence(14, 1, 7, 9, 8),
    "input.declaration.array": Evidence(19, 2, 5, 8, 1),
    "input.declaration.object": Evidence(2, 0, 2, 2, 3),
    "input.declaration.nested": Evidence(4, 1, 1, 2, 0),
    "input.declaration.union": Evidence(1, 12, 1, 1, 0),
    "input.declaration.reference": Evidence(5, 0, 2, 2, 0),
    "input.declaration.other_keyword": Evidence(8, 0, 1, 1, 0),
    "input.tool_choice.none": Evidence(0, 0, 0, 0, 8),
    "input.tool_choice.required": Evidence(36, 0, 8, 11, 0),
    "input.tool_choice.named": Evidence(9, 0, 4, 4, 3),
    "input.tool_choice.function": Evidence(0, 0, 0, 0, 1),
    "input.tool_choice.reasoning": Evidence(6, 0, 4, 4, 0),
    "input.call.chat": Evidence(124, 0, 13, 16, 7),
    "input.call.responses": Evidence(70, 0, 10, 11, 2),
    "input.call.responses.completed": Evidence(40, 0, 4, 5, 0),
    "input.call.responses.completed.several": Evidence(1, 1, 1, 1, 0),
    "input.call.chat.gpt-5": Evidence(13, 0, 5, 5, 0),
    "input.call.responses.gpt-5": Evidence(5, 3, 3, 3, 0),
    "input.call.responses.gpt-5.4": Evidence(29, 0, 3, 3, 0),
    "input.call.spaced.reasoning": Evidence(2, 0, 1, 1, 0),
    "input.call.o": Evidence(5, 3, 1, 1, 0),
    "input.call.beside_text": Evidence(1, 0, 1, 1, 0),
    "input.calls.chat": Evidence(20, 0, 7, 9, 1),
    "input.calls.responses": Evidence(13, 0, 4, 4, 0),
    "input.calls.chat.reasoning": Evidence(3, 0, 3, 3, 0),
    "input.calls.responses.reasoning": Evidence(5, 0, 2, 3, 0),
    "input.calls.not_ascii": Evidence(4, 3, 2, 2, 0),
    "input.schema.chat": Evidence(100, 0, 9, 10, 2),
    "input.schema.responses": Evidence(23, 5, 8, 9, 2),
    "input.schema.chat.reasoning": Evidence(6, 0, 3, 3, 0),
    "input.schema.responses.reasoning": Evidence(27, 0, 5, 5, 0),
    "input.schema.beside_tools": Evidence(19, 0, 3, 5, 2),
    "input.schema.answered": Evidence(5, 0, 3, 2, 0),
    "input.schema.left_out": Evidence(39, 0, 1, 3, 0),
    "input.schema.not_ascii": Evidence(6, 0, 1, 2, 0),
    "input.schema.other_keyword": Evidence(0, 1, 0, 0, 0),
    "input.image.tiles.low": Evidence(0, 0, 0, 0, 5),
    "input.image.tiles": Evidence(0, 0, 0, 0, 8),
    "input.image.tiles.auto": Evidence(30, 0, 5, 6, 0),
    "input.image.patches": Evidence(10, 0, 1, 2, 3),
    "input.image.patches.fraction": Evidence(1, 4, 1, 1, 0),
    "input.image.patches.shrunk": Evidence(0, 0, 0, 0, 1),
    "input.image.unsized": Evidence(6, 11, 5, 4, 0),
    "input.file.text": Evidence(1, 0, 1, 1, 0),
    "input.reasoning.earlier_turn": Evidence(11, 0, 3, 4, 0),
    "input.reasoning.sealed": Evidence(0, 20, 0, 0, 0),
    "input.not_read": Evidence(2, 40, 1, 2, 0),
    "output.text": Evidence(789, 1, 23, 29, 22),
    "output.text.responses": Evidence(423, 7, 19, 18, 10),
    "output.item.responses": Evidence(423, 0, 19, 18, 10),
    "output.text.beside_tools": Evidence(198, 0, 15, 18, 10),
    "output.schema.beside_tools": Evidence(35, 1, 5, 9, 2),
    "output.refusal": Evidence(2, 0, 1, 2, 0),
    "output.stop_sequences": Evidence(44, 2, 5, 11, 0),
    "output.call": Evidence(184, 1, 20, 21, 8),
    "output.call.gpt-4": Evidence(2, 0, 2, 2, 0),
    "output.call.gpt-4.required": Evidence(0, 1, 0, 0, 0),
    "output.call.named": Evidence(11, 0, 4, 5, 2),
    "output.call.function": Evidence(4, 0, 2, 4, 0),
    "output.calls": Evidence(28, 1, 11, 11, 1),
    "output.calls.long": Evidence(0, 1, 0, 0, 0),
    "output.call.wrapped": Evidence(2, 0, 2, 2, 1),
    "output.text_and_call": Evidence(2, 0, 1, 2, 0),
    "output.end.azure": Evidence(10, 0, 3, 3, 0),
    "output.end.2025": Evidence(38, 0, 10, 5, 0),
    "output.end.unsure": Evidence(27, 4, 2, 5, 0),
    "output.header.no_thought": Evidence(79, 0, 4, 5, 0),
    "output.completion": Evidence(18, 0, 5, 5, 0),
    "output.not_read": Evidence(0, 1, 0, 0, 0),
}
