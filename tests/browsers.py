"""Finds a working Chromium: of the system, else of Playwright, else fetched: as a package (root on Debian), or by Playwright."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FETCH_SECONDS = 600
APPLICATIONS = ("Google Chrome", "Chromium")


def find_browser() -> str:
    """Return the path of a working browser, empty if there is none. PARLEY_CHROMIUM, if set, is returned unchecked."""
    if os.environ.get("PARLEY_CHROMIUM"):
        return os.environ["PARLEY_CHROMIUM"]
    return find_on_system() or find_in_playwright_cache() or install_package() or fetch()


def find_on_system() -> str:
    paths = [shutil.which(name) for name in NAMES]
    paths += [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in APPLICATIONS]
    return next((path for path in paths if path and is_working(path)), "")


def find_in_playwright_cache() -> str:
    """Return the newest browser in Playwright's cache, empty if there is none."""
    caches = {"darwin": "Library/Caches/ms-playwright"}
    cache = Path(
        os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / caches.get(sys.platform, ".cache/ms-playwright")
    )
    candidates = [
        *cache.glob("chromium-*/chrome-linux*/chrome"),
        *cache.glob("chromium-*/chrome-mac*/*.app/Contents/MacOS/*"),
    ]
    return next((str(path) for path in sorted(candidates, reverse=True) if is_working(str(path))), "")


def install_package() -> str:
    """Install Debian's package if this is root on a system with apt; return its path."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return ""
    print("Installing chromium for the browser tests ...", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-q", *command], env=environ, stdout=subprocess.DEVNULL, check=False)
    return find_on_system()


def fetch() -> str:
    """Fetch Playwright's Chromium; return its path, empty if it cannot be fetched, whose reason is printed."""
    print("Fetching Chromium for the browser tests ...", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"Chromium did not come within {FETCH_SECONDS} s.")
        return ""
    if done.returncode:
        print(f"Chromium could not be fetched: {reason(done.stdout + done.stderr)}")
        return ""
    return find_in_playwright_cache()


def reason(output: str) -> str:
    """Return the first line of an output that names an error, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "rror" in line), lines[-1] if lines else "no reason given")


def is_working(path: str) -> bool:
    """Return whether `path` is a browser (Ubuntu has a stub that asks for a snap)."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
