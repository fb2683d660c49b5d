"""The command line as its users see it: words, exit codes, files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode
from warning.stream.broker import EmbeddedBroker
from warning.wiring_environment import from_environment, to_environment

ROOT = Path(__file__).parent.parent


def warning(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WARNING_")}
    return subprocess.run(
        [sys.executable, "-m", "warning", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_help_names_every_command_and_is_quick() -> None:
    began = time.monotonic()
    done = warning("--help")
    assert done.returncode == 0
    for command in ("check", "up", "demo", "replay", "keys", "sensors"):
        assert command in done.stdout
    assert time.monotonic() - began < 10, "commands import what they need when they run"


def test_help_imports_no_room() -> None:
    rooms = ("faust", "aiokafka", "numpy", "sqlalchemy", "fastapi", "lxml", "pydantic")
    code = f"import sys, warning.cli; print([name for name in {rooms} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("region", ["indus", "sri-lanka", "config/indus"])
def test_check_is_content_with_the_shipped_regions(region: str) -> None:
    done = warning("check", region)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{region}: 0 errors")


def test_check_prints_every_error_and_ends_with_the_configs_code(tmp_path: Path) -> None:
    copy = tmp_path / "indus"
    subprocess.run(["cp", "-r", str(ROOT / "config" / "indus"), str(copy)], check=True)
    rules = copy / "region.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("warn_from: LOW", "warn_from: LOWEST\n  warn_til: HIGH"), encoding="utf-8")
    limits = copy / "limits.csv"
    limits.write_text(limits.read_text(encoding="utf-8").replace("250000", "-1", 1), encoding="utf-8")
    done = warning("check", str(copy))
    assert done.returncode == ExitCode.CONFIG
    assert "region.yaml" in done.stdout and "warn_til" in done.stdout and "LOWEST" in done.stdout and "limits.csv" in done.stdout


def test_a_forecast_model_that_is_none_is_one_clear_line_wherever_it_is_met(tmp_path: Path) -> None:
    copy = tmp_path / "sri-lanka"
    subprocess.run(["cp", "-r", str(ROOT / "config" / "sri-lanka"), str(copy)], check=True)
    (copy / "mine.model").write_text("this is no model", encoding="ascii")
    rules = copy / "region.yaml"
    text = rules.read_text(encoding="utf-8")
    assert "model:" not in text
    rules.write_text(text.replace("\nforecast:\n", "\nforecast:\n  model: mine.model\n"), encoding="utf-8")
    for arguments in (("check", str(copy)), ("hindcast", str(copy), "--readings", str(copy / "replays" / "ditwah-2025.csv"))):
        done = warning(*arguments)
        said = done.stdout + done.stderr
        assert done.returncode == ExitCode.CONFIG, said
        assert "region.yaml (forecast: model)" in said and "warning train" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (("worker",), {}, ExitCode.USAGE, "--region"),
        (("worker", "--region", "atlantis"), {}, ExitCode.CONFIG, "atlantis"),
        (("nonsense",), {}, ExitCode.USAGE, "nonsense"),
        (("api", "--region", "indus", "--port", "70000"), {}, ExitCode.USAGE, "--port"),
        (("up", "--region", "indus"), {"WARNING_API_PORT": "eighty"}, ExitCode.CONFIG, "WARNING_API_PORT"),
        (("worker", "--region", "indus", "--prefix", "replay-x."), {}, ExitCode.CONFIG, "replay-"),
        (("dispatch", "--region", "indus"), {"WARNING_REHEARSAL_URL": "http://127.0.0.1:1/hook"}, ExitCode.CONFIG, "rehearsal"),
        (("replay", "README.md", "--region", "indus"), {}, ExitCode.FAILED, "README.md"),
        (("replay", "config/indus/replays/flood-2025.csv", "--region", "indus", "--prefix", "live."), {}, ExitCode.CONFIG, "replay-"),
        (("sensors", "--region", "indus", "--kafka", "127.0.0.1:9"), {}, ExitCode.BROKER, "127.0.0.1:9"),
    ],
)
def test_errors_are_words_and_codes(arguments: tuple[str, ...], environment: dict[str, str], code: ExitCode, words: str) -> None:
    done = warning(*arguments, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_password_variable_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment({"WARNING_SMPP_PORT": "x", "WARNING_EMBEDDED": "perhaps", "WARNING_TICK_EVERY_S": "soon"})
    assert len(caught.value.problems) == 3
    assert "hunter2" not in repr(from_environment({"WARNING_SMPP_PASSWORD": "hunter2"}))


def test_environment_carries_a_whole_deployment() -> None:
    deployment = Deployment(
        bootstrap="a:1,b:2",
        prefix="x.",
        directory=Path("/var/lib"),
        embedded=True,
        replay=False,
        session_timeout_s=6.5,
        smpp_password="p w=1",
    )
    assert from_environment(to_environment(deployment)) == deployment
    assert from_environment(to_environment(deployment), prefix="y.", bootstrap=None).prefix == "y."
    assert from_environment({}) == Deployment()


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    where = ("--region", "indus", "--directory", str(tmp_path))
    made = warning("keys", "new", *where, "--provider", "wapda", "--station", "IND-GUDDU", "--note", "telemetry")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith("fw_") and len(key) > 50
    listed = warning("keys", "list", *where).stdout
    assert "wapda" in listed and "IND-GUDDU" in listed and "telemetry" in listed
    assert key.rsplit("_", 1)[1] not in listed, "the secret is shown once"
    turned = warning("keys", "rotate", *where, key, "--overlap", "12h")
    assert turned.returncode == 0 and turned.stdout.startswith("fw_") and f"{key.split('_')[1]} works until 20" in turned.stderr
    assert f"then {turned.stdout.split('_')[1]}" in warning("keys", "list", *where).stdout
    assert warning("keys", "rotate", *where, key, "--overlap", "soon").returncode == ExitCode.USAGE
    assert warning("keys", "revoke", *where, key).returncode == 0
    assert "revoked" in warning("keys", "list", *where).stdout
    assert warning("keys", "revoke", *where, "000000000000").returncode == ExitCode.FAILED
    unknown = warning("keys", "new", *where, "--provider", "x", "--station", "NOWHERE")
    assert unknown.returncode == ExitCode.CONFIG
    assert "NOWHERE" in unknown.stderr


def test_people_decide(tmp_path: Path) -> None:
    where = ("--region", "indus", "--directory", str(tmp_path))
    done = warning("approve", "ews.indus.IND-GUDDU.20250908T070000Z.0", *where, "--level", "exceptional", "--by", "A. Officer")
    assert done.returncode == 0, done.stderr
    assert "ews.indus.IND-GUDDU.20250908T070000Z up to EXCEPTIONAL: released by A. Officer" in done.stdout
    quiet = ("silence", "IND-GUDDU", *where, "--level", "low", "--hours", "2", "--by", "A. Officer")
    assert warning(*quiet, "--reason", "gauge is being moved").returncode == 0
    refused = warning(*quiet, "--reason", " ")
    assert (refused.returncode, "a silence needs its reason" in refused.stderr) == (ExitCode.FAILED, True)
    nowhere = warning("silence", "NOWHERE", *where, "--level", "low", "--hours", "2", "--by", "x", "--reason", "y", "--contact", "nobody")
    assert (nowhere.returncode, "there is no contact 'nobody'" in nowhere.stderr) == (ExitCode.FAILED, True)
    made = warning(
        "alert", "raise", *where, "--zone", "IND-GUDDU", "--level", "high", "--reason", "breach", "--expires-h", "6", "--by", "B"
    )
    assert made.stdout.startswith("ews.indus.manual.IND-GUDDU."), made.stderr
    assert warning("silences", "end", "2", *where, "--by", "B. Officer").returncode == 0
    assert warning("silences", "list", *where).stdout == ""
    key = warning("access", "new", *where, "--name", "B. Officer", "--role", "approver", "--by", "A. Officer").stdout
    assert key.startswith("wk_")
    listed = warning("decisions", *where, "--json").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in listed] == ["key", "silence_end", "raise", "silence", "approve"]
    assert key.strip() not in " ".join(listed)


EVENING = ("150000", "160000", "210000", "220000", "-999", "oops", "360000", "380000")  # cusec at Guddu, hour by hour


def evening(folder: Path) -> Path:
    rows = [f"IND-GUDDU,inflow,2025-09-01T{hour:02d}:00:00+05:00,{value},cusec" for hour, value in enumerate(EVENING, 10)]
    file = folder / "evening-2025.csv"
    file.write_text("\n".join(["station,parameter,time,value,unit", *rows]) + "\n")
    return file


def test_demo_of_a_quiet_day_ends_well_and_writes_its_figures(tmp_path: Path) -> None:
    """One gauge, one evening: the whole machine, in seconds. (The floods are in test_acceptance and in .ci/run.)"""
    file = evening(tmp_path)
    figures_file = tmp_path / "figures.json"
    done = warning("demo", "--region", "indus", "--file", str(file), "--json", str(figures_file), "--directory", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "page: http://127.0.0.1:" in done.stdout
    assert "Passed" in done.stdout
    figures = json.loads(figures_file.read_text())["figures"]
    assert figures["readings_sent"] == len(EVENING)
    assert figures["readings_refused"] == 1  # oops
    assert figures["readings_accepted"] == len(EVENING) - 1
    assert figures["readings_applied"] == len(EVENING) - 2  # the sentinel is missing, not a value
    assert figures["lost"] == figures["doubled"] == figures["differing"] == 0
    assert figures["alerts"] >= 2  # LOW, then MEDIUM
    assert figures["cap_documents"] == figures["alerts"]
    assert figures["sms_parts"] == figures["sms_parts_delivered"] >= figures["sms_messages"] > 0
    assert figures["webhooks"] > 0
    wanted = "crossings_high crossings_high_warned crossings_ahead crossings_ahead_warned lead_hours_median seconds readings_rejected"
    assert set(wanted.split()) <= set(figures)
    assert all(isinstance(value, int | float) for value in figures.values())


def test_demo_on_a_terminal_draws_bars_and_tables(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "warning", "demo", "--region", "indus", "--file", str(evening(tmp_path))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while chunk := os.read(ours, 65_536):
            shown += chunk
    assert process.wait(180) == 0
    text = shown.decode(errors="replace")
    for words in ("records worked through", "━", "Warnings out", "Passed"):
        assert words in text


def test_replay_feeds_a_log_of_its_own_once() -> None:
    with EmbeddedBroker() as broker:
        command = ("replay", "config/indus/replays/flood-2025.csv", "--region", "indus", "--kafka", broker.bootstrap)
        environment = {"WARNING_EMBEDDED": "1"}
        done = warning(*command, **environment)
        assert done.returncode == 0, done.stderr
        assert "117 readings" in done.stdout
        assert "prefix replay-indus-flood-2025." in done.stdout
        again = warning(*command, **environment)
        assert again.returncode == ExitCode.CONFIG
        assert "already holds records" in again.stderr
        assert warning(*command, "--prefix", "replay-other.", **environment).returncode == 0


def test_demo_refuses_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("")
    assert warning("demo", "--directory", str(tmp_path)).returncode == ExitCode.CONFIG
