"""The stack of examples/observability: compose.yaml and the files it mounts fit together.

Nothing here starts anything; test_stack.py does, with the same files.
"""

from __future__ import annotations

import json
import re
import shlex
from os.path import normpath
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.dashboards.shipped import BOARDS, FOLDER, ROOT, panels, rules, targets

from tokentrail import cli
from tokentrail.telemetry import semconv

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


def test_ports_are_open_to_this_machine_only_and_documented(compose):
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
        ports.add(_port(endpoint))
    return ports


def _port(endpoint):
    """Return the port of an address where no variable names another."""
    return int(re.search(r"(\d+)\}?$", endpoint)[1])


@pytest.mark.parametrize(
    "file",
    ["compose.yaml", "collector.yaml", "jaeger.yaml", "grafana/datasources/tokentrail.yaml"],
)
def test_whoever_is_called_listens_there(compose, file):
    text = (STACK / file).read_text("utf-8")
    called = re.findall(rf"(?:http://|endpoint: |:-)({'|'.join(compose)}):(\d+)", text)
    assert called
    for name, port in called:
        assert int(port) in _listens(name, compose), (name, port)


def test_the_collector_listens_where_it_is_published(compose):
    protocols = _read("collector.yaml")["receivers"]["otlp"]["protocols"]
    assert {_port(each["endpoint"]) for each in protocols.values()} == _listens(
        "collector", compose
    )


@pytest.mark.parametrize("file", ["collector.yaml", "gateway/agent.yaml", "gateway/gateway.yaml"])
def test_memory_is_limited_before_anything_else(file):
    config = _read(file)
    for pipeline in config["service"]["pipelines"].values():
        if set(pipeline["receivers"]) & set(config["receivers"]):
            assert pipeline["processors"][0] == "memory_limiter"


# Prometheus and Grafana --------------------------------------------------------------------------


def test_prometheus_takes_otlp_with_exemplars_and_our_rules(compose):
    command = compose["prometheus"]["command"]
    assert "--web.enable-otlp-receiver" in command
    assert "--enable-feature=exemplar-storage" in command
    ours, prices = _rule_files(compose)
    assert ours.samefile(FOLDER / "tokentrail.rules.yml")
    assert prices.samefile(STACK / "prices.rules.yml")


def _rule_files(compose):
    """Return the files of rules that Prometheus reads, where they are before they are mounted."""
    mounts = _targets(compose["prometheus"])
    (config,) = (target for target in mounts if target.endswith("prometheus.yaml"))
    named = [
        normpath(Path(config).parent / path) for path in _read("prometheus.yaml")["rule_files"]
    ]
    return [
        STACK / (mounts.get(path) or Path(mounts[str(Path(path).parent)]) / Path(path).name)
        for path in named
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


def test_grafana_finds_the_dashboards_that_are_shipped(compose):
    """Mounted, not copied: so they are the same."""
    mounts = _targets(compose["grafana"])
    (provider,) = _read("grafana/dashboards/tokentrail.yaml")["providers"]
    home = Path(compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (STACK / mounts[str(home)]).samefile(FOLDER / home.name)
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
    known = " ".join([target.expr for target in targets()] + [r.expr for r in rules()])
    link = sources["jaeger"]["jsonData"]["tracesToMetrics"]
    assert link["tags"][0] == {"key": "service.name", "value": "job"}
    for tag in link["tags"][1:]:
        assert tag["value"] == tag["key"].replace(".", "_")
        assert tag["value"] in known
    for query in link["queries"]:
        (metric,) = re.findall(r"rate\((\w+)\{\$\$__tags\}\[5m\]\)", query["query"])
        assert re.search(rf"\b{metric}\b", known)


def test_jaeger_links_what_spans_have_to_dashboards_and_metrics_that_are_there(compose):
    told = {value for value in vars(semconv).values() if isinstance(value, str)} | {"tenant"}
    known = " ".join([target.expr for target in targets()])
    links = _read("jaeger-ui.json")["linkPatterns"]
    assert {link["key"] for link in links} == {semconv.REQUEST_MODEL, semconv.OUTCOME, "tenant"}
    for link in links:
        assert {link["key"], *re.findall(r"#\{(.+?)\}", link["url"] + link["text"])} <= told
        assert int(re.search(r"localhost:(\d+)", link["url"])[1]) in {
            *_listens("grafana", compose),
            *_listens("prometheus", compose),
        }
        for uid in re.findall(r"/d/([\w-]+)", link["url"]):
            assert json.loads((FOLDER / f"{uid}.json").read_text("utf-8"))["uid"] == uid
        for panel in re.findall(r"viewPanel=panel-(\d+)", link["url"]):
            (shown,) = (each for each in panels() if each["id"] == int(panel))
            assert shown["title"] == "Calls per minute by outcome"
        for metric in re.findall(r"rate\((\w+)", link["url"]):
            assert metric in known


@pytest.mark.parametrize(
    ("service", "module"),
    [("collector", "tailsamplingprocessor"), ("prometheus", "prometheus/prometheus")],
)
def test_the_engines_are_of_the_releases_of_the_images(compose, service, module):
    """But Jaeger's: its later releases are no Go modules. Prometheus 3.16.0 is v0.316.0 there."""
    pins = (STACK / "engines" / service / "go.mod").read_text("utf-8")
    (built,) = re.findall(rf"/{module} v([\d.]+)", pins)
    release = compose[service]["image"].rpartition(":")[2].removeprefix("v")
    assert built == (release if service == "collector" else f"0.{release.replace('.', '', 1)}")


def test_the_dashboards_link_to_traces_by_data_source():
    for board in BOARDS:
        assert "localhost" not in (FOLDER / board).read_text("utf-8")
