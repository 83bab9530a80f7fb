"""``tokentrail dashboards``: the Grafana dashboards and the Prometheus rules, into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Writes the Grafana dashboards and the Prometheus rules into a folder, which is made where it is
not. A file there that is not the same is kept.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail dashboards grafana/     then import the JSON, or point Grafana's provisioning at it
  tokentrail dashboards . --force    after an upgrade, over the old ones

There is a dashboard for each vocabulary of metrics. docs/dashboards.md says how to load them.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    dashboards = commands.add_parser(
        "dashboards",
        help="write the Grafana dashboards and the Prometheus rules",
        **manual(_ABOUT, _EXAMPLES),
    )
    dashboards.add_argument("folder", metavar="DIR", help="where they are to be")
    dashboards.add_argument("--force", action="store_true", help="write over what is there")
    dashboards.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    folder = Path(asked.folder)
    shipped = sorted((Path(__file__).parents[1] / "dashboards").iterdir())
    try:
        mine = [p.name for p in shipped if not asked.force and _differs(p, folder / p.name)]
        if mine:
            message = f"{', '.join(mine)} in {folder} would be lost: add --force, or name another"
            raise CommandError(message, code=2)
        folder.mkdir(parents=True, exist_ok=True)
        for path in shipped:
            (folder / path.name).write_bytes(path.read_bytes())
            print(folder / path.name)
    except OSError as error:
        message = f"cannot write {error.filename} ({error.strerror}): name another folder"
        raise CommandError(message) from error
    return 0


def _differs(shipped: Path, there: Path) -> bool:
    return there.exists() and there.read_bytes() != shipped.read_bytes()
