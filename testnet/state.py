# SPDX-License-Identifier: MIT
"""The file that says what a network owns: processes by pid and start time, namespaces by name. Whoever reads it can end exactly that."""

import contextlib
import fcntl
import functools
import json
import os

from programs import Refusal

NAME, LOCK = "testnet.json", "testnet.lock"
SCHEMA_VERSION = 1


@functools.lru_cache(maxsize=None)
def boot_id():
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_time(pid):
    """Clock ticks from boot to the start of a process; None when it is gone, or dead and not yet waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            words = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if words[0] in ("Z", "X") else int(words[19])


def is_running(node):
    """Of a node's entry: the very process that was started, not another one with its number."""
    if not node["pid"] or node["boot"] != boot_id():
        return False
    return start_time(node["pid"]) == node["started"]


def write_atomically(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


class State:
    """DIR/testnet.json. Several commands may be at work in one directory: each change happens under a lock, on what is in the file by then."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, NAME)

    def exists(self):
        return os.path.exists(self.path)

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                facts = json.load(file)
        except FileNotFoundError:
            raise Refusal(f"{self.folder} holds no testnet; `testnet up` or `testnet run` makes one, --dir names its folder") from None
        except (OSError, ValueError) as error:
            raise Refusal(f"cannot read {self.path} ({error})", 1) from error
        if facts.get("schema_version") != SCHEMA_VERSION:
            raise Refusal(f"{self.path} was written by another version of testnet (schema {facts.get('schema_version')}, this one knows {SCHEMA_VERSION})", 1)
        return facts

    def create(self, facts):
        os.makedirs(self.folder, exist_ok=True)
        write_atomically(self.path, json.dumps(dict(facts, schema_version=SCHEMA_VERSION), indent=1) + "\n")

    @contextlib.contextmanager
    def change(self):
        with open(os.path.join(self.folder, LOCK), "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            facts = self.read()
            yield facts
            write_atomically(self.path, json.dumps(facts, indent=1) + "\n")
