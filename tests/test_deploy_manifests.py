"""The compose file and the Kubernetes manifests: their commands, variables, ports and probes are the program's own."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from warning.access_rights import PROCESSES, rights
from warning.cli import app
from warning.deployment import Deployment
from warning.stream.app import ABANDON_S, STOP_S
from warning.wiring_environment import from_environment, variable

DEPLOY = Path(__file__).parent.parent / "deploy"
PORTS = {"ingest": 8080, "api": 8081, "worker": 8082, "dispatch": 8083, "pull": 8085}
FIELDS = {variable(field.name) for field in dataclasses.fields(Deployment)} | {"WARNING_REGION", "WARNING_LOG_FORMAT"}
GRACE_S = 2 * ABANDON_S + STOP_S


def kubernetes() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes/warning.yaml").read_text(encoding="utf-8"))
    return {f"{each['kind']} {each['metadata']['name']}": each for each in documents}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", PORTS)
def test_a_pod_restarts_what_makes_no_progress(name: str) -> None:
    spec = kubernetes()[f"Deployment {name}"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [name] and name in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert container["ports"][0]["containerPort"] == PORTS[name] == getattr(Deployment(), port_field(name))
    assert container["livenessProbe"]["httpGet"] == container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"] >= 60
    assert pod["terminationGracePeriodSeconds"] >= GRACE_S
    assert spec["strategy"]["type"] == ("Recreate" if name in ("dispatch", "pull") else "RollingUpdate")
    files = next(volume for volume in pod["volumes"] if volume["name"] == "kafka")["secret"]["items"]
    assert {item["path"] for item in files} == {"ca.pem", f"{name}.password"}, "nobody has another's password"


def port_field(name: str) -> str:
    return f"{name}_port" if name in ("ingest", "api") else f"{name}_metrics_port"


def test_variables_are_fields_of_a_deployment() -> None:
    manifests = kubernetes()
    variables: dict[str, str] = dict(manifests["ConfigMap warning"]["data"])
    for name in PORTS:
        (container,) = manifests[f"Deployment {name}"]["spec"]["template"]["spec"]["containers"]
        variables |= {each["name"]: "x" for each in container.get("env", [])}
    for service in compose()["services"].values():
        variables |= service.get("environment", {})
    assert set(variables) <= FIELDS | {"FORWARDED_ALLOW_IPS"}  # uvicorn's own
    where = from_environment(manifests["ConfigMap warning"]["data"]).as_process("worker")
    assert (where.kafka_user, where.kafka_password_file) == ("worker", "/run/secrets/kafka/worker.password")


def test_the_compose_file_restarts_all_and_waits_for_the_last_checkpoint() -> None:
    services = {name: service for name, service in compose()["services"].items() if name != "mosquitto"}
    assert set(services) == set(PORTS)
    assert {name for name, service in services.items() if "profiles" in service} == {"pull"}, "a region without sources has nothing to ask"
    for name, service in services.items():
        assert service["restart"] == "unless-stopped" and service["command"] == [name]
        assert int(service["stop_grace_period"].removesuffix("s")) >= GRACE_S
        assert service["ports"] == [f"127.0.0.1:{PORTS[name]}:{PORTS[name]}"]


def test_kustomize_takes_the_manifests() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed; what it would say is checked above from the YAML alone")
    done = subprocess.run(["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kind: Deployment") == len(PORTS)


def rows() -> Iterator[str]:
    for process in PROCESSES:
        for right in rights(Deployment(prefix="PREFIX."), process):
            name = f"{right.name}*" if right.prefixed else right.name
            yield f"| {process} | {right.kind} `{name}` | {', '.join(each.word for each in right.operations)} | {right.why} |"


def test_the_table_of_rights_is_the_programs() -> None:
    page = (DEPLOY / "kafka/README.md").read_text(encoding="utf-8")
    assert re.findall(rf"^\| (?:{'|'.join(PROCESSES)}) \| .*$", page, flags=re.MULTILINE) == list(rows())
    assert set(re.findall(r"WARNING_[A-Z_]+", page)) <= FIELDS
