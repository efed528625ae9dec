"""What an operator is given: the page of operations, the dashboard, the alerts, and how the image is run."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings
from tests.app.api.server import server_here

HOUSE = Path(__file__).parents[3]
OBSERVABILITY = HOUSE / "docs" / "examples" / "observability"
PAGE = (HOUSE / "docs" / "operations.md").read_text(encoding="utf-8")
NAMED = re.compile(r"\b(?:demur|process)_[a-z0-9_]+\b")
AFTER_THE_DRAIN = 5.0
"""Seconds that `demur serve` takes at most beyond `drain_seconds`."""


def section(title: str) -> str:
    """The text of a part of the page of operations."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def metrics(checkpoint_folder: Path) -> frozenset[str]:
    """The names of all samples that a server may have, by the metrics that it tells of."""
    with server_here(checkpoint_folder) as here:
        text = httpx2.get(f"{here.url}/metrics", timeout=60).text
    return frozenset(name for family in text_string_to_metric_families(text) for name in samples(family))


def samples(family: Any) -> Iterator[str]:
    match family.type:
        case "counter":
            yield f"{family.name}_total"
        case "histogram":
            yield from (family.name, *(f"{family.name}_{end}" for end in ("bucket", "sum", "count")))
        case _:
            yield family.name


def base(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


def test_the_page_names_every_setting() -> None:
    told = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.+?`) \|", section("Settings"), re.MULTILINE)))
    assert sorted(told) == sorted(Settings.model_fields)


def test_the_page_names_every_metric_and_no_other(metrics: frozenset[str]) -> None:
    told = {name for name in re.findall(r"`(\w+)`", section("Metrics")) if NAMED.fullmatch(name)}
    there = {base(name) for name in metrics if not name.endswith("_created")}
    assert told - there == set()
    assert there - told == set()


def test_every_query_of_the_dashboard_asks_for_what_there_is(metrics: frozenset[str]) -> None:
    dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queries += [each["query"]["query"] for each in dashboard["templating"]["list"]]
    assert len(queries) > 20
    for query in queries:
        names = NAMED.findall(query)
        assert names, query
        assert set(names) <= metrics, query
        assert query.count("(") == query.count(")")
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_every_alert_asks_for_what_there_is(metrics: frozenset[str]) -> None:
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 4
    for rule in rules:
        assert set(NAMED.findall(rule["expr"])) <= metrics, rule
        assert rule["annotations"]["summary"]


def test_prometheus_asks_the_service_of_compose() -> None:
    compose = yaml.safe_load((HOUSE / "compose.yaml").read_text())["services"]
    (job,) = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert compose[host]["ports"][0].endswith(f":{port}")
    assert compose[host]["hostname"] == host, "a server answers to its own name"


def test_what_compose_mounts_is_there_and_what_it_runs_is_pinned() -> None:
    services = yaml.safe_load((HOUSE / "compose.observability.yaml").read_text())["services"]
    for name, service in services.items():
        if name != "demur":
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (HOUSE / source).is_file(), volume
        for variable in service.get("environment", {}):
            assert not variable.startswith("DEMUR_") or variable[6:].lower() in Settings.model_fields


def test_whoever_stops_the_image_waits_longer_than_it_drains() -> None:
    compose = yaml.safe_load((HOUSE / "compose.yaml").read_text())["services"]["demur"]
    drain = float(
        compose["environment"].get("DEMUR_DRAIN_SECONDS", Settings.model_fields["drain_seconds"].default)
    )
    assert float(compose["stop_grace_period"].removesuffix("s")) > drain + AFTER_THE_DRAIN


def test_the_kubernetes_manifest_fits_the_server(http: httpx2.Client) -> None:
    parts = list(yaml.safe_load_all((HOUSE / "docs/examples/kubernetes.yaml").read_text()))
    deployment, service, budget = (part["spec"] for part in parts)
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    ours = {name.removeprefix("DEMUR_").lower() for name in environment if name.startswith("DEMUR_")}
    assert ours <= set(Settings.model_fields)
    port = int(environment["DEMUR_PORT"])
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert http.get(asked["path"]).status_code == 200
        assert asked["port"] == "http"
    pause = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drained = pause + float(environment["DEMUR_DRAIN_SECONDS"]) + AFTER_THE_DRAIN
    assert pod["terminationGracePeriodSeconds"] > drained
    image = (HOUSE / "Dockerfile").read_text()
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert f"\nUSER {user}\n" in image
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "/tmp" in mounted
    assert str(Path(environment["DEMUR_API_KEYS"]).parent) in mounted
    assert str(Path(environment["DEMUR_COMPARISONS"]).parent) in mounted
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (
        deployment["selector"]["matchLabels"],
        service["selector"],
        budget["selector"]["matchLabels"],
    ):
        assert selector == labels


def test_the_image_ships_code_in_its_last_layer_and_says_what_it_is() -> None:
    text = (HOUSE / "Dockerfile").read_text()
    build, final = re.split(r"\nFROM (?!.*AS build)", text)
    assert text.count("\nFROM ") == text.count("\nFROM $BASE") == 2, "one argument pins both stages"
    assert re.findall(r"^COPY --from=build (\S+)", final, re.MULTILINE) == [
        "/opt/torch",
        "/opt/demur",
        "/opt/code",
    ]
    steps = [
        build.index(what)
        for what in ("--target /opt/torch", "--requirement requirements-hashed.lock", "COPY app")
    ]
    assert steps == sorted(steps), "what changes seldom is made first"
    version = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in final
    for label in ("version", "revision", "title", "licenses"):
        assert f"org.opencontainers.image.{label}=" in final
    assert final.index("ARG REVISION") > final.index("COPY --from=build /opt/code"), (
        "a revision changes no layer"
    )
    assert "DEMUR_PORT" in final[final.index("HEALTHCHECK") :]


def test_ci_audits_and_fails_for_no_network() -> None:
    assert ".ci/audit" in (HOUSE / ".ci/run").read_text()
    audit = (HOUSE / ".ci/audit").read_text()
    assert audit.count("nothing was audited") == 2
    assert audit.rstrip().endswith('nothing was audited"')
