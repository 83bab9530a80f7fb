"""The recipe for Alertmanager, on a real one, which ALERTMANAGER names: see docs/runbooks.md."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from tests.dashboards.server import free_port
from tests.dashboards.shipped import ROOT, rules
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

CLIENT = httpx.Client(trust_env=False, timeout=10)
RECIPE = ROOT / "examples" / "observability" / "alertmanager.yml"


@contextmanager
def webhook():
    """Give the address of a receiver, and what it was sent."""
    came: queue.Queue = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            came.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", came
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def alertmanager(folder, config):
    """Run it with a configuration; give its API."""
    program = os.environ.get("ALERTMANAGER")
    if not program:
        pytest.skip("there is no Alertmanager: docs/runbooks.md says how to build one")
    file, url = folder / "alertmanager.yml", f"http://127.0.0.1:{free_port()}"
    file.write_text(config, "utf-8")
    command = [program, f"--config.file={file}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def is_ready():
            assert process.poll() is None, (folder / "log").read_text("utf-8")
            with suppress(httpx.TransportError):
                return CLIENT.get(f"{url}/-/ready").status_code == HTTPStatus.OK

        wait_until(is_ready, "Alertmanager is ready")
        yield f"{url}/api/v2/alerts"
    finally:
        process.terminate()
        process.wait(20)


def firing(name, **labels):
    """Return an alert of the shipped rules as Prometheus posts it."""
    (rule,) = (rule for rule in rules() if rule.name == name)
    return {
        "labels": {"alertname": name, **rule.labels, **labels},
        "annotations": rule.annotations,
    }


def test_the_recipe_sends_what_matters_with_its_runbook_and_panel(tmp_path):
    """A warning is held back while a critical alert of the same service and model fires."""
    failing = {"job": "shop", "gen_ai_request_model": "gpt-4.1"}
    alerts = [
        firing("TokentrailCallsFail", **failing),
        firing("TokentrailClientRetries", **failing),
        firing("TokentrailClientRetries", job="support", gen_ai_request_model="gpt-4o"),
    ]
    with webhook() as (address, came):
        recipe = RECIPE.read_text("utf-8").replace("group_wait: 30s", "group_wait: 1s")
        recipe = recipe.replace("http://localhost:5001/", address)
        with alertmanager(tmp_path, recipe) as url:
            for alert in alerts:
                CLIENT.post(url, json=[alert]).raise_for_status()
            both = [came.get(timeout=30), came.get(timeout=30)]
            listed = CLIENT.get(url).json()
    sent = {message["groupLabels"]["job"]: message["alerts"] for message in both}
    assert {job: [a["labels"]["alertname"] for a in told] for job, told in sent.items()} == {
        "shop": ["TokentrailCallsFail"],
        "support": ["TokentrailClientRetries"],
    }
    notes = sent["shop"][0]["annotations"]
    assert notes["runbook_url"].endswith("/runbooks.md#TokentrailCallsFail")
    assert notes["panel_url"].startswith("/d/tokentrail?viewPanel=")
    held = [each["labels"] for each in listed if each["status"]["inhibitedBy"]]
    assert held == [alerts[1]["labels"]]
