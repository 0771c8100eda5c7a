"""The listening socket of the web role."""

import errno
import socket

BACKLOG = 2048


class PortTaken(Exception):
    """The process cannot listen on the address. The text says why and what to do."""


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; with `shared`, the other web processes of this machine can use the port too.

    Raises PortTaken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        raise PortTaken(_explain(fault, host, port)) from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _explain(fault: OSError, host: str, port: int) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken: stop what uses it, or choose another with PARLEY_PORT."
    return f"Cannot listen on {host}, port {port} ({fault.strerror}): choose others with PARLEY_HOST and PARLEY_PORT."
