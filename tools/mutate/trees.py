"""Copies of the tree, one for each mutant that runs at the same time.

So programs that tests start find the mutant too.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.mutate import scope

if TYPE_CHECKING:
    from pathlib import Path


def copy(number: int) -> Path:
    """Return a copy of what git knows (and of what is new to it), as it stands now."""
    tree = scope.STORE / f"tree-{number}"
    wanted = {path for path in _files() if (scope.ROOT / path).is_file()}
    for path in wanted:
        _refresh(scope.ROOT / path, tree / path)
    for old in tree.rglob("*.py"):
        if str(old.relative_to(tree)) not in wanted:
            old.unlink()  # was moved or removed
    return tree


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git is where the path says
        cwd=scope.ROOT, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return [path for path in listed.stdout.split("\0") if path]


def _refresh(source: Path, target: Path) -> None:
    """Copy a file that is not there, or not the same: its time stays with it, for caches."""
    if target.exists():
        ours, theirs = source.stat(), target.stat()
        if (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
