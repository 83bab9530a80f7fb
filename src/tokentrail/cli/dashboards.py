"""``tokentrail dashboards``: the Grafana dashboards and the Prometheus rules, into a folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual
from tokentrail.cli.service_label import add_option, relabelled

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Writes the Grafana dashboards and the Prometheus rules into a folder, which is made where it is
not. A file there that is not the same is kept.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail dashboards grafana/     then import the JSON in Grafana
  tokentrail dashboards . --force    after an upgrade, over the old ones
  tokentrail dashboards vm/ --service-label service_name    for VictoriaMetrics

There is a dashboard for each vocabulary of metrics.
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
    add_option(dashboards)
    dashboards.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    folder = Path(asked.folder)
    files = _files(asked.service_label)
    try:
        mine = [name for name in files if not asked.force and _differs(files[name], folder / name)]
        if mine:
            message = f"{', '.join(mine)} in {folder} would be lost: add --force, or name another"
            raise CommandError(message, code=2)
        folder.mkdir(parents=True, exist_ok=True)
        for name, written in files.items():
            if asked.force and (folder / name).is_symlink():
                (folder / name).unlink()
            (folder / name).write_bytes(written)
            print(folder / name)
    except OSError as error:
        message = f"cannot write {error.filename} ({error.strerror}): name another folder"
        raise CommandError(message) from error
    return 0


def _files(label: str) -> dict[str, bytes]:
    """Return what is shipped, by name, for a store that names services by ``label``."""
    shipped = (resources.files("tokentrail") / "dashboards").iterdir()  # perhaps in a zip
    return {
        path.name: relabelled(
            path.read_text("utf-8"), label, in_json=path.name.endswith(".json")
        ).encode()
        for path in sorted(shipped, key=lambda path: path.name)
    }


def _differs(written: bytes, there: Path) -> bool:
    if there.is_symlink() and not there.exists():
        return True  # a dangling link: to write would make a file elsewhere
    return there.exists() and there.read_bytes() != written
