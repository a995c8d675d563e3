"""The audit never reports success for what it could not check."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scripts import audit
from scripts.audit import Findings, NotChecked, packages_of, read_report

FOUND = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-2"], "fix_versions": ["2.1", "3"]}
Answer = Callable[[str, str], Any]


@contextmanager
def source(answer: Answer) -> Iterator[str]:
    """Serve answers about a package and a version, as OSV does; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(answer(asked["package"]["name"], asked["version"])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def knowing(name: str, version: str) -> Any:
    return {"vulns": [{"id": "one"}]} if (name, version) == audit.CANARY else {}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces pip-audit by a program with the given end; ``report`` and ``lock`` are paths."""

    def replace(body: str) -> None:
        command = tmp_path / "pip-audit"
        start = "import json, sys\nfrom pathlib import Path\n"
        start += "report = Path(sys.argv[sys.argv.index('--output') + 1])\n"
        start += "lock = Path(sys.argv[sys.argv.index('--requirement') + 1])\n"
        command.write_text(f"#!{sys.executable}\n{start}{body}\n")
        command.chmod(0o755)
        monkeypatch.setattr(audit, "install", lambda: command)

    return replace


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["audit", *arguments])
    return audit.main()


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--strict"], 1)])
def test_an_unreachable_source_is_reported(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    # Nothing listens to the port "discard".
    assert run(monkeypatch, "--osv-url", "http://127.0.0.1:9/v1/query", *arguments) == code
    notice = "NOT CHECKED: requirements.txt, requirements-gpu.txt, requirements-insightface.txt: "
    assert f"{notice}http://127.0.0.1:9/v1/query: " in capsys.readouterr().err


@pytest.mark.parametrize("answer", [{}, [], {"vulns": []}, "none"])
def test_a_source_without_vulnerabilities_is_not_used(answer: object) -> None:
    with source(lambda *_: answer) as url, pytest.raises(NotChecked, match="knows no vulnerab"):
        audit.check_source(url)


REPORT = """
row = {"name": "flask", "version": "1", "vulns": [%s]}
names = [line.split("==")[0] for line in lock.read_text().splitlines() if "==" in line]
rows = [{"name": name, "version": "1", "vulns": []} for name in names if name != "flask"]
report.write_text(json.dumps({"dependencies": [*rows, row]}))
"""


def test_a_vulnerability_fails(
    tool: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool(REPORT % FOUND)
    with source(knowing) as url:
        assert run(monkeypatch, "--osv-url", url) == 1
    said = capsys.readouterr()
    line = "audit: VULNERABLE: flask 1: PYSEC-2099-1 CVE-2099-2; fixed in 2.1, 3\n"
    assert said.err == line
    assert "requirements.txt: 1 known" in said.out


def test_no_vulnerability_passes(
    tool: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool(REPORT % "")
    with source(knowing) as url:
        assert run(monkeypatch, "--strict", "--osv-url", url) == 0
    assert capsys.readouterr().err == ""


def test_a_failure_of_the_tool_is_reported(
    tool: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool("sys.exit('first line\\nno connection')")
    with source(knowing) as url:
        assert run(monkeypatch, "--osv-url", url) == 0
        assert run(monkeypatch, "--strict", "--osv-url", url) == 1
    said = capsys.readouterr().err
    for lock in audit.AUDITED:
        assert f"NOT CHECKED: {lock}: pip-audit failed: no connection\n" in said


def test_packages_without_an_answer_are_named() -> None:
    rows = [
        {"name": "flask", "version": "1", "vulns": []},
        {"name": "numpy", "skip_reason": "not found"},
    ]
    report = json.dumps({"dependencies": rows})
    found = read_report(report, {"flask", "numpy", "scipy"})
    assert found == Findings(unanswered=("numpy", "scipy"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"dependencies": [{"vulns": []}]}'])
def test_a_damaged_report_is_not_a_success(text: str) -> None:
    with pytest.raises(NotChecked, match="damaged"):
        read_report(text, {"flask"})


def test_all_packages_of_a_lock_are_expected() -> None:
    assert packages_of("# a==1\na==1 \\\n    --hash=sha256:00\n    # via b==2\nc-d==3") == {
        "a",
        "c-d",
    }


def test_pip_audit_is_locked_with_hashes() -> None:
    lock = audit.LOCK.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert "pip-audit" in packages_of(audit.LOCK.read_text("utf-8"))
    assert all("--hash=sha256:" in line for line in lines)
