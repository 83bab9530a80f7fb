"""``tokentrail dashboards``: the Grafana dashboards and the Prometheus rules, into a folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli import docs_option, label_option
from tokentrail.cli.command import CommandError, manual
from tokentrail.cli.service_label import add_option, relabelled

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Writes the Grafana dashboard and the Prometheus rules into a folder, and creates the folder if
necessary. Existing files with other content are kept unless you add --force.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail dashboards grafana/     then import the JSON in Grafana
  tokentrail dashboards . --force    after an upgrade, over the old ones
  tokentrail dashboards vm/ --service-label service_name    for VictoriaMetrics
  tokentrail dashboards grafana/ --by tenant    calls, cost, tokens by tenant
  tokentrail dashboards . --docs https://git.example/docs    for runbooks

The dashboard reads both vocabularies of metrics.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    dashboards = commands.add_parser(
        "dashboards",
        help="write the Grafana dashboard and the Prometheus rules",
        **manual(_ABOUT, _EXAMPLES),
    )
    dashboards.add_argument("folder", metavar="DIR", help="the folder to write them to")
    dashboards.add_argument("--force", action="store_true", help="overwrite files that differ")
    label_option.add_option(dashboards, "add a variable, a table and panels by this label")
    docs_option.add_option(dashboards)
    add_option(dashboards)
    dashboards.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    folder = Path(asked.folder)
    files = _files(asked)
    try:
        mine = [name for name in files if not asked.force and _differs(files[name], folder / name)]
        if mine:
            message = f"{', '.join(mine)} in {folder} would be lost: add --force or another folder"
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


def _files(asked: argparse.Namespace) -> dict[str, bytes]:
    """Return the shipped files by name, adapted to the options."""
    shipped = resources.files("tokentrail") / "dashboards"  # perhaps in a zip
    board = "tokentrail.json" if asked.by is None else "tokentrail-by.json"
    files = {"tokentrail.json": board, "tokentrail.rules.yml": "tokentrail.rules.yml"}
    return {
        name: _adapted((shipped / source).read_text("utf-8"), name, asked).encode()
        for name, source in files.items()
    }


def _adapted(text: str, name: str, asked: argparse.Namespace) -> str:
    text = docs_option.with_docs(text, asked.docs)
    if asked.by is not None:
        text = label_option.labelled(text, asked.by)
    return relabelled(text, asked.service_label, in_json=name.endswith(".json"))


def _differs(written: bytes, there: Path) -> bool:
    if there.is_symlink() and not there.exists():
        return True  # a dangling link: writing would create a file elsewhere
    return there.exists() and there.read_bytes() != written
