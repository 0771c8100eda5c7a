"""The presence of users in Redis (F146): one hash a user, `presence:<user>`, written by one script of all processes.

Fields of the hash: `<connection>` → "device automatic alive kept", where `alive` and `kept` are the Unix times until
which the connection counts, and counts as away; `c:<device>` → the state chosen on a device; `s:<device>` → when others
could last see the device online; `=` → the user's last state, by which the script detects a change. `presence:due`
orders users by the next expiry of a connection; `presence:seen` and `presence:shown` hold what `last_seen.py` writes to
the device rows. This module knows nothing about visibility.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import NoScriptError

from gateway.redis_clients import loop_client, thread_client

# ARGV[1]: msgpack [now, how many due users to examine, [[user, what, connection, device, automatic, alive, kept, seen,
# choice], …]], ids and times as text: Lua's numbers hold 53 bits. Returns the users whose state has changed.
# `what`: put (opened or alive), lost (no close frame: counts until `alive`), drop (closed on purpose), look (due).
# A hash without a chosen state expires after an hour, the upper bound of K22, or later if a lost connection counts as
# away for longer; a hash with a chosen state expires after a week. `s:` fields are deleted after a day: by then the
# device's row has that time.
SCRIPT = """
local now, sweep, ops = unpack(cmsgpack.unpack(ARGV[1]))
local RANK = {offline = 0, lost = 1, away = 2, brb = 3, dnd = 4, in_meeting = 5, available = 6}
now = tonumber(now)

local function fields(key)
    local all, chosen, entries, before = redis.call('HGETALL', key), {}, {}, 'offline'
    for i = 1, #all, 2 do
        local name, value = all[i], all[i + 1]
        local device = string.match(name, '^c:(%d+)$')
        if name == '=' then before = value
        elseif device then chosen[device] = value
        elseif string.match(name, '^s:') then
            if tonumber(value) < now - 86400 then redis.call('HDEL', key, name) end
        elseif string.match(name, '^%d') then entries[name] = value end
    end
    return chosen, entries, before
end

local function weigh(user, key)
    local chosen, entries, before = fields(key)
    local best, due = 'offline', nil
    for name, value in pairs(entries) do
        local device, status, alive, kept = string.match(value, '(%S+) (%S+) (%S+) (%S+)')
        status, alive, kept = chosen[device] or status, tonumber(alive), tonumber(kept)
        if status ~= 'away' then kept = alive end
        if kept <= now then redis.call('HDEL', key, name)
        else
            if alive <= now then status = 'lost' end
            if RANK[status] > RANK[best] then best = status end
            local ends = alive <= now and kept or alive
            if not due or ends < due then due = ends end
        end
    end
    if due then redis.call('ZADD', 'presence:due', due, user) else redis.call('ZREM', 'presence:due', user) end
    if best ~= before then redis.call('HSET', key, '=', best) end
    local last = due and math.ceil(due - now) + 60 or 0
    redis.call('EXPIRE', key, math.max(last, next(chosen) and 604800 or 3600))
    return best ~= before
end

