"""Write what follows from the table of settings: docs/settings.md, and instrument()'s signature.

python tools/make_settings.py            # write it
python tools/make_settings.py --check    # exit 1 if any of it is stale
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from tokentrail.config import SETTINGS, Setting

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"
CODE = ROOT / "src" / "tokentrail" / "__init__.py"

HEAD = """\
# Settings

Made by `tools/make_settings.py` of the table in `tokentrail.config.schema`: nobody writes here.

Each setting is a keyword of `tokentrail.instrument()` and an environment variable. The keyword goes
over the variable, the variable over the default. A wrong keyword raises `ValueError` and says what
is allowed; a wrong variable warns once, and the default holds. `tokentrail doctor` shows what is in
force, and where it comes from.

"""


def page() -> str:
    """Return docs/settings.md."""
    return HEAD + "\n".join(map(_section, SETTINGS))


def _section(setting: Setting) -> str:
    rows = (
        ("variable", f"`{setting.variable}`"),
        ("type", f"`{setting.accepts}`"),
        ("default", setting.default_text),
        ("allowed", setting.allowed),
    )
    lines = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows]
    about = textwrap.fill(setting.about, 100, break_on_hyphens=False)
    return "\n".join((f"## {setting.name}\n", f"{about}\n", "| | |", "| --- | --- |", *lines, ""))


def code(source: str) -> str:
    """Return ``source`` with the keywords of ``instrument()``, and what they mean."""
    keywords = "".join(f"    {s.name}: {s.accepts} | None = None,\n" for s in SETTINGS)
    source = _between(source, "    logger_provider: ", "    **unknown", keywords)
    return _between(source, "        logger_provider: ", "        unknown: ", _docstring())


def _docstring() -> str:
    return "".join(
        textwrap.fill(
            f"{setting.name}: {setting.about} Allowed: {setting.allowed}. Default:"
            f" {setting.default_text}.",
            100,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        + "\n"
        for setting in SETTINGS
    )


def _between(source: str, first: str, last: str, text: str) -> str:
    """Return ``source`` with ``text`` after the line of ``first`` and before that of ``last``."""
    begin = source.index("\n", source.index(f"\n{first}") + 1) + 1
    return source[:begin] + text + source[source.index(f"\n{last}", begin - 1) + 1 :]


def main(arguments: list[str]) -> int:
    """Write or check; return the exit status."""
    wanted = {PAGE: page(), CODE: code(CODE.read_text(encoding="utf-8"))}
    stale = [path for path, text in wanted.items() if not _has(path, text)]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run python tools/make_settings.py")
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
