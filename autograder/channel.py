"""Frames over a socket: a length, then one message. Both ends of the wall speak through this.

Does not trust its peer: a frame over the limit, a late one or a malformed one raises. Does not pass file descriptors:
only the zygotes' control sockets do, with `socket.send_fds`.
"""
import select
import socket
import struct
import time

from . import values

HEADER = struct.Struct("!Q")
FRAME_LIMIT = 64 << 20


class Closed(Exception):
    """The peer is gone."""


class Channel:
    """One end of a stream socket that carries whole messages: tuples that start with their name.

    `encode` and `decode` make bytes of them and back; plain data, unless the owner of this end sets others.
    """

    def __init__(self, sock: socket.socket, encode=values.pack, decode=values.unpack, limit: int = FRAME_LIMIT):
        self.sock, self.encode, self.decode, self.limit = sock, encode, decode, limit
        sock.setblocking(False)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self):
        self.sock.close()

    def send(self, *message, timeout: float | None = None):
        """Send `message`; raises NotData, Closed, or TimeoutError after `timeout` seconds."""
        data = self.encode(message)
        deadline = timeout and time.monotonic() + timeout
        view = memoryview(HEADER.pack(len(data)) + data)
        while view:
            try:
                view = view[self.sock.send(view, socket.MSG_NOSIGNAL):]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError:
                raise Closed from None

    def receive(self, timeout: float | None = None) -> tuple:
        """The next message; raises Closed, Malformed, or TimeoutError after `timeout` seconds."""
        deadline = timeout and time.monotonic() + timeout
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
            try:
                part = self.sock.recv(min(size - len(data), 1 << 20))
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError:
                raise Closed from None
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def _wait(self, event, deadline):
        poll = select.poll()
        poll.register(self.sock, event)
        if not poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected stream sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
