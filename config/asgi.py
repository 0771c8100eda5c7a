"""The ASGI application of a web process: Django for HTTP, the gateway's consumer for `/ws/v1`, and their hub."""

import os
import warnings

# WhiteNoise passes a file in blocks of 4 KB, which Django reads on a thread. That is intended.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

os.environ.setdefault("PARLEY_ROLE", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from accounts import devices, handshake  # noqa: E402
from chat.messages import feed  # noqa: E402
from chat.sync import sync  # noqa: E402
from config.frames import ALIASES, FRAMES, INDICATORS  # noqa: E402
from config.http import SingleThreadHandler  # noqa: E402
from config.notices import NOTICES  # noqa: E402
from gateway import connection_checks, consumer, hub  # noqa: E402
from gateway.hub import Lookups  # noqa: E402
from gateway.routes import Wiring  # noqa: E402
from gateway.shedding import Load  # noqa: E402
from presence import handlers as presence  # noqa: E402

LOOKUPS = Lookups(
    audience=feed.audience,
    between=feed.between,
    since=feed.since,
    notices=NOTICES,
)
LOAD = Load()
WIRING = Wiring(
    routes=FRAMES,
    aliases=ALIASES,
    authenticate=handshake.authenticate,
    renew=handshake.renew,
    replay=sync.replay,
    epoch=feed.epoch,
    indicators=INDICATORS,
    chats=feed.chats,
    opened=(presence.begin_presence,),
    closing=(presence.end_presence,),
)


async def start() -> None:
    """Start the hub and its periodic tasks on the running loop. Called before the first request; repeats do nothing."""
    if hub.running():
        return
    current_hub = hub.start(LOOKUPS)
    current_hub.spawn(connection_checks.run(current_hub, devices.find_revoked))
    current_hub.spawn(LOAD.probe())
    current_hub.spawn(presence.run_rounds())


async def stop() -> None:
    """Close every connection (4503) and disconnect from the bus."""
    if hub.running():
        await hub.current().drain()
        await hub.current().stop()


application = ProtocolTypeRouter(
    {
        "http": SingleThreadHandler(),
        "websocket": URLRouter(
            [path("ws/v1", consumer.application(WIRING, LOAD)), re_path(r"", consumer.unknown_address())]
        ),
    }
)
