"""Shared functions of the embedded servers: private folders, PostgreSQL's user when root starts it, and waiting."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# PostgreSQL refuses to run as root. For that case the wheel has a user of this name; Parley uses it too.
SYSTEM_USER = "pgserver"


class CannotStart(Exception):
    """An embedded server cannot start. The text is one sentence for the operator, with what to do."""


def make_private(folder: Path, owner: pwd.struct_passwd | None = None) -> None:
    """Create a folder that only its owner may enter. Raises CannotStart if it belongs to somebody else."""
    uid = owner.pw_uid if owner else os.getuid()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if owner and os.getuid() == 0:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        status = folder.lstat()
        if status.st_uid != uid or not stat.S_ISDIR(status.st_mode):
            raise PermissionError
        folder.chmod(0o700)
    except (PermissionError, NotADirectoryError, FileExistsError):
        raise CannotStart(
            f"{folder} belongs to somebody else or cannot be made: start as its owner, "
            "or set PARLEY_VAR to a folder of your own."
        ) from None


def postgres_user(data: Path) -> pwd.struct_passwd | None:
    """Return the user to run PostgreSQL as, None for the current one. Only root needs another."""
    if os.getuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return _create_system_user()


def _create_system_user() -> pwd.struct_passwd:
    if not shutil.which("useradd"):
        raise CannotStart("PostgreSQL does not run as root and there is no useradd here: start as an ordinary user.")
    subprocess.run(["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True)
    return pwd.getpwnam(SYSTEM_USER)


def allow_traversal(path: Path) -> None:
    """Let other users traverse the folders above `path`, as PostgreSQL's user needs; print each change."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            print(f"{folder}: others may now pass through it, as PostgreSQL does not run as root", file=sys.stderr)


def make_readable(tree: Path) -> None:
    """Let other users read and execute files that a strict umask installed for root only."""
    for entry in (tree, *tree.rglob("*")):
        mode = entry.stat().st_mode
        readable = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if readable != mode:
            entry.chmod(readable)


def wait_until(ready: Callable[[], bool], seconds: float, message: str) -> None:
    """Poll until `ready` returns true. Raises CannotStart with the text `message` after `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise CannotStart(message)
        time.sleep(0.02)
