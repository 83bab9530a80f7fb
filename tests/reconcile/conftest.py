"""The command, run against an imitation of the bill and planted telemetry."""

from __future__ import annotations

import pytest

from tokentrail import cli

KEY = "sk-admin-never-to-be-printed"


@pytest.fixture
def reconcile(capsys, monkeypatch):
    """Run the command; return its exit code, output and complaint. The key is in none of them."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-application")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def reconcile(*arguments):
        try:
            code = cli.main(["reconcile", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        told, said = capsys.readouterr()
        assert KEY not in told + said
        return code, told, said

    return reconcile
