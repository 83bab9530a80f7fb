"""Python imports this as it starts, where ``tokentrail run`` put its folder first on the path.

Then it imports the ``sitecustomize`` that would have been imported without it. The folder leaves
``sys.path`` and stays in ``PYTHONPATH``, so that the program's own Python programs have it too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import suppress
from pathlib import Path

_HERE = str(Path(__file__).parent)


def _register() -> None:
    """Register the hooks. By their path: ``import tokentrail`` takes longer than some programs."""
    path = Path(_HERE).with_name("hooks.py")
    spec = importlib.util.spec_from_file_location("_tokentrail_run_hooks", path)
    if spec is None or spec.loader is None:
        return
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    hooks.register()


def _import_next() -> None:
    sys.path[:] = [path for path in sys.path if path != _HERE]
    own = sys.modules.pop(__name__, None)
    try:
        importlib.import_module(__name__)
    except ModuleNotFoundError as error:
        if error.name != __name__:
            raise
    finally:
        if own is not None:
            sys.modules.setdefault(__name__, own)


if __name__ == "sitecustomize":
    with suppress(Exception):  # the program runs, whatever becomes of the rows
        _register()
    _import_next()
