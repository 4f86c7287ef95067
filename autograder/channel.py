"""Frames over a socket: a length, then one message. Both ends of the wall speak through this.

Does not trust its peer: a frame over the limit, a late one or a malformed one raises; ConnectionError says that the peer is gone.
Does not pass file descriptors: only the zygotes' control sockets do, with `socket.send_fds`.
"""
import socket
import struct
import time

from . import values

HEADER = struct.Struct("!Q")
FRAME_LIMIT = 64 << 20


class Channel:
    """One end of a stream socket that carries whole messages: tuples that start with their name.

    `encode` and `decode` make bytes of them and back; plain data, unless the owner of this end sets others.
    A `deadline` is a time on `time.monotonic`'s clock.
    """

    def __init__(self, sock: socket.socket, encode=values.pack, decode=values.unpack, limit: int = FRAME_LIMIT):
        self.sock, self.encode, self.decode, self.limit = sock, encode, decode, limit

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self):
        self.sock.close()

    def send(self, *message, deadline: float | None = None):
        """Send `message`; raises NotData, ConnectionError, or TimeoutError at the deadline."""
        data = self.encode(message)
        self._stop_at(deadline)
        self.sock.sendall(HEADER.pack(len(data)) + data)

    def receive(self, deadline: float | None = None) -> tuple:
        """The next message; raises ConnectionError, Malformed, or TimeoutError at the deadline."""
        (size,) = HEADER.unpack(self._read(HEADER.size, deadline))
        if size > self.limit:
            raise values.Malformed(f"a frame of {size} bytes, more than {self.limit}")
        message = self.decode(self._read(size, deadline))
        if type(message) is not tuple or not message or type(message[0]) is not str:
            raise values.Malformed("a message without a name")
        return message

    def _read(self, size, deadline):
        data = bytearray()
        while len(data) < size:
            self._stop_at(deadline)
            part = self.sock.recv(min(size - len(data), 1 << 20))
            if not part:
                raise ConnectionError
            data += part
        return bytes(data)

    def _stop_at(self, deadline):
        """Have what the socket does next raise TimeoutError at the deadline."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
