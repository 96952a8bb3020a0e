"""The rules of the house that no single part can check: what an import may pull in, what a lock and the log may contain."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, get_args

import pytest
from pydantic import BaseModel

from daemon.logs import EVENTS
from daemon.settings import Settings
from tests.postgresql import owned_folder
from tests.sharing_out import FORKING

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "monai", "generative", "pandas", "scipy", "matplotlib", "sklearn", "lightgbm", "carbontracker", "plotly")


def test_the_daemon_starts_without_anything_heavy() -> None:
    program = (
        "import json, sys; import daemon.cli, daemon.compose, daemon.api.app, daemon.api.server; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & set(HEAVY)


def test_help_needs_neither_database_nor_web_framework() -> None:
    program = (
        "import sys, daemon.cli; daemon.cli.build_app(); "
        "print([name for name in ('fastapi', 'sqlalchemy', 'httpx', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("lock", sorted((ROOT / "deploy").glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_holds_names_versions_and_hashes_only(lock: Path) -> None:
    text = lock.read_text()
    assert len(re.findall("^[a-z]", text, re.MULTILINE)) > 50
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; .+?)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert not re.search(r"^(torch|triton|nvidia-(?!ml-py))", text, re.MULTILINE)


def test_the_runtime_lock_is_a_part_of_the_lock_for_tests() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "deploy" / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_the_runbook_explains_every_event() -> None:
    runbook = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", runbook, re.MULTILINE)) == EVENTS


def test_every_setting_is_read_by_the_daemon() -> None:
    """A setting that nothing reads is a broken promise. `command_prefix` is refused until there is a batch system to use it."""
    sources = [path for path in (ROOT / "daemon").rglob("*.py") if path.parent != ROOT / "daemon" / "settings"]
    read = {
        node.attr for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
    }
    assert set(setting_names(Settings)) - read <= {"command_prefix"}


def setting_names(model: type[BaseModel]) -> Iterator[str]:
    """Last word of every setting's key."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from setting_names(inner[0])
        else:
            yield name


def test_every_logged_event_of_the_daemon_is_explained_in_one_place() -> None:
    assert set(logged_events()) == set(EVENTS)


def logged_events() -> Iterator[str]:
    """The event of every call log.info(...), log.warning(...), log.log(level, ...) in the daemon."""
    for path in (ROOT / "daemon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)):
                continue
            if node.func.value.id == "log" and node.func.attr in ("debug", "info", "warning", "error", "exception", "log"):
                event = node.args[1 if node.func.attr == "log" else 0]
                names = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
                for name in names:
                    assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: an event is named by a plain string"
                    yield str(name.value)


def test_all_files_that_use_the_fork_server_are_one_part_of_the_suite() -> None:
    files = {path for path in (ROOT / "tests").rglob("test_*.py") if uses_the_fork_server(path.read_text(encoding="utf-8"))}
    assert {str(path.relative_to(ROOT)) for path in files} == FORKING


def uses_the_fork_server(test_file: str) -> bool:
    """Itself, by what starts workers, or by the fixture that does."""
    modules = ("tests.fork_server", "tests.jobs.processes")
    if not any(word in test_file for word in (*modules, "trained")):
        return False  # most files: parsing them all takes a second
    nodes = list(ast.walk(ast.parse(test_file)))
    imported = {name.name for node in nodes if isinstance(node, ast.ImportFrom) and node.module in modules for name in node.names}
    arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return bool(imported & {"fork_server", "Worker", "work"}) or "trained" in arguments


def test_files_that_use_the_fork_server_run_in_one_process_and_others_beside(tmp_path: Path) -> None:
    together, other = sorted(FORKING)[:2], "tests/test_other.py"
    for name in (*together, other):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("".join(f"def test_{number}(): pass\n" for number in range(4)))
    (tmp_path / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-v", "-p", "xdist", "-n", "2", "--dist", "loadfile", "-p", "tests.sharing_out", "tests"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = ours | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    processes = {name: set(re.findall(rf"^\[(gw\d)\].* PASSED {name}::", done.stdout, re.MULTILINE)) for name in (*together, other)}
    assert {len(each) for each in processes.values()} == {1}
    assert processes[together[0]] == processes[together[1]] != processes[other]


def test_folders_of_servers_whose_tests_were_killed_are_removed_by_the_next_and_those_in_use_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # the server's owner need not exist here
    left, making = tmp_path / "server-killed", tmp_path / "server-being-made"
    left.mkdir()
    making.mkdir()
    (left / "in-use").touch()
    with owned_folder("server-") as first, owned_folder("server-") as second:
        assert sorted(tmp_path.iterdir()) == sorted([making, first, second])
    assert list(tmp_path.iterdir()) == [making]


def test_a_folder_that_is_being_made_is_not_taken_for_one_of_killed_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    beside: list[Path] = []

    def lock_late(file: IO[str], how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        with owned_folder("server-") as other:  # looks for folders to remove
            beside.append(other)
        lock(file, how)

    lock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lock_late)
    with owned_folder("server-") as folder:
        assert folder.is_dir()
    assert len(beside) == 1
    assert list(tmp_path.iterdir()) == []
