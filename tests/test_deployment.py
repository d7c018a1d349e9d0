"""The files to deploy with are true: their commands exist, and their numbers fit the engine's."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.core.management import load_command_class
from django.core.management.base import CommandError
from django_q.models import Schedule

from example_project.settings import BASE_DIR
from tests.processes import environment
from webhook_delivery import doorbell, scheduling
from webhook_delivery.claims import lease_seconds
from webhook_delivery.conf import KNOWN, Settings
from webhook_delivery.models import Doorbell

FOLDER = BASE_DIR / "example_project" / "deploy"
UNITS = sorted((FOLDER / "systemd").iterdir())
PAGE = BASE_DIR / "docs" / "deployment.md"
GUARDS_GRACE_SECONDS = 3
"""How much longer than a task's timeout django-q2 lets it live."""


def parsed(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def unit(name: str) -> configparser.SectionProxy:
    return parsed(FOLDER / "systemd" / name)["Service"]


def program(name: str) -> configparser.SectionProxy:
    return parsed(FOLDER / "supervisor.conf")[f"program:webhooks-{name}"]


def services() -> dict:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def pod(name: str) -> dict:
    documents = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    [found] = [each for each in documents if each["metadata"]["name"] == name]
    return found["spec"]["template"]["spec"]


def container(name: str) -> dict:
    [only] = pod(name)["containers"]
    return only


# ── commands


def lines() -> Iterator[str]:
    """Every command line of every file, as a shell would read it."""
    yield from (unit(path.name)["ExecStart"] for path in UNITS if path.suffix == ".service")
    yield from (program(name)["command"] for name in ("cluster", "drain", "watchdog"))
    for service in services().values():
        yield shlex.join(service.get("command", []))
        yield " ".join(service.get("healthcheck", {}).get("test", []))
    for name in ("webhooks-cluster", "webhooks-drain"):
        yield shlex.join(container(name)["command"])
        yield shlex.join(container(name)["livenessProbe"]["exec"]["command"])
    yield (FOLDER / "watchdog.sh").read_text().replace(")\n", "\n")
    yield re.search(r"^CMD (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]
    yield from re.findall(r"`([^`\n]*manage\.py[^`\n]*)`", PAGE.read_text())


def management_commands() -> set[str]:
    """What stands behind `manage.py` anywhere."""
    text = "\n".join(re.sub(r'["\[\],]', " ", line) for line in lines())
    return {found.strip() for found in re.findall(r"manage\.py +([a-z][a-z -]*)", text)}


@pytest.mark.everywhere_once
def test_every_command_named_exists_and_takes_its_arguments():
    commands = management_commands()
    assert {"qcluster", "webhooks drain --loop", "webhooks health --json", "migrate"} <= commands
    apps = {"qcluster": "django_q", "webhooks": "webhook_delivery"}
    for command in commands:
        name, *arguments = command.split()
        app = apps.get(name, "django.core")
        load_command_class(app, name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.everywhere_once
def test_a_command_that_does_not_exist_would_be_found():
    with pytest.raises(CommandError):
        parser = load_command_class("webhook_delivery", "webhooks").create_parser("manage.py", "")
        parser.parse_args(["health", "--nonsense"])


@pytest.mark.everywhere_once
def test_every_path_named_exists():
    texts = [path.read_text() for path in FOLDER.rglob("*") if path.is_file()]
    named = set(re.findall(r"example_project/deploy/[\w./-]*\w", "\n".join(texts)))

    assert "example_project/deploy/watchdog.sh" in named
    assert [path for path in named if not (BASE_DIR / path).exists()] == []


@pytest.mark.everywhere_once
def test_the_page_names_every_file():
    said = PAGE.read_text()
    files = [path.name for path in FOLDER.rglob("*") if path.is_file()]

    assert [name for name in files if name not in said] == []


@pytest.mark.everywhere_once
def test_every_link_and_setting_of_the_page_exists():
    said = PAGE.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", said)
    settings = set(re.findall(r"[A-Z]+(?:_[A-Z]+)*_SECONDS", said))

    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    assert settings - KNOWN == set()


# ── numbers


@pytest.fixture
def longest(settings) -> dict[str, float]:
    """How long each of our processes may need to end, with the settings' defaults."""
    settings.WEBHOOK_DELIVERY = {}
    drain_task = scheduling.task_options()["timeout"] + GUARDS_GRACE_SECONDS
    return {"cluster": drain_task, "drain": lease_seconds()}


@pytest.mark.everywhere_once
@pytest.mark.parametrize("name", ["cluster", "drain"])
def test_nobody_is_killed_before_a_drain_may_have_ended(longest, name):
    patience = {
        "systemd": int(unit(f"webhooks-{name}.service")["TimeoutStopSec"]),
        "supervisor": int(program(name)["stopwaitsecs"]),
        "compose": int(services()[name]["stop_grace_period"].removesuffix("s")),
        "kubernetes": pod(f"webhooks-{name}")["terminationGracePeriodSeconds"],
    }

    assert {system for system, seconds in patience.items() if seconds <= longest[name]} == set()
    said = PAGE.read_text()
    assert {f"{seconds} s" for seconds in patience.values()} == {said_of(name, said)}


def said_of(name: str, page: str) -> str:
    return re.search(rf"^\| {name} \|.*\| (\d+ s) \|$", page, re.MULTILINE)[1]


@pytest.mark.everywhere_once
def test_a_stop_is_for_the_main_process_and_a_kill_for_all():
    assert unit("webhooks-cluster.service")["KillMode"] == "mixed"
    cluster = program("cluster")
    assert (cluster["stopasgroup"], cluster["killasgroup"]) == ("false", "true")
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert 'CMD ["python", "manage.py", "qcluster"]' in dockerfile
    for name in ("cluster", "drain"):
        assert isinstance(services()[name]["command"], list)
        assert services()[name]["init"] is True
        assert container(f"webhooks-{name}")["command"][0] == "python"


@pytest.mark.everywhere_once
def test_what_ends_is_started_again():
    for name in ("cluster", "drain"):
        assert unit(f"webhooks-{name}.service")["Restart"] == "always"
        assert program(name)["autorestart"] == "true"
        assert services()[name]["restart"] == "always"


@pytest.mark.everywhere_once
def test_a_watchdog_looks_more_often_than_silence_is_borne():
    probe = container("webhooks-cluster")["livenessProbe"]
    check = services()["cluster"]["healthcheck"]
    timer = parsed(FOLDER / "systemd" / "webhooks-watchdog.timer")["Timer"]

    assert timer["OnCalendar"] == "minutely"
    assert "sleep 60" in program("watchdog")["command"]
    assert probe["periodSeconds"] == 60 > probe["timeoutSeconds"] >= 10
    assert (check["interval"], check["timeout"]) == ("60s", "30s")
    assert int(unit("webhooks-watchdog.service")["TimeoutStartSec"]) < 60
    assert Settings.HEALTH_SILENCE_SECONDS > 60


@pytest.mark.everywhere_once
def test_systemd_understands_the_units(tmp_path):
    """Where it is installed; with this checkout in the place of /srv/shop."""
    analyse = shutil.which("systemd-analyze")
    for path in UNITS:
        text = path.read_text().replace("/srv/shop/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/srv/shop", str(BASE_DIR)))
    if analyse:
        units = [str(path) for path in tmp_path.iterdir()]
        done = subprocess.run([analyse, "verify", *units], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    parts = {section for path in UNITS for section in parsed(path).sections()}
    assert parts == {"Unit", "Service", "Timer", "Install"}


# ── the watchdog and the health check, as they are run


def result_of(*command: str) -> tuple[int, str]:
    env = {**environment(), "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def watchdog() -> tuple[int, str]:
    return result_of("sh", str(FOLDER / "watchdog.sh"))


def health() -> tuple[int, str]:
    return result_of(sys.executable, "manage.py", "webhooks", "health")


@pytest.mark.everywhere_once
@pytest.mark.django_db(transaction=True)
def test_the_watchdog_restarts_a_silent_cluster_and_nothing_else():
    assert watchdog()[0] == 1, "nothing has ever drained"

    doorbell.answer(using="default")
    assert health()[0] == 0

    Schedule.objects.update(repeats=0)
    code, said = watchdog()
    assert (code, health()[0]) == (0, 1)
    assert "switched off" in said

    doorbell.ring(using="default")
    Doorbell.objects.update(ringing_since="2026-01-01T00:00Z")
    assert watchdog()[0] == 1


@pytest.mark.everywhere_once
def test_the_watchdog_leaves_a_cluster_alone_whose_database_is_away():
    env = {"PYTHON": sys.executable, "DATABASE_URL": "postgres://127.0.0.1:1/none"}
    command = ["sh", str(FOLDER / "watchdog.sh")]
    done = subprocess.run(
        command,
        cwd=BASE_DIR,
        env={**os.environ, **env, "DJANGO_SETTINGS_MODULE": "example_project.settings"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0
    assert "The database does not answer" in done.stdout
