"""`script/bench SCENARIO…`: runs scenarios, prints their figures, and exits with 1 if the checker found a fault."""

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
from bench.run import Options, Result, print_progress
from bench.scenarios import fanout, footprint, idle, indicators, large, latency, replay, send, summary, sync
from bench.servers import Servers, start_servers

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
STANDALONE = {"footprint": footprint.measure}
# An IRC channel has more speakers than a group may have members.
LARGE_GROUPS = {"PARLEY_LIMIT_MAX_GROUP_MEMBERS": "10000"}
# Each client is a member of large groups that it does not follow; its last sync may skip their messages.
ENVIRON = {
    "replay": LARGE_GROUPS,
    "large": LARGE_GROUPS | {"PARLEY_LIMIT_SYNC_TOO_LARGE": "10"},
    "summary": {"PARLEY_LIMIT_SUMMARY_PER_SECOND": "100"},
}


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("scenarios", nargs="+", choices=[*SCENARIOS, *STANDALONE], metavar="SCENARIO",
                        help=", ".join([*SCENARIOS, *STANDALONE]))  # fmt: skip
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures as one flat object, of several scenarios as a list"
    )
    parser.add_argument("--seconds", type=float, help="length of the measured window (default: about 15)")
    parser.add_argument(
        "--logs", type=Path, default=os.environ.get("PARLEY_IRC_LOGS"), help="folder of IRC logs for replay"
    )
    parser.add_argument("--processes", type=int, default=2, help="load processes (default: 2)")
    return parser.parse_args(argv)


def run_scenario(name: str, options: Options) -> Result:
    """Run one scenario against servers of its own and print its table."""
    if name in STANDALONE:
        result = STANDALONE[name](options)
        print(report.format_table(result), flush=True)
        return result
    print_progress(f"{name}: starting the servers")
    with start_servers(ENVIRON.get(name, {})) as parley:
        print(report.describe_machine(parley.dsn, parley.redis_version()), flush=True)
        result = SCENARIOS[name](parley, options)
        print(report.format_table(result), flush=True)
    return result


def exit_on_signal(number: int, frame: FrameType | None) -> None:
    """Exit as after Ctrl-C, so that the servers are stopped as well."""
    sys.exit(128 + number)


def main(argv: list[str]) -> int:
    arguments = parse_arguments(argv)
    signal.signal(signal.SIGTERM, exit_on_signal)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options = Options(arguments.seconds, arguments.logs, arguments.processes)
    results = [run_scenario(name, options) for name in arguments.scenarios]
    if arguments.json:
        rows = [report.flatten(result) for result in results]
        arguments.json.write_text(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2) + "\n")
    failed = {result.scenario: report.find_faults(result) for result in results if report.find_faults(result)}
    if failed:
        print(f"The checker found faults: {failed}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
