"""`script/upgrade-check [BASE]`: fill the build of the git ref BASE, migrate its data to this checkout, compare all reads.

BASE is by default the newest tag that this checkout descends from. Prints every difference; exit code 1 if there is one.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.upgrade import filling, reads
from tests.upgrade.api import Api
from tests.upgrade.builds import ROOT, Build, CheckFailed
from tests.upgrade.differences import differences

OUTBOX_SECONDS = 90
SHOWN = 200
OUTBOXES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name LIKE '%outbox%'"
EPOCH = "SELECT epoch::text FROM chat_epoch"
# Whether the partition of receipts that expired so many days ago has been dropped.
DROPPED = """
SELECT dropped_at IS NOT NULL AS dropped FROM receipts_partition
WHERE current_date - %s::int >= from_on AND current_date - %s::int < until_on
"""


def main(arguments: list[str]) -> int:
    """Make the check in a temporary folder, which goes with it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    base = arguments[0] if arguments else _git("describe", "--tags", "--abbrev=0")
    folder = Path(tempfile.mkdtemp(prefix="parley-upgrade-"))
    try:
        faults = check(_checkout(base, folder / "older"), folder / "var")
        for fault in faults[:SHOWN]:
            print(fault)
        print(f"{len(faults)} differences between {base} and this checkout.")
        return 1 if faults else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(older: Path, var: Path) -> list[Any]:
    """Return everything that is not as it was, or not as it should be, after the upgrade."""
    port = _free_port()
    old, new = Build(older, var, port), Build(ROOT, var, port)
    with old.serving():
        _log("filling the older build")
        world = filling.fill(old, port)
    with old.serving_without_worker():
        filling.fill_outbox(old, world)
        queued = _outbox(old)
        if not queued:
            raise CheckFailed("the older build's outbox is empty: there is nothing to see worked off")
        schema = Api(port).ask("GET", "/api/schema/?format=json").body
        todo = reads.plan(world.viewers(), schema)
        _log(f"{len(queued)} rows queued; making {len(todo)} reads of the older build")
        before = reads.snapshot(world.viewers(), todo)
        facts = _facts(old)
    with new.serving():
        faults: list[Any] = _unfinished_outbox(new)
        now_has = reads.routes(Api(port).ask("GET", "/api/schema/?format=json").body)
        had = reads.routes(schema)
        _log(f"upgraded; new routes: {', '.join(sorted(now_has - had)) or 'none'}; reading again")
        faults += [f"a route is gone: {route}" for route in sorted(had - now_has)]
        faults += differences(before, reads.snapshot(world.viewers(), todo))
        faults += differences({"facts": facts}, {"facts": _facts(new)})
        new.run_beat_tasks()
        faults += _hold_faults(new)
    faults += [f"{new.log.name}: {line}" for line in new.log.read_text().splitlines() if "Traceback" in line]
    return faults


def _checkout(base: str, folder: Path) -> Path:
    """Put the files of a git ref into a folder, with this checkout's packages where it needs the same ones."""
    folder.mkdir()
    files = subprocess.run(["git", "archive", base], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=files, check=True)
    if (folder / "requirements.txt").read_text() == (ROOT / "requirements.txt").read_text():
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    else:
        subprocess.run(["script/setup"], cwd=folder, check=True)
    return folder


def _outbox(build: Build) -> list[dict[str, Any]]:
    """Return what waits in the outbox, or lies dead there, in whatever tables this build has for it."""
    tables = [row["name"] for row in build.sql(OUTBOXES)]
    return [{"table": name, **row} for name in tables for row in build.sql(f'SELECT * FROM "{name}"')]


def _unfinished_outbox(build: Build) -> list[str]:
    """Wait until the outbox is empty; return what stays in it."""
    end = time.monotonic() + OUTBOX_SECONDS
    while (left := _outbox(build)) and time.monotonic() < end:
        time.sleep(1)
    return [f"stays in the outbox: {row}" for row in left]


def _facts(build: Build) -> dict[str, Any]:
    """Return what no route tells: the name of the database's history, and the digest over the whole receipt log."""
    verified = build.python("manage.py", "verify_receipts")
    return {"epoch": build.sql(EPOCH), "digests": re.findall("[0-9a-f]{64}", verified)}


def _hold_faults(build: Build) -> list[str]:
    """Return where a sweep has dropped receipts under a hold, or has kept those that are over."""
    wanted = {filling.HELD_DAYS: False, filling.OVER_DAYS: True}
    dropped = {days: build.sql(DROPPED, [days, days])[0]["dropped"] for days in wanted}
    said = {False: "were dropped under a hold", True: "are over and have not been dropped"}
    return [f"receipts {said[wanted[days]]} ({days} days)" for days in wanted if dropped[days] != wanted[days]]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"there is no tag to upgrade from ({done.stderr.strip()}): name the older build's git ref")
    return done.stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CheckFailed as fault:
        sys.exit(str(fault))
