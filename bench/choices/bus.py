"""Decision 0002: the cost of a message between processes, by groups and by packets, in publisher, receiver and Redis.

Two processes and an embedded Redis of their own. "group" publishes each message by itself to its conversation's group,
`in flight` many at a time; "packet" is what `gateway.bus` does: one publish carries a batch, in one group of all.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis as Client

from bench.choices.machine import machine
from config.embedded.redis import Redis
from gateway.bus import GROUP, Event, Packet

CONVERSATIONS = 500
MESSAGES = 20_000
ROUNDS = 3
# About the length of a `message.new` of 80 characters.
FRAME = b"x" * 640
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Packet).decode


@dataclass(frozen=True)
class Variant:
    """`size` messages go out together: as so many publishes in flight ("group"), or as one ("packet")."""

    kind: str
    size: int


VARIANTS = (
    Variant("group", 1),
    Variant("group", 50),
    Variant("packet", 1),
    Variant("packet", 10),
    Variant("packet", 50),
)


def event(number: int) -> Event:
    return Event(conversation_id=number % CONVERSATIONS + 1, version=1, seq=number, rev=number, frame=FRAME)


def layer(url: str) -> Any:
    return RedisPubSubChannelLayer(hosts=[url], prefix="bench")


async def publish(url: str, variant: Variant) -> float:
    """Publish MESSAGES messages; return the CPU seconds of this process."""
    through = layer(url)
    before = time.process_time()
    for start in range(1, MESSAGES + 1, variant.size):
        events = [event(number) for number in range(start, start + variant.size)]
        if variant.kind == "packet":
            await through.group_send(GROUP, _message(start, events))
        else:
            sends = [through.group_send(f"c{each.conversation_id}", _message(start, [each])) for each in events]
            await (asyncio.gather(*sends) if len(sends) > 1 else sends[0])
    return time.process_time() - before


def _message(number: int, events: list[Event]) -> dict[str, Any]:
    return {"type": "gateway.packet", "packet": encode(Packet("bench", number, events))}


async def receive(url: str, variant: Variant) -> float:
    """Join, print "joined", receive MESSAGES messages; return the CPU seconds of this process."""
    through = layer(url)
    channel = await through.new_channel()
    groups = [GROUP] if variant.kind == "packet" else [f"c{number}" for number in range(1, CONVERSATIONS + 1)]
    for group in groups:
        await through.group_add(group, channel)
    print("joined", flush=True)
    before, taken = time.process_time(), 0
    while taken < MESSAGES:
        taken += len(decode((await through.receive(channel))["packet"]).events)
    return time.process_time() - before


def run_variant(url: str, variant: Variant) -> tuple[float, float, float]:
    """Run one variant; return CPU microseconds a message of publisher, receiver and Redis."""
    receiver = _start("receive", url, variant)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    before = _redis_cpu(url)
    publisher = _start("publish", url, variant)
    sent, taken = (float(each.communicate(timeout=120)[0]) for each in (publisher, receiver))
    return tuple(1e6 * cpu / MESSAGES for cpu in (sent, taken, _redis_cpu(url) - before))  # type: ignore[return-value]


def _start(role: str, url: str, variant: Variant) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.choices.bus", role, url, json.dumps(asdict(variant))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _redis_cpu(url: str) -> float:
    with Client.from_url(url) as client:
        info: Any = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="parley-bus-") as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            costs = {variant: [run_variant(server.url, variant) for _ in range(ROUNDS)] for variant in VARIANTS}
        finally:
            server.stop()
    print(machine(), f"\n{MESSAGES} messages of {len(FRAME)} bytes, {CONVERSATIONS} conversations, median of {ROUNDS}")
    print(f"{'variant':<22}{'publisher':>10}{'receiver':>10}{'Redis':>8}{'sum':>8}  µs of CPU a message")
    for variant, runs in costs.items():
        sent, taken, stored = (statistics.median(column) for column in zip(*runs, strict=True))
        name = f"{variant.kind}, {variant.size} {'a packet' if variant.kind == 'packet' else 'in flight'}"
        print(f"{name:<22}{sent:>10.1f}{taken:>10.1f}{stored:>8.1f}{sent + taken + stored:>8.1f}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        role, url, variant = {"publish": publish, "receive": receive}[sys.argv[1]], sys.argv[2], sys.argv[3]
        print(uvloop.run(role(url, Variant(**json.loads(variant)))))
