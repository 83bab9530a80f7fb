"""Write the table of settings into README.md, from the one description of every setting.

python tools/make_settings.py            # write it
python tools/make_settings.py --check    # exit 1 if it is stale
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path

from tokentrail.config import SETTINGS

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->\n"


def _default(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if value is None or value in ((), {}, frozenset()) or (hasattr(value, "__len__") and not value):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def render() -> str:
    """Return the table."""
    rows = ["| keyword, variable | default | allowed | what it does |", "| --- | --- | --- | --- |"]
    for setting in SETTINGS:
        named = f"`{setting.name}`<br>`{setting.environ}`"
        cells = (named, _default(setting.default), setting.allowed, setting.about)
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def written(readme: str) -> str:
    """Return the README with the table as it ought to be."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{render()}{END}{after}"


def main(arguments: list[str]) -> int:
    """Write or check."""
    readme = README.read_text(encoding="utf-8")
    wanted = written(readme)
    if "--check" in arguments:
        if readme != wanted:
            print("README.md: the settings are stale; run python tools/make_settings.py")
            return 1
        return 0
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
