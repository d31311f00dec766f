"""The compose file is valid, every service is pinned, limited and watched, and nothing it mounts is missing.

There is no container engine where these tests run: the file is validated against the compose specification's JSON
schema and against what the code needs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runs.attributes import ATTRIBUTES
from workers.mode import HOLDERS, Process
from workers.settings import Settings, variable_name, variables

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"temporal-schema", "temporal-namespace", "keys"}


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_it_is_valid_against_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    result = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_holds_every_part_of_the_product() -> None:
    parts = {"postgresql", "temporal", "temporal-ui", "worker", "web", "sandbox", "otel-collector"}
    assert parts <= SERVICES.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    image, _, version = service["image"].rpartition(":")
    assert image and version not in ("", "latest")
    limits = service["deploy"]["resources"]["limits"]
    assert limits["cpus"] and limits["memory"]
    if name in ONE_SHOT:
        assert service["restart"].startswith("on-failure")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_loopback_is_published(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize(("name", "port"), [("worker", "worker.health_port"), ("bus", "bus.health_port")])
def test_a_process_without_a_site_is_watched_at_its_health_port(name: str, port: str) -> None:
    group, field = port.split(".")
    number = getattr(Settings.model_fields[group].default, field)
    assert f"http://127.0.0.1:{number}/health/ready" in SERVICES[name]["healthcheck"]["test"][-1]


def test_the_bus_runs_only_where_it_is_asked_for() -> None:
    assert SERVICES["bus"]["profiles"] == ["bus"]


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
            assert source.startswith(".") or source in COMPOSE["volumes"], source


def test_the_worker_has_longer_to_stop_than_its_activities() -> None:
    grace = Settings.model_fields["worker"].default.graceful_shutdown_seconds
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > grace


def test_every_variable_given_is_one_the_product_reads() -> None:
    known = {variable.name for variable in variables()}
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert name in known or not name.startswith("Q2C_") or name.startswith("Q2C_SANDBOX_"), name


@pytest.mark.parametrize("process", list(Process))
def test_a_process_is_given_its_own_secrets_and_no_other(process: Process) -> None:
    """As `workers.mode` demands in production; the sandbox behind makes no difference."""
    service = SERVICES[process.removeprefix("q2c-")]
    given = set(service["environment"]) & {variable_name(at) for at in HOLDERS}
    own = {variable_name(at) for at, holder in HOLDERS.items() if holder is process}
    assert given == {name for name in own if not name.endswith("_PREVIOUS")}
    mounted = {volume.split(":")[0] for volume in service["volumes"]}
    assert mounted == {"state", "signing"} if process is Process.WEB else mounted == {"state"}


@pytest.mark.parametrize("name", ["worker", "web", "bus", "codec", "keys", "sandbox"])
def test_our_own_services_write_to_their_volumes_alone_and_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]


def test_only_temporal_reaches_its_database() -> None:
    assert COMPOSE["networks"]["database"] == {"internal": True}
    near = {name for name, service in SERVICES.items() if "database" in service.get("networks", [])}
    assert near == {"postgresql", "temporal-schema", "temporal"}
    assert "default" not in SERVICES["postgresql"]["networks"]


def test_runs_are_archived_to_a_volume_that_outlives_the_server() -> None:
    """A file store is what the server's own configuration can archive to (config_template_embedded.yaml since 1.30)."""
    wanted = SERVICES["temporal-namespace"]["environment"]["TEMPORAL_ARCHIVE"]
    path = wanted.removeprefix("${TEMPORAL_ARCHIVE-file://").removesuffix("}")
    (mount,) = [volume.split(":")[1] for volume in SERVICES["temporal"]["volumes"] if volume.startswith("archive:")]
    assert path.startswith(f"{mount}/")


def test_every_search_attribute_is_registered() -> None:
    script = (ROOT / "deploy" / "temporal" / "namespace.sh").read_text()
    registered = dict(line.split()[1:3] for line in script.splitlines() if line.startswith("register "))
    assert registered == {attribute.name: attribute.kind for attribute in ATTRIBUTES}


@pytest.mark.parametrize(
    "file",
    sorted(file for file in (ROOT / "deploy").rglob("*.y*ml") if file.parent.name != "templates"),
    ids=lambda file: file.name,
)
def test_mounted_yaml_can_be_read(file: Path) -> None:
    assert yaml.safe_load(file.read_text())
