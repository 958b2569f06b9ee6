"""The way from a container to this machine on Linux, where Docker's bridge does not lead to 127.0.0.1.

Docker Desktop forwards `host.docker.internal` to this machine's 127.0.0.1. Docker on Linux resolves that name only if
it is told to (`--add-host host.docker.internal:host-gateway`), and then to the address of its bridge.
"""

import socket
import struct
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from threading import Thread
from typing import Self

BRIDGE = "docker0"
LOCAL = "127.0.0.1"
CHUNK_BYTES = 65_536
_GET_ADDRESS = 0x8915
"""`SIOCGIFADDR` of Linux: the address of a network interface (netdevice(7))."""


def bridge_address(interface: str = BRIDGE) -> str | None:
    """Return this machine's address on Docker's bridge; None if there is none, as with Docker Desktop."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking.fileno(), _GET_ADDRESS, struct.pack("256s", interface.encode()[:15]))
    except (ImportError, OSError):
        return None
    return socket.inet_ntoa(answer[20:24])


class Bridge:
    """Hands connections to some ports of an address on to the same ports of 127.0.0.1. A context manager."""

    def __init__(self, address: str, ports: Iterable[int]) -> None:
        self._address = address
        self._ports = ports
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for port in self._ports:
                listening = running.enter_context(socket.create_server((self._address, port)))
                running.callback(listening.shutdown, socket.SHUT_RDWR)  # ends the thread's wait
                Thread(target=_accept, args=(listening, port), daemon=True).start()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


def _accept(listening: socket.socket, port: int) -> None:
    while True:
        try:
            theirs, _ = listening.accept()
        except OSError:  # closed
            return
        Thread(target=_hand_on, args=(theirs, port), daemon=True).start()


def _hand_on(theirs: socket.socket, port: int) -> None:
    with theirs, suppress(OSError), socket.create_connection((LOCAL, port)) as ours:
        back = Thread(target=_pump, args=(ours, theirs), daemon=True)
        back.start()
        _pump(theirs, ours)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(CHUNK_BYTES):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
