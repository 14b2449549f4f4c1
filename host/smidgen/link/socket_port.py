"""A serial port behind a TCP connection that carries the bytes as they are."""

from __future__ import annotations

import socket

from serial.urlhandler import protocol_socket

_PEEK_BYTES = 65536


class SocketPort(protocol_socket.Serial):
    """pyserial's `socket://`, quick enough for short questions and long answers.

    Without Nagle's algorithm, which holds small packets back for 40 ms and more; and `in_waiting` counts bytes, where
    pyserial's says only whether there are any.
    """

    _socket: socket.socket

    def open(self) -> None:
        super().open()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def in_waiting(self) -> int:
        if not super().in_waiting:
            return 0
        return len(self._socket.recv(_PEEK_BYTES, socket.MSG_PEEK))
