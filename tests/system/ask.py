# SPDX-License-Identifier: MIT
"""A client of the control socket in a page: ZMTP 3.0 over a Unix socket, so that the tests need no library and can also misbehave."""

import json
import os
import socket
import struct

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
GREETING = SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def frame(body, flags=0):
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


class Client:
    """One DEALER (or REQ) that is connected to DIR/control.sock."""

    def __init__(self, folder, kind="DEALER", timeout=10):
        self.kind = kind
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(os.path.join(folder, "control.sock"))
            self._greet()
        except OSError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _greet(self):
        self.socket.sendall(GREETING)
        self._take(64)
        ready = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", len(self.kind)) + self.kind.encode()
        self.socket.sendall(frame(ready, 4))
        self._frame()

    def close(self):
        self.socket.close()

    def _take(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the node hung up")
            data += piece
        return data

    def _frame(self):
        flags = self._take(1)[0]
        size = struct.unpack(">Q", self._take(8))[0] if flags & 2 else self._take(1)[0]
        return flags, self._take(size)

    def send(self, request):
        """Bytes as they are, anything else as JSON."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.socket.sendall((frame(b"", 1) if self.kind == "REQ" else b"") + frame(body))

    def receive(self):
        more, body = 1, b""
        while more & 1 or more & 4:
            more, body = self._frame()
        return json.loads(body)

    def ask(self, command, **arguments):
        self.send({"command": command, "arguments": arguments} if arguments else {"command": command})
        return self.receive()


def ask(folder, command, **arguments):
    """One question over a connection of its own: (data, None) or (None, error)."""
    with Client(folder) as client:
        answer = client.ask(command, **arguments)
    return (answer["data"], None) if answer["status"] == "ok" else (None, answer["error"])
