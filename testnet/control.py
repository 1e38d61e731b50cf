# SPDX-License-Identifier: MIT
"""Asks nodes at their control sockets (docs/control.md): one request, one answer, in ZMTP 3.0 over a Unix socket."""

import concurrent.futures
import json
import os
import socket
import struct

ANSWER_SECONDS = 3
ASKED_AT_ONCE = 16
ANSWER_MAX = 16 << 20
MORE, LONG, COMMAND = 1, 2, 4                # flags of a frame
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"


def send(connection, flags, body):
    head = bytes([flags | LONG]) + struct.pack(">Q", len(body)) if len(body) > 255 else bytes([flags, len(body)])
    connection.sendall(head + body)


def take(connection, size):
    if size > ANSWER_MAX:
        raise OSError("an answer that is too long")
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 16))
        if not piece:
            raise OSError("the node hung up")
        data += piece
    return bytes(data)


def receive(connection):
    flags = take(connection, 1)[0]
    size = struct.unpack(">Q", take(connection, 8))[0] if flags & LONG else take(connection, 1)[0]
    return flags, take(connection, size)


def ask(folder, command, arguments):
    """The data of the answer; None where nobody answers, or with an error."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(os.path.join(folder, "control.sock"))
            connection.sendall(GREETING)
            take(connection, len(GREETING))
            send(connection, COMMAND, READY)
            receive(connection)
            send(connection, 0, json.dumps({"command": command, "arguments": arguments}).encode())
            flags, body = MORE, b""
            while flags & (MORE | COMMAND):
                flags, body = receive(connection)
        answer = json.loads(body)
        return answer.get("data") if answer.get("status") == "ok" else None
    except (OSError, ValueError, AttributeError):
        return None


def ask_all(folders, command, **arguments):
    """The same question to all, at once; a folder that is None is not asked."""
    with concurrent.futures.ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return list(pool.map(lambda folder: folder and ask(folder, command, arguments), folders))
