"""The Helm chart: what it makes is valid, closed, and starts in production with each process's own secrets alone.

No cluster runs where these tests run. The chart is rendered by Helm itself, each object held against Kubernetes' own
schemas, and each process's variables and files are given to the check that production makes at start.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from runs.names import DEAL_QUEUE
from workers import mode
from workers.bulk import reads_in_bulk
from workers.mode import HOLDERS, Process
from workers.settings import Settings, load_settings, variable_name, variables

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "quote-to-cash"
HELM = Path(sys.executable).parent / "helm"
NOTICES = "worker.secret.keys={entra-client-secret,ledger-url,notice-targets}"
KUBERNETES = "1.34"
OF_KEDA = "ScaledObject"
KEDA = json.loads((Path(__file__).parent / "keda_scaled_object.json").read_text())
VERSIONED = ("settings.Q2C_WORKER_VERSIONING=pinned", "worker.former[0].tag=0.0.9", "image.tag=1.0_rc")

pytestmark = pytest.mark.skipif(not HELM.exists(), reason="Helm comes as a wheel for Linux on x86-64 only")

Object = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(HELM), *arguments, "--values", str(CHART / "example-values.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@cache
def rendered(*given: str) -> tuple[Object, ...]:
    changes = [part for value in given for part in ("--set", value)]
    result = helm("template", "q2c", str(CHART), *changes)
    assert result.returncode == 0, result.stderr
    return tuple(found for found in yaml.safe_load_all(result.stdout) if found)


def of_kind(kind: str, *given: str) -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in rendered(*given) if found["kind"] == kind}


def pods(*given: str) -> Iterator[tuple[str, Object]]:
    for found in rendered(*given):
        if found["kind"] in ("Deployment", "Job"):
            yield found["metadata"]["name"], found["spec"]["template"]


def container(process: str, *given: str) -> Object:
    found: Object = of_kind("Deployment", *given)[f"q2c-{process}"]["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(of: Object) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in of["env"]}


def files(pod: Object) -> dict[str, str]:
    """Each file that a pod is given from a Secret, and the Secret's name."""
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    return {
        f"{mounted[volume['name']]}/{item['path']}": volume["secret"]["secretName"]
        for volume in pod["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }


def test_helm_finds_nothing_to_say_about_it() -> None:
    result = helm("lint", "--strict", str(CHART))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "given", [(), VERSIONED, (NOTICES, "worker.scaling.enabled=false", "policiesConfigMap=our-policies")]
)
def test_every_object_is_valid_for_kubernetes_and_keda(given: tuple[str, ...]) -> None:
    for found in rendered(*given):
        if found["kind"] == OF_KEDA:
            jsonschema.validate(found, KEDA)
        else:
            kubernetes_validate.validate(copy.deepcopy(found), KUBERNETES, strict=True)


@pytest.mark.parametrize("process", list(Process))
def test_a_process_starts_in_production_with_what_it_is_given(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = ""
) -> None:
    name = name or process.removeprefix("q2c-")
    pod = of_kind("Deployment", NOTICES)[f"q2c-{name}"]["spec"]["template"]["spec"]
    for path in files(pod):
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.lstrip("/")).write_text(contents(path))
    for variable in environment(pod["containers"][0]).items():
        monkeypatch.setenv(variable[0], variable[1].replace("/run/q2c", f"{tmp_path}/run/q2c"))
    settings = load_settings()
    mode.require(settings, process)
    assert settings.mode == "production"


def contents(path: str) -> str:
    if path.endswith("notice-targets"):
        return json.dumps({"mail": "mailtos://quote-to-cash:much-longer-than-that@mail.contoso.com/?to={address}"})
    if path.endswith("ledger-url"):
        return "postgresql://q2c:much-longer-than-that@ledger.contoso.com/q2c"
    return secrets.token_urlsafe(32)