local function others(key, device, connection)
    local _, entries = fields(key)
    local found = {}
    for name, value in pairs(entries) do
        local theirs, status, alive, kept, gone = string.match(value, '(%S+) (%S+) (%S+) (%S+) ?(%S*)')
        if theirs == device and name ~= connection then
            local ended = gone ~= '' or tonumber(alive) <= now
            found[#found + 1] = {name = name, status = status, alive = alive, gone = ended}
        end
    end
    return found
end

for _, user in ipairs(redis.call('ZRANGEBYSCORE', 'presence:due', '-inf', now, 'LIMIT', 0, sweep)) do
    ops[#ops + 1] = {user, 'look', '', '', '', '0', '0', '', ''}
end
local changed = {}
for _, op in ipairs(ops) do
    local user, what, connection, device, status, alive, kept, seen, choice = unpack(op)
    local key = 'presence:' .. user
    if choice == 'available' then redis.call('HDEL', key, 'c:' .. device)
    elseif choice ~= '' then redis.call('HSET', key, 'c:' .. device, choice) end
    if what == 'put' then
        for _, other in ipairs(others(key, device, connection)) do
            if other.gone then redis.call('HDEL', key, other.name) end
        end
        redis.call('HSET', key, connection, table.concat({device, status, alive, kept}, ' '))
    elseif what == 'lost' then
        if redis.call('HEXISTS', key, connection) == 1 then
            redis.call('HSET', key, connection, table.concat({device, status, alive, kept, 'gone'}, ' '))
        end
    elseif what == 'drop' then
        redis.call('HDEL', key, connection)
        for _, other in ipairs(others(key, device, connection)) do
            if other.gone then redis.call('HDEL', key, other.name)
            else
                local fields = {device, other.status, other.alive, other.alive}
                redis.call('HSET', key, other.name, table.concat(fields, ' '))
            end
        end
    end
    if seen ~= '' then
        redis.call('HSET', 'presence:seen', device, seen)
        if redis.call('HGET', key, 'c:' .. device) ~= 'offline' then
            redis.call('HSET', key, 's:' .. device, seen)
            redis.call('HSET', 'presence:shown', device, seen)
        end
    end
    if weigh(user, key) then changed[#changed + 1] = user end
end
return changed
"""
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
RANK = {"offline": 0, "away": 1, "brb": 2, "dnd": 3, "in_meeting": 4, "available": 5}


class Update(NamedTuple):
    """One line of the script's input. Times are Unix seconds; `seen` 0 means no news, an empty `choice` no choice."""

    user: int
    what: str
    connection: int
    device: int
    automatic: str
    alive: float
    kept: float
    seen: float
    choice: str


class Entry(NamedTuple):
    """A connection in Redis; `status` is the state chosen on its device, else its automatic state."""

    device: int
    status: str
    alive: float
    kept: float


class PresenceRecord(NamedTuple):
    """What Redis holds of a user: the connections, and when others could last see each device online."""

    entries: tuple[Entry, ...] = ()
    seen: tuple[tuple[int, float], ...] = ()

    def status(self, now: float, *, hidden: Iterable[int] = (), untimed: Iterable[int] = ()) -> str:
        """Return the best state of the devices at a Unix time, `hidden` devices left out.

        A lost connection of an `untimed` device does not count as away. The order, best first, is that of RANK.
        """
        statuses = (
            entry.status for entry in self.entries if entry.device not in hidden and _counts(entry, now, untimed)
        )
        return max(statuses, key=RANK.__getitem__, default="offline")

    def last_seen_at(self, *, hidden: Iterable[int] = ()) -> float | None:
        """Return the latest Unix time at which others could see a device online, `hidden` devices left out."""
        return max((at for device, at in self.seen if device not in hidden), default=None)


def _counts(entry: Entry, now: float, untimed: Iterable[int]) -> bool:
    return now < (entry.kept if entry.status == "away" and entry.device not in untimed else entry.alive)


async def apply_updates(now: float, updates: Sequence[Update], *, sweep: int = 0) -> list[int]:
    """Apply updates in their order, examine at most `sweep` due users, and return the users whose state changed.

    Raises RedisError or OSError if Redis is unavailable.
    """
    packed = msgspec.msgpack.encode([f"{now:.3f}", sweep, [_encode(update) for update in updates]])
    try:
        changed: Any = await loop_client().evalsha(_SHA, 0, packed)
    except NoScriptError:
        changed = await loop_client().eval(SCRIPT, 0, packed)
    return [int(user) for user in changed]


def _encode(update: Update) -> list[str]:
    seen = f"{update.seen:.3f}" if update.seen else ""
    times = [f"{update.alive:.3f}", f"{update.kept:.3f}", seen]
    return [
        str(update.user),
        update.what,
        str(update.connection),
        str(update.device),
        update.automatic,
        *times,
        update.choice,
    ]


def read_records(users: Sequence[int]) -> dict[int, PresenceRecord]:
    """Return the records of users, in one round trip. Raises RedisError or OSError if Redis is unavailable."""
    with thread_client().pipeline(transaction=False) as pipe:
        for user in users:
            pipe.hgetall(f"presence:{user}")
        answers: Any = pipe.execute()
    return {user: _record_of(fields) for user, fields in zip(users, answers, strict=True)}


def _record_of(fields: dict[bytes, bytes]) -> PresenceRecord:
    chosen: dict[int, str] = {}
    seen: list[tuple[int, float]] = []
    entries: list[Entry] = []
    for name, value in ((name.decode(), value.decode()) for name, value in fields.items()):
        if name.startswith("c:"):
            chosen[int(name[2:])] = value
        elif name.startswith("s:"):
            seen.append((int(name[2:]), float(value)))
        elif name != "=":
            device, status, alive, kept = value.split(" ")[:4]
            entries.append(Entry(int(device), status, float(alive), float(kept)))
    return PresenceRecord(tuple(e._replace(status=chosen.get(e.device, e.status)) for e in entries), tuple(seen))
