"""`script/bench SCENARIO…`: runs scenarios, prints what they found, and fails where the checker found a fault."""

import argparse
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench import report
from bench.run import Options, Result, say
from bench.scenarios import fanout, footprint, idle, indicators, large, latency, replay, send, summary, sync
from bench.servers import Servers, servers

SCENARIOS: dict[str, Callable[[Servers, Options], Result]] = {
    "send": send.measure,
    "latency": latency.measure,
    "fanout": fanout.measure,
    "large": large.measure,
    "summary": summary.measure,
    "idle": idle.measure,
    "sync": sync.measure,
    "replay": replay.measure,
    "indicators": indicators.measure,
}
ALONE = {"footprint": footprint.measure}
# An IRC channel has more speakers than a group may have members.
MANY = {"PARLEY_LIMIT_MAX_GROUP_MEMBERS": "10000"}
# Each client is in large groups that it does not follow: its last sync need not bring their messages.
ENVIRON = {
    "replay": MANY,
    "large": MANY | {"PARLEY_LIMIT_SYNC_TOO_LARGE": "10"},
    "summary": {"PARLEY_LIMIT_SUMMARY_PER_SECOND": "100"},
}


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, *ALONE], metavar="SCENARIO",
                        help=", ".join([*SCENARIOS, *ALONE]))  # fmt: skip
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures as one flat object, of several scenarios as a list"
    )
    parser.add_argument("--seconds", type=float, help="length of the measured window (default: about 15)")
    parser.add_argument(
        "--logs", type=Path, default=os.environ.get("PARLEY_IRC_LOGS"), help="folder of IRC logs for replay"
    )
    parser.add_argument("--processes", type=int, default=2, help="load processes (default: 2)")
    return parser.parse_args(given)


def measure(name: str, options: Options) -> Result:
    """Run one scenario against servers of its own and print its table."""
    if name in ALONE:
        result = ALONE[name](options)
        print(report.table(result), flush=True)
        return result
    say(f"{name}: starting the servers")
    with servers(ENVIRON.get(name, {})) as house:
        print(report.machine(house.dsn, house.redis_version()), flush=True)
        result = SCENARIOS[name](house, options)
        print(report.table(result), flush=True)
    return result


def leave(number: int, frame: FrameType | None) -> None:
    """End as after Ctrl-C, so that the servers go too."""
    sys.exit(128 + number)


def main(given: list[str]) -> int:
    asked = arguments(given)
    signal.signal(signal.SIGTERM, leave)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options = Options(asked.seconds, asked.logs, asked.processes)
    results = [measure(name, options) for name in asked.scenarios]
    if asked.json:
        rows = [report.flat(result) for result in results]
        asked.json.write_text(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2) + "\n")
    failed = {result.scenario: report.faults(result) for result in results if report.faults(result)}
    if failed:
        print(f"The checker found faults: {failed}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
