"""The processes of one machine and their listening port."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from datetime import datetime
from pathlib import Path

import honcho.printer
import pytest

from config.env import BASE_DIR, ENV
from config.port import PortTaken, listen
from config.processes import Manager, commands


def test_several_web_processes_are_numbered() -> None:
    assert list(commands(Path("/v"), web_processes=1)) == ["web", "worker", "beat"]
    assert list(commands(Path("/v"), web_processes=2)) == ["web.1", "web.2", "worker", "beat"]


def test_taken_port_is_refused_in_one_sentence_with_advice() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(PortTaken) as refusal:
        listen("127.0.0.1", taken.getsockname()[1])
    assert "taken" in str(refusal.value)
    assert "PARLEY_PORT" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_foreign_address_is_refused_with_advice() -> None:
    with pytest.raises(PortTaken, match="PARLEY_HOST"):
        listen("192.0.2.1", 8000)


def test_several_web_processes_share_one_port() -> None:
    with listen("127.0.0.1", 0, shared=True) as one, listen("127.0.0.1", one.getsockname()[1], shared=True) as other:
        assert one.getsockname() == other.getsockname()


def test_json_log_lines_have_no_prefix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = honcho.printer.Message("line", b'{"level": "info"}\n', datetime.now(), "web", None)

    monkeypatch.setitem(ENV, "PARLEY_LOG", "json")
    Manager()._printer.write(line)
    assert json.loads(capsys.readouterr().out) == {"level": "info"}

    monkeypatch.setitem(ENV, "PARLEY_LOG", "console")
    Manager()._printer.write(line)
    assert capsys.readouterr().out.endswith('| {"level": "info"}\n')


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_runner_leaves_no_process_behind() -> None:
    """The child sends its process id, the runner is killed, and the end of the child closes the socket pair."""
    our_socket, child_socket = socket.socketpair()
    script = f"""
        import sys
        from config.processes import Manager
        manager = Manager()
        child = "import os, socket, time; socket.socket(fileno=3).send(str(os.getpid()).encode()); time.sleep(600)"
        manager.add_process("child", f"exec {{sys.executable}} -c '{{child}}' 3<&0")
        for process in manager._processes.values():
            process["obj"]._child_ctor.keywords["stdin"] = {child_socket.fileno()}
        manager.loop()
    """
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=BASE_DIR,
        pass_fds=[child_socket.fileno()],
        stdout=subprocess.DEVNULL,
    )
    child_socket.close()
    our_socket.settimeout(20)
    # The socket closes before the kernel has ended the process; its own descriptor becomes readable when it has.
    child = os.pidfd_open(int(our_socket.recv(20)))
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    assert our_socket.recv(20) == b""
    assert select.select([child], [], [], 20)[0] == [child]
    os.close(child)
