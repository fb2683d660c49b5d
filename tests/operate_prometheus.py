"""A real Prometheus and Alertmanager for tests, on free ports, with their own folders; and what deploy/ asks of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pytest_httpserver import HTTPServer
from services import absent, free_port
from werkzeug import Request, Response

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
HOST = "127.0.0.1"
HOW = "make services (Debian packages prometheus and prometheus-alertmanager)"


@dataclass(frozen=True)
class Query:
    dashboard: str
    panel: str
    expr: str  # Grafana's variables are filled in


def panel_queries(rate_interval: str = "1m") -> list[Query]:
    """Every query of every panel of every dashboard."""
    found = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                found.append(Query(path.stem, panel["title"], target["expr"].replace("$__rate_interval", rate_interval)))
    return found


class Prometheus:
    """A running server. ``url`` is its address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expr: str) -> list[Any]:
        return list(self.get("/api/v1/query", query=expr)["result"])

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"}

    def scraped(self) -> dict[str, str]:
        """job -> health (up, down, unknown) of its target."""
        return {target["labels"]["job"]: target["health"] for target in self.get("/api/v1/targets")["activeTargets"]}


def wait_for(what: str, true: Callable[[], bool], within_s: float = 180.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.2)


def scaled_rules(folder: Path, seconds: str = "10s") -> Path:
    """The rules with every ``for`` cut down, for a test that cannot wait; expressions and names stay as they are.

    Not below ten seconds: Prometheus takes five to find its targets, and until then they are absent.
    """
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = seconds
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return path


@contextmanager
def start_prometheus(
    targets: Mapping[str, Sequence[str]], *, alertmanager: str = "", rules: Path | None = None, interval: str = "1s"
) -> Iterator[Prometheus]:
    """Scrapes ``targets`` (job -> addresses host:port). ``alertmanager``: its host:port. Skips where Prometheus is not installed."""
    if shutil.which("prometheus") is None:
        absent("Prometheus", HOW)
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder, ExitStack() as stack:
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        path = Path(folder) / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        address = f"{HOST}:{free_port()}"
        command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        command.append("--rules.alert.resend-delay=2s")  # else the first alarms, before Alertmanager is known, wait a minute
        stack.enter_context(_running(command, f"http://{address}/-/ready", Path(folder)))
        yield Prometheus(f"http://{address}")


@contextmanager
def start_alertmanager(webhook: str) -> Iterator[str]:
    """Alertmanager with the routes of deploy/, whose receivers all post to ``webhook`` (their path is kept); yields its host:port."""
    if shutil.which("prometheus-alertmanager") is None:
        absent("Alertmanager", HOW)
    with tempfile.TemporaryDirectory(prefix="alertmanager-") as folder:
        config = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
        for receiver in config["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = webhook + urllib.parse.urlsplit(hook["url"]).path
        for route in (config["route"], *config["route"]["routes"]):
            route["group_wait"], route["group_interval"] = "0s", "1s"
        path = Path(folder) / "alertmanager.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        address = f"{HOST}:{free_port()}"
        command = [
            "prometheus-alertmanager",
            f"--config.file={path}",
            f"--storage.path={folder}/data",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",  # no gossip port
        ]
        with _running(command, f"http://{address}/-/ready", Path(folder)):
            yield address


def fired(httpserver: HTTPServer) -> dict[str, set[str]]:
    """path -> ``alarm:job`` of all that Alertmanager posts there from now on."""
    posted: dict[str, set[str]] = {}

    def take(request: Request) -> Response:
        for alert in request.get_json()["alerts"]:
            if alert["status"] == "firing":
                posted.setdefault(request.path, set()).add(alert["labels"]["alertname"] + ":" + alert["labels"].get("job", ""))
        return Response("")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(take)
    return posted


@contextmanager
def _running(command: list[str], ready: str, folder: Path) -> Iterator[None]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(f"{command[0]} is ready", lambda: _answers(ready, process, folder), 120)
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str, process: subprocess.Popen[bytes], folder: Path) -> bool:
    assert process.poll() is None, (folder / "server.log").read_text(errors="replace")[-2000:]
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
