"""Whether calls made here are exported, and if not, why not: ``tokentrail doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokentrail.diagnosis.findings import Findings, examine
from tokentrail.diagnosis.report import report
from tokentrail.diagnosis.verdict import State, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Findings", "State", "Verdict", "diagnose", "examine", "judge", "report"]


def diagnose(environ: Mapping[str, str] = os.environ, *, connect: bool = False) -> Verdict:
    """Return the verdict on this process; ``connect``: also connect to the endpoints."""
    return judge(examine(environ), environ, connect=connect)
