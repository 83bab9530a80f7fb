"""A dataclass that is frozen as far as the type checker can see, and lean at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lean_dataclass
else:
    from dataclasses import dataclass

    def lean_dataclass(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen to the type checker alone, which reads every line.

        One that is frozen at run time, too, takes four times as long to fill, which for the records
        of a call was a tenth of all that telling it costs.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)
