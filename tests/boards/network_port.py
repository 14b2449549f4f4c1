"""Servers that put a serial port behind a TCP port of this computer, for one client after another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import serial
from serial.rfc2217 import PortManager


class _Pty(serial.Serial):
    """A PTY has no modem lines, which RFC 2217 asks for and sets."""

    cts = dsr = cd = True
    ri = False

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class _Connection:
    """What serial.rfc2217 writes its answers to."""

    def __init__(self, client: socket.socket) -> None:
        self.write = client.sendall


def _carry(client: socket.socket, port: serial.Serial, telnet: bool) -> None:
    """Bytes both ways until the client or the port is gone; telnet: by RFC 2217, else as they are."""
    manager = PortManager(port, _Connection(client)) if telnet else None
    ended = threading.Event()

    def to_client() -> None:
        try:
            while not ended.is_set():
                data = port.read(1) + port.read(port.in_waiting)
                client.sendall(b"".join(manager.escape(data)) if manager else data)
        except (OSError, TypeError):  # TypeError: pyserial's, for a port that was closed while it was read
            pass

    reader = threading.Thread(target=to_client)
    reader.start()
    try:
        while data := client.recv(4096):
            port.write(b"".join(manager.filter(data)) if manager else data)
    except OSError:
        pass
    finally:
        ended.set()
        reader.join()
        client.close()


@contextmanager
def serve(path: str, telnet: bool = False) -> Iterator[tuple[str, Callable[[], None]]]:
    """HOST:PORT of a server for the serial port at `path`, and what cuts the connection to its client."""
    clients: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients.append(client)
            with _Pty(path, timeout=0.01) as port:
                _carry(client, port, telnet)

    thread = threading.Thread(target=accept)
    thread.start()

    def cut() -> None:
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone by itself

    try:
        yield f"127.0.0.1:{server.getsockname()[1]}", cut
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        cut()
        thread.join()
