"""What is around a worker does not steer what it sends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from webhook_delivery.testing.receiver import Receiver

pytestmark = pytest.mark.everywhere_once


def sent_with(tmp_path: Path, **hostile: str) -> dict[str, str]:
    """The request, as it came off the wire, by a process with this environment."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc password netrc\n")
    kept = {
        name: os.environ[name] for name in ("PATH", "WEBHOOK_TEST_FOLDER") if name in os.environ
    }
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", "HOME": str(tmp_path)}
    with Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-m", "tests.sender", receiver.url("/hook?a=1")],
            env={**kept, **settings, **hostile},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(done.stdout)[0] == 200, done.stdout
        [got] = receiver.received
    headers = {name.lower(): value for name, value in got.headers.items() if name.lower() != "host"}
    return {"path": got.path, "body": got.body.decode(), **headers}


def test_nothing_in_the_environment_changes_a_byte(tmp_path):
    nobody = "http://127.0.0.1:9"
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("")

    ordinary = sent_with(tmp_path)
    hostile = sent_with(
        tmp_path,
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nobody),
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), nobody),
        **{
            name: str(nothing) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        },
        NETRC=str(tmp_path / ".netrc"),
        LC_ALL="tr_TR.UTF-8",
        LANG="tr_TR.UTF-8",
        TZ="Pacific/Kiritimati",
        WEBHOOK_UMASK="777",
        PYTHONHASHSEED="7",
        PYTHONUTF8="0",
    )

    assert hostile == ordinary
    assert "authorization" not in ordinary
    assert ordinary["webhook-timestamp"] == str(1767312000)
