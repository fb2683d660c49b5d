"""deploy/prometheus, deploy/alertmanager and deploy/grafana against the real programs; the dead-man alarm against a killed process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from operate_prometheus import HOW, ROOT, RULES, fired, panel_queries, scaled_rules, start_alertmanager, start_prometheus, wait_for
from prometheus_client import CollectorRegistry
from pytest_httpserver import HTTPServer
from services import absent, free_port, listening

from warning import config
from warning.deployment import Deployment
from warning.operate.metrics import Metrics

DEPLOY = ROOT / "deploy"
JOBS = ("ingest", "api", "worker", "dispatch")

REPORT = ("time_seconds", "lines", "differences", "failures_total")
# made when they are first told of
LATE = {"warning_broker_up", "warning_mqtt_up", "warning_readers_sms_up", *(f"warning_report_{name}" for name in REPORT)}


def run(*command: str, cwd: Path = ROOT) -> str:
    if shutil.which(command[0]) is None:
        absent(command[0], HOW)
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def process_of_ours() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(ROOT / "tests" / "operate_process.py"), str(port)])
    try:
        wait_for("the process serves", lambda: listening(port))
        yield process, f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_promtool_takes_the_configuration() -> None:
    assert "SUCCESS" in run("promtool", "check", "config", "deploy/prometheus/prometheus.yml")


def test_promtool_passes_the_tests_of_the_rules() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", "rules_test.yml", "rules_days_test.yml", cwd=DEPLOY / "prometheus")


def test_amtool_takes_the_routes() -> None:
    assert "SUCCESS" in run("amtool", "check-config", "deploy/alertmanager/alertmanager.yml")
    routes = ("amtool", "config", "routes", "test", "--config.file=deploy/alertmanager/alertmanager.yml")
    assert run(*routes, "alertname=Watchdog").splitlines()[0] == "dead-man"
    assert run(*routes, "alertname=WarningProcessDown").splitlines()[0] == "operators"


def test_the_scraped_ports_are_those_of_a_deployment() -> None:
    scraped = {
        job["job_name"]: [target for static in job["static_configs"] for target in static["targets"]]
        for job in yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    }
    own = Deployment()
    ports = (own.ingest_port, own.api_port, own.worker_metrics_port, own.dispatch_metrics_port)
    assert scraped == {job: [f"{own.host}:{port}"] for job, port in zip(JOBS, ports, strict=True)}


def test_rules_and_panels_ask_for_metrics_that_exist() -> None:
    """Also guards against a query that is empty for want of a metric and so never fires."""
    registry = CollectorRegistry()
    Metrics(registry, config.load(ROOT / "config" / "indus"))
    known = {name for family in registry.collect() for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")}
    known |= LATE
    expressions = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    expressions += [query.expr for query in panel_queries()]
    asked = {name for expression in expressions for name in re.findall(r"\bwarning_\w+", expression)}
    assert asked, "no query was found"
    assert asked <= known, f"nobody exports {sorted(asked - known)}"


def test_the_table_of_metrics_is_complete() -> None:
    registry = CollectorRegistry()
    Metrics(registry, config.load(ROOT / "config" / "indus"))
    exported = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    exported |= LATE
    table = (DEPLOY / "prometheus" / "README.md").read_text()
    assert set(re.findall(r"^\| `(warning_\w+)`", table, re.M)) == exported


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "flood-warning.json").read_text())
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    placed = [panel["gridPos"] for panel in dashboard["panels"]]
    for i, a in enumerate(placed):
        assert a["x"] + a["w"] <= 24
        for b in placed[i + 1 :]:
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            assert apart, f"panels overlap: {a} {b}"
    assert len(panel_queries()) >= 30


def test_every_panel_has_data_from_a_process_that_was_scraped() -> None:
    with process_of_ours() as (_, address), start_prometheus({job: [address] for job in JOBS}, rules=RULES) as prometheus:
        wait_for("all jobs are scraped", lambda: set(prometheus.scraped().values()) == {"up"} and len(prometheus.scraped()) == 4)
        queries = panel_queries("10s")
        wait_for("rates have two samples", lambda: all(prometheus.query(query.expr) for query in queries), 30)
        empty = [f"{query.panel}: {query.expr}" for query in queries if not prometheus.query(query.expr)]
        assert not empty
        # Values, not only presence: what was told is what is shown.
        (unknown,) = prometheus.query('sum(max by (zone) (warning_zone_level{level="UNKNOWN"}))')
        (high,) = prometheus.query('sum(max by (zone, level) (warning_zone_level{level="HIGH"}))')
        zones = len(config.load(ROOT / "config" / "indus").zones)
        assert 0 < float(high["value"][1]) <= zones
        assert float(unknown["value"][1]) + float(high["value"][1]) == pytest.approx(zones, abs=4)  # two queries, a moment apart


def test_the_dead_man_alarm_fires_when_the_process_is_killed(httpserver: HTTPServer, tmp_path: Path) -> None:
    posted = fired(httpserver)
    with (
        process_of_ours() as (worker, at_worker),
        process_of_ours() as (_, at_dispatch),
        start_alertmanager(httpserver.url_for("").rstrip("/")) as alertmanager,
        start_prometheus(
            {"worker": [at_worker], "dispatch": [at_dispatch]}, alertmanager=alertmanager, rules=scaled_rules(tmp_path)
        ) as prometheus,
    ):
        wait_for("both are scraped", lambda: prometheus.scraped() == {"worker": "up", "dispatch": "up"})
        wait_for("the watchdog reaches the dead-man service", lambda: "Watchdog:" in posted.get("/dead-man", set()))
        quiet = {"WarningProcessDown", "WarningWorkerAbsent", "WarningDispatchAbsent"}
        wait_for("all is quiet", lambda: not quiet & prometheus.firing())
        posted.pop("/operators", None)  # on a slow machine the alarms may have begun before the first scrape
        worker.kill()
        worker.wait()
        wait_for("operators hear of it", lambda: "WarningWorkerAbsent:" in posted.get("/operators", set()))
        wait_for("and which it is", lambda: "WarningProcessDown:worker" in posted["/operators"])
        assert "WarningProcessDown:dispatch" not in posted["/operators"]
        assert "WarningDispatchAbsent" in {rule["name"] for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]}
        assert "WarningDispatchAbsent" not in prometheus.firing()
