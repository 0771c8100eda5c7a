"""What both embedded servers need: make_private folders, PostgreSQL's own user when root starts it, and patience."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# PostgreSQL refuses to run as root; the wheel uses a user of this name for that case, and so does Parley.
SYSTEM_USER = "pgserver"


class CannotStart(Exception):
    """An embedded server cannot run; the text is one sentence for people, with what to do."""


def make_private(folder: Path, owner: pwd.struct_passwd | None = None) -> None:
    """Make a folder that only its owner may enter. Raises CannotStart where somebody else has it already."""
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
    """Return the user to run PostgreSQL as, None for oneself: only root needs another, the data's owner if there is one."""
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
    """Let other users pass through the folders above `path`, as little as PostgreSQL's user needs, and say so."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            print(f"{folder}: others may now pass through it, as PostgreSQL does not run as root", file=sys.stderr)


def make_readable(tree: Path) -> None:
    """Let other users read and run what a strict umask installed for root alone."""
    for entry in (tree, *tree.rglob("*")):
        mode = entry.stat().st_mode
        readable = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if readable != mode:
            entry.chmod(readable)


def wait_until(ready: Callable[[], bool], seconds: float, message: str) -> None:
    """Ask a server wait_until it ready. Raises CannotStart with the text `message` after so many seconds."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise CannotStart(message)
        time.sleep(0.02)