@pytest.mark.parametrize("process", list(Process))
def test_the_schema_gives_a_process_its_own_secrets_and_no_other(process: Process) -> None:
    name = process.removeprefix("q2c-")
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"][name]["properties"]
    allowed = set(schema["secret"]["properties"]["keys"]["items"]["enum"]) if "secret" in schema else set()
    own = {variable_name(at) for at, holder in HOLDERS.items() if holder is process}
    shared = {"Q2C_LEDGER_URL", "Q2C_LEDGER_READER_URL", "Q2C_AZURE_CLIENT_SECRET"}
    asked = {f"Q2C_{key.upper().replace('-', '_')}" for key in allowed}
    assert asked - shared == own


@pytest.mark.parametrize(
    "wrong",
    [
        "worker.secret.keys={web-session-secret}",
        "web.secret.keys={entra-client-secret}",
        "settings.Q2C_ENTRA_CLIENT_SECRET=in-clear",
        "settings.Q2C_MODE=sandbox",
        "settings.Q2C_WORKER_PROCESSES=1",
        "settings.PATH=/",
        "worker.replica=3",
        "temporal.address=temporal",
        "image.digest=sha256:abc",
        "web.ingress.host=",
        "worker.former={0.0.9}",
        "worker.former[0].tag=0.0.9",  # without versions any worker takes any task
        "worker.former[0].tag=0.1.0,settings.Q2C_WORKER_VERSIONING=pinned",  # the build of this release
    ],
)
def test_what_would_not_work_is_refused_before_anything_is_made(wrong: str) -> None:
    result = helm("template", "q2c", str(CHART), "--set", wrong)
    assert result.returncode != 0
    assert re.split(r"[.\[]", wrong.partition("=")[0].removesuffix("[0].tag"))[-1] in result.stderr


def test_any_setting_that_is_no_secret_can_be_given() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["propertyNames"]
    set_here = {name for _, pod in pods() for name in environment(pod["spec"]["containers"][0])}
    held = {variable_name(at) for at in HOLDERS} | {"Q2C_LEDGER_URL", "Q2C_LEDGER_READER_URL", "Q2C_CODEC_KEY_SET"}
    for variable in variables():
        allowed = not re.search(schema["not"]["pattern"], variable.name)
        name = variable.name
        reserved = name in held | {"Q2C_AZURE_CLIENT_SECRET", "Q2C_POLICIES"} or name.endswith("_FILE")
        assert allowed or reserved or name in set_here, name
        assert not (allowed and name in held), name


def test_every_variable_given_is_one_the_product_reads() -> None:
    known = {variable.name for variable in variables()}
    for _, pod in pods(NOTICES, "policiesConfigMap=ours"):
        for name in environment(pod["spec"]["containers"][0]):
            assert name.removesuffix("_FILE") in known or name in known or not name.startswith("Q2C_"), name


