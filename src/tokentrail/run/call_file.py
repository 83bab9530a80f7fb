"""The file that the processes of a program append their calls to, a line of JSON for each."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokentrail.config import SETTINGS, TokenCounting, read_environment
from tokentrail.cost import genai_prices
from tokentrail.run.call_row import CallRow
from tokentrail.run.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FILE: Final = "_TOKENTRAIL_RUN"
"""The variable that names the file; a process that inherits it writes there."""
CONTENT: Final = "_TOKENTRAIL_RUN_CONTENT"
"""Set where lines may hold messages."""
_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_COUNTING: Final = next(one for one in SETTINGS if one.name == "token_counting")
_BOOTSTRAP: Final = Path(__file__).with_name("bootstrap")
_PAUSE: Final = 0.05
"""Seconds between two looks at the file."""


def append(line: dict[str, Any], environ: Mapping[str, str] = os.environ) -> None:
    """Append a line; opened anew each time, since a fork or a daemon may close what is open.

    Nothing where there is no file, or its reader is gone.
    """
    try:
        file = os.open(environ[FILE], os.O_WRONLY | os.O_APPEND)
    except (KeyError, OSError):
        return
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


@dataclass
class CallFile:
    """Made empty; what is in it by now is taken by :meth:`read`."""

    path: Path
    on_row: Callable[[CallRow], object] = lambda _: None
    record: Path | None = None
    """Where whole lines of calls are kept."""
    totals: Totals = field(default_factory=Totals)
    rows: list[CallRow] = field(default_factory=list)
    keep_rows: bool = True
    processes: list[bool] = field(default_factory=list)
    """Of each process that imported openai, whether it is instrumented."""
    _offset: int = 0

    def __post_init__(self) -> None:
        self.path.touch(mode=0o600)

    def environment(
        self, environ: Mapping[str, str], *, content: bool = False, children: bool = False
    ) -> dict[str, str]:
        """Return ``environ`` with what has calls written here.

        ``content``: with their messages. ``children``: Python programs that are started with it
        register the hooks by themselves.
        """
        changed = {**environ, FILE: str(self.path)}
        if children:
            path = environ.get("PYTHONPATH")
            changed["PYTHONPATH"] = f"{_BOOTSTRAP}{os.pathsep}{path}" if path else str(_BOOTSTRAP)
        if genai_prices.is_installed() or "TOKENTRAIL_PRICES" in environ:
            changed.setdefault("TOKENTRAIL_COST", "counted")
        if read_environment(_COUNTING, environ).value is not TokenCounting.OFF:
            changed.setdefault("TOKENTRAIL_EXPLAIN", "all")
        # The first call waits for encodings and prices to be imported; a row may come late.
        changed.setdefault("TOKENTRAIL_COUNT_TIMEOUT", "20")
        if content:
            changed[CONTENT] = "1"
            changed.setdefault(_CAPTURE, "SPAN_ONLY")
        return changed

    def read(self) -> None:
        """Take the whole lines that came since."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            read = file.read()
        whole = read[: read.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line), line)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Read it all the while, and what is left at the end."""
        done = threading.Event()

        def follow() -> None:
            while not done.wait(_PAUSE):
                self.read()

        thread = threading.Thread(target=follow, name="tokentrail-run", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.read()

    def _take(self, entry: dict[str, Any], line: bytes) -> None:
        if "instrumented" in entry:
            self.processes.append(entry["instrumented"])
            return
        row = CallRow.from_json(entry)
        self.totals.add(row)
        if self.keep_rows:
            self.rows.append(row)
        if self.record is not None:
            with self.record.open("ab") as file:
                file.write(line + b"\n")
        self.on_row(row)
