"""A dataclass that is frozen for the type checker, and cheap at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lean_dataclass
else:
    from dataclasses import dataclass

    def lean_dataclass(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen for the type checker only.

        One that is frozen at run time takes four times as long to fill. For the records of a call
        that was a tenth of its whole overhead.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)