@pytest.mark.parametrize(("name", "pod"), list(pods(NOTICES)) if HELM.exists() else [])
def test_a_pod_is_one_that_the_restricted_policy_takes(name: str, pod: Object) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {next(iter(volume.keys() - {"name"})) for volume in spec["volumes"]} <= {
        *("secret", "configMap", "emptyDir", "persistentVolumeClaim")
    }
    for one in spec["containers"]:
        security = one["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert one["resources"]["limits"]["memory"] and one["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("process", list(Process))
def test_what_knows_nothing_of_runs_is_not_given_the_keys_that_open_them(process: Process) -> None:
    pod = of_kind("Deployment")[process]["spec"]["template"]["spec"]
    opens = process not in (Process.VIRTUAL, Process.MCP)
    assert any(path.endswith("codec-keys.json") for path in files(pod)) is opens


@pytest.mark.parametrize("process", list(Process))
def test_a_process_is_watched_where_it_answers(process: Process) -> None:
    name = process.removeprefix("q2c-")
    of, settings = container(name), Settings.model_fields
    group, field = {"worker": ("worker", "health_port"), "bus": ("bus", "health_port")}.get(name, (name, "port"))
    assert of["ports"] == [{"name": "http", "containerPort": getattr(settings[group].default, field)}]
    for probe, path in {"livenessProbe": "live", "readinessProbe": "ready", "startupProbe": "live"}.items():
        assert of[probe]["httpGet"] == {"path": f"/health/{path}", "port": "http"}
    host = {"worker": "Q2C_WORKER_HEALTH_HOST", "bus": "Q2C_BUS_HEALTH_HOST"}.get(name, f"Q2C_{name.upper()}_HOST")
    assert environment(of)[host] == "0.0.0.0"  # a pod's address is not known before


def test_a_worker_has_longer_to_stop_than_its_activities() -> None:
    grace = Settings.model_fields["worker"].default.graceful_shutdown_seconds
    worker = of_kind("Deployment")["q2c-worker"]["spec"]["template"]["spec"]
    assert worker["terminationGracePeriodSeconds"] > grace


def test_workers_are_added_while_runs_wait_and_share_the_budget_of_as_many_as_there_may_be() -> None:
    scaled = of_kind(OF_KEDA)["q2c-worker"]["spec"]
    deployment = of_kind("Deployment")["q2c-worker"]
    assert scaled["scaleTargetRef"] == {"name": deployment["metadata"]["name"]}
    assert "replicas" not in deployment["spec"]  # or each upgrade would undo what the scaler did
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "temporal"
    assert trigger["metadata"]["taskQueue"] == DEAL_QUEUE
    assert trigger["metadata"]["namespace"] == environment(container("worker"))["TEMPORAL_NAMESPACE"]
    assert environment(container("worker"))["Q2C_WORKER_PROCESSES"] == str(scaled["maxReplicaCount"])


def test_each_build_has_workers_of_its_own_that_are_added_while_its_own_tasks_wait() -> None:
    """KEDA counts what waits for no build, unless it is told of one: then `DescribeWorkerDeploymentVersion` counts."""
    builds = {"q2c-worker-1-0-rc": "1.0_rc", "q2c-worker-0-0-9": "0.0.9"}
    deployments, scaled = of_kind("Deployment", *VERSIONED), of_kind(OF_KEDA, *VERSIONED)
    assert {name for name in deployments if name.startswith("q2c-worker")} == scaled.keys() == builds.keys()
    for name, build in builds.items():
        spec = deployments[name]["spec"]
        pod = spec["template"]
        assert selected(spec, pod) and not any(
            selected(spec, deployments[other]["spec"]["template"]) for other in builds.keys() - {name}
        )
        assert pod["spec"]["containers"][0]["image"] == f"registry.contoso.com/quote-to-cash:{build}"
        given = environment(pod["spec"]["containers"][0])
        assert (given["Q2C_WORKER_BUILD"], given["Q2C_WORKER_VERSIONING"]) == (build, "pinned")
        assert given["Q2C_WORKER_PROCESSES"] == str(2 * scaled[name]["spec"]["maxReplicaCount"])
        assert scaled[name]["spec"]["scaleTargetRef"] == {"name": name}
        (trigger,) = scaled[name]["spec"]["triggers"]
        named = (trigger["metadata"]["workerDeploymentName"], trigger["metadata"]["workerDeploymentBuildId"])
        assert named == (Settings.model_fields["worker"].default.deployment, build)
    accounts = {deployments[name]["spec"]["template"]["spec"]["serviceAccountName"] for name in builds}
    assert accounts == {"q2c-worker"}  # a workload identity is that of one account


def test_without_versions_the_scaler_counts_what_waits_for_any_worker() -> None:
    (trigger,) = of_kind(OF_KEDA)["q2c-worker"]["spec"]["triggers"]
    assert not {"workerDeploymentName", "workerDeploymentBuildId"} & trigger["metadata"].keys()


def selected(spec: Object, pod: Object) -> bool:
    return bool(spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items())


def test_what_is_read_in_bulk_has_one_pod_of_its_own_with_its_pages_and_a_worker_of_deals_reads_none() -> None:
    deals, bulk = environment(container("worker")), environment(container("bulk"))
    assert (deals["Q2C_WORKER_WORK"], bulk["Q2C_WORKER_WORK"]) == ("deals", "bulk")
    assert bulk["Q2C_WORKER_PROCESSES"] == "1"
    assert container("bulk")["args"] == ["worker"]
    pages = [mount["mountPath"] for mount in container("bulk")["volumeMounts"] if mount["name"] == "data"]
    assert pages == [bulk["Q2C_DATA_DIR"]]
    of = of_kind("Deployment")["q2c-bulk"]["spec"]
    assert (of["replicas"], of["strategy"]) == (1, {"type": "Recreate"})  # the volume is one pod's
    assert "persistentVolumeClaim" not in str(of_kind("Deployment")["q2c-worker"])
    assert list(of_kind("PersistentVolumeClaim")) == ["q2c-bulk"]


def test_what_reads_in_bulk_starts_in_production_with_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_process_starts_in_production_with_what_it_is_given(Process.WORKER, tmp_path, monkeypatch, name="bulk")
    assert reads_in_bulk(load_settings())


def test_without_a_scaler_there_are_as_many_workers_as_said() -> None:
    given = ("worker.scaling.enabled=false", "worker.replicas.least=3")
    assert not of_kind(OF_KEDA, *given)
    assert of_kind("Deployment", *given)["q2c-worker"]["spec"]["replicas"] == 3


@pytest.mark.parametrize(("count", "where"), [(1, "memory"), (2, "ledger")])
def test_more_than_one_web_process_keep_sessions_in_the_ledger(count: int, where: str) -> None:
    assert environment(container("web", f"web.replicas={count}"))["Q2C_WEB_SESSIONS"] == where


def test_private_keys_are_given_to_the_web_process_alone() -> None:
    for name, pod in pods(NOTICES):
        private = [path for path in files(pod["spec"]) if path.startswith("/run/q2c/keys/")]
        assert bool(private) == (name == "q2c-web")


def selects(policy: Object, labels: Mapping[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    if any(labels.get(key) != value for key, value in selector["matchLabels"].items()):
        return False
    for rule in selector.get("matchExpressions", []):
        among = labels.get(rule["key"]) in rule["values"]
        if among != (rule["operator"] == "In"):
            return False
    return True


@pytest.mark.parametrize(("name", "pod"), list(pods(NOTICES)) if HELM.exists() else [])
def test_a_pod_reaches_and_is_reached_by_what_it_needs_alone(name: str, pod: Object) -> None:
    mine = {
        key for key, policy in of_kind("NetworkPolicy", NOTICES).items() if selects(policy, pod["metadata"]["labels"])
    }
    wanted = {"q2c-closed"}
    if name != "q2c-migration":
        wanted |= {"q2c-to-temporal", "q2c-to-microsoft"}
    if name in ("q2c-worker", "q2c-bulk", "q2c-web", "q2c-mcp", "q2c-migration"):
        wanted |= {"q2c-to-ledger"}
    if name in ("q2c-web", "q2c-codec", "q2c-virtual", "q2c-mcp"):
        wanted |= {"q2c-from-ingress"}
    if name == "q2c-worker":
        wanted |= {"q2c-to-mail"}
    assert mine == wanted
    assert of_kind("NetworkPolicy")["q2c-closed"]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_a_digest_goes_before_a_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    for _, pod in pods(f"image.digest={digest}"):
        assert pod["spec"]["containers"][0]["image"] == f"registry.contoso.com/quote-to-cash@{digest}"


def test_the_sandbox_is_no_part_of_it() -> None:
    for _, pod in pods(NOTICES):
        assert "sandbox" not in json.dumps(pod)
