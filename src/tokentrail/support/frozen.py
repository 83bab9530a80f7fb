"""What makes a class a record: frozen, as far as the type checker can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass

    def record(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen to the type checker alone, which reads every line.

        One that is frozen at run time, too, takes four times as long to fill, which for the records
        of a call was a tenth of all that telling it costs.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)
