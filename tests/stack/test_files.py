"""The stack of examples/observability: its files fit together, and what they name is told.

Nothing here starts a container; see the example's README for what was run.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from tests.dashboards.shipped import FOLDER, ROOT, VOCABULARIES, rules, targets

from tokentrail import cli

STACK = ROOT / "examples" / "observability"


def _read(name):
    return yaml.safe_load((STACK / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def compose():
    return _read("compose.yaml")["services"]


@pytest.fixture(scope="module")
def specification():
    """Give the schema of the Compose specification.

    compose-spec.json is schema/compose-spec.json of github.com/compose-spec/compose-spec
    (Apache-2.0), as the package check-jsonschema 0.39.0 ships it.
    """
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def test_compose_yaml_is_what_the_specification_allows(specification):
    assert [error.message for error in specification.iter_errors(_read("compose.yaml"))] == []


@pytest.mark.parametrize(
    ("service", "mistake"),
    [("demo", {"restarts": "no"}), ("grafana", {"ports": "3000"}), ("jaeger", {"image": 2.19})],
)
def test_the_specification_does_not_allow_everything(specification, service, mistake):
    made = _read("compose.yaml")
    made["services"][service].update(mistake)
    assert not specification.is_valid(made)


def test_every_image_is_pinned_to_a_release(compose):
    images = {name: each["image"] for name, each in compose.items() if "image" in each}
    assert images.keys() == {"collector", "jaeger", "prometheus", "grafana"}
    for image in images.values():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", image), image
    assert re.match(r"FROM python:\d+\.\d+\.\d+-", (STACK / "Dockerfile").read_text("utf-8"))


def test_the_readme_names_the_releases_that_are_pinned(compose):
    page = (STACK / "README.md").read_text("utf-8")
    for name in ("collector", "jaeger", "prometheus", "grafana"):
        release = compose[name]["image"].rpartition(":")[2].removeprefix("v")
        assert re.search(rf"\| `{name}` \|.*\b{re.escape(release)}\b", page), name


def test_ports_are_open_to_this_machine_only_and_told(compose):
    page = (STACK / "README.md").read_text("utf-8")
    for name, each in compose.items():
        for port in each.get("ports", ()):
            host, outside, inside = port.split(":")
            assert (host, outside) == ("127.0.0.1", inside)
            assert re.search(rf"\| `{name}` \|.*\b{outside}\b", page), port


def test_what_is_mounted_and_built_is_there(compose):
    for each in compose.values():
        for mount in each.get("volumes", ()):
            source, target, mode = mount.split(":")
            assert (STACK / source).exists(), mount
            assert target.startswith("/")
            assert mode == "ro"
    build = compose["demo"]["build"]
    context = (STACK / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(STACK / "Dockerfile")


def test_the_build_sends_what_it_needs_and_no_more():
    """The Dockerfile's own ignore file: everything but these."""
    lines = (STACK / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert lines[0] == "*"
    sent = [line[1:] for line in lines if line.startswith("!")]
    assert all((ROOT / each).exists() for each in sent)
    needed = ["pyproject.toml", "README.md", "LICENSE", "src", "examples/observability/app.py"]
    assert sorted(sent) == sorted(needed)


def test_services_wait_for_services_that_are_there(compose):
    for each in compose.values():
        assert set(each.get("depends_on", ())) <= compose.keys()


def test_configurations_are_named_where_they_are_mounted(compose):
    for name in ("collector", "jaeger", "prometheus"):
        (path,) = (c.partition("=")[2] for c in compose[name]["command"] if "--config" in c)
        assert path in _targets(compose[name])


def _targets(service):
    return {mount.split(":")[1]: mount.split(":")[0] for mount in service["volumes"]}


def _listens(name, compose):
    """Return the ports inside the container that the service listens on."""
    ports = {int(port.rpartition(":")[2]) for port in compose[name].get("ports", ())}
    if name == "jaeger":
        endpoint = _read("jaeger.yaml")["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
        ports.add(int(endpoint.rpartition(":")[2]))
    return ports


@pytest.mark.parametrize(
    "file",
    ["compose.yaml", "collector.yaml", "jaeger.yaml", "grafana/datasources/tokentrail.yaml"],
)
def test_whoever_is_called_listens_there(compose, file):
    text = (STACK / file).read_text("utf-8")
    called = re.findall(rf"(?:http://|endpoint: )({'|'.join(compose)}):(\d+)", text)
    assert called
    for name, port in called:
        assert int(port) in _listens(name, compose), (name, port)


def test_the_collector_listens_where_it_is_published(compose):
    protocols = _read("collector.yaml")["receivers"]["otlp"]["protocols"]
    ports = {int(each["endpoint"].rpartition(":")[2]) for each in protocols.values()}
    assert ports == _listens("collector", compose)


# Prometheus and Grafana --------------------------------------------------------------------------


def test_prometheus_takes_otlp_with_exemplars_and_our_rules(compose):
    command = compose["prometheus"]["command"]
    assert "--web.enable-otlp-receiver" in command
    assert "--enable-feature=exemplar-storage" in command
    endpoint = _read("collector.yaml")["exporters"]["otlp_http/prometheus"]["endpoint"]
    assert urlsplit(endpoint).path == "/api/v1/otlp"
    ours, prices = _rule_files(compose)
    assert ours.samefile(FOLDER / "tokentrail.rules.yml")
    assert prices.samefile(STACK / "prices.rules.yml")


def _rule_files(compose):
    """Return the files of rules that Prometheus reads, where they are before they are mounted."""
    mounts = _targets(compose["prometheus"])
    paths = map(Path, _read("prometheus.yaml")["rule_files"])
    return [
        STACK / (mounts.get(str(path)) or Path(mounts[str(path.parent)]) / path.name)
        for path in paths
    ]


def test_the_price_rules_are_made_by_the_command_that_the_readme_names(tmp_path):
    """Those that sum up tokens are compared: prices change, and so may those that multiply."""
    page = (STACK / "README.md").read_text("utf-8")
    (command,) = re.findall(r"^tokentrail (prices .*)$", page, re.MULTILINE)
    words = shlex.split(command)
    made = tmp_path / words[words.index("-o") + 1]
    words[words.index("-o") + 1] = str(made)
    assert cli.main(words) == 0
    shipped = rules(STACK / made.name)
    assert _of_tokens(shipped) == _of_tokens(rules(made))
    assert len(_of_tokens(shipped)) > 1


def _of_tokens(found):
    return [rule for rule in found if rule.name == "tokentrail:priced_tokens:rate5m"]


def test_promtool_accepts_the_configuration_and_its_rules(compose, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install --no-install-recommends prometheus")
    here = _rule_files(compose)
    there = tmp_path / "prometheus.yaml"
    there.write_text(json.dumps({**_read("prometheus.yaml"), "rule_files": list(map(str, here))}))
    done = subprocess.run(
        [promtool, "check", "config", there], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for path in here:
        assert f"{len(rules(path))} rules found" in done.stdout


def test_grafana_finds_the_dashboards_that_are_shipped(compose):
    """Mounted, not copied: so they are the same."""
    mounts = _targets(compose["grafana"])
    (provider,) = _read("grafana/dashboards/tokentrail.yaml")["providers"]
    assert (STACK / mounts[provider["options"]["path"]]).samefile(FOLDER)
    home = Path(compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (FOLDER / home.name).exists()
    for kind in ("datasources", "dashboards"):
        assert mounts[f"/etc/grafana/provisioning/{kind}"] == f"./grafana/{kind}"


@pytest.fixture
def sources():
    return {
        each["uid"]: each for each in _read("grafana/datasources/tokentrail.yaml")["datasources"]
    }


def test_data_sources_lead_to_each_other(sources):
    (exemplars,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert sources[exemplars["datasourceUid"]]["type"] == "jaeger"
    assert exemplars["name"] == "trace_id"
    metrics = sources["jaeger"]["jsonData"]["tracesToMetrics"]
    assert sources[metrics["datasourceUid"]]["isDefault"] is True


def test_a_span_leads_to_metrics_and_labels_that_dashboards_have_too(sources):
    known = " ".join([target.expr for target in targets(*VOCABULARIES)] + [r.expr for r in rules()])
    link = sources["jaeger"]["jsonData"]["tracesToMetrics"]
    assert link["tags"][0] == {"key": "service.name", "value": "job"}
    for tag in link["tags"][1:]:
        assert tag["value"] == tag["key"].replace(".", "_")
        assert tag["value"] in known
    for query in link["queries"]:
        (metric,) = re.findall(r"rate\((\w+)\{\$\$__tags\}\[5m\]\)", query["query"])
        assert re.search(rf"\b{metric}\b", known)


def test_the_dashboards_link_to_the_jaeger_of_the_stack(compose):
    for vocabulary in VOCABULARIES:
        text = (FOLDER / f"tokentrail-{vocabulary}.json").read_text("utf-8")
        for address in re.findall(r"http://localhost:(\d+)", text):
            assert int(address) in _listens("jaeger", compose)
