# SPDX-License-Identifier: MIT
"""What is left of a cohort in a node's memory, logs and files after it has ended: no key, no seed, no share."""

import os
import signal
import subprocess
import tempfile
import time
import unittest

from ask import ask
from kit import BUILD, STARLINGD, prepare

TELL_SECRETS = os.path.join(BUILD, "tests", "kit", "libtell_secrets.so")
NODES, EPOCH = 5, 2.0
QUIET = 0.93                                 # share of an epoch at which its cohorts are over and the next has not begun
ATTEMPTS = 12
PAGE = 4096
SECRETS_MAX = 120                            # the newest of them are searched for
MODEL = "mlp:512"                            # 4,099 weights on the toy data: enough for an audit


def environment(path, keeps=False):
    """The tell-tale is loaded first; the sanitizers of a test build do not mind."""
    options = os.environ.get("ASAN_OPTIONS", "")
    more = {"STARLING_SECRETS_KEEP": "1"} if keeps else {}
    return {**os.environ, "LD_PRELOAD": TELL_SECRETS, "STARLING_SECRETS": path, **more,
            "ASAN_OPTIONS": (options + ":" if options else "") + "verify_asan_link_order=0"}


def pages_there(pagemap, first, last):
    """Spans of pages that are in memory or swapped out; what was never touched holds nothing."""
    pagemap.seek(first // PAGE * 8)
    entries = pagemap.read((last - first) // PAGE * 8)
    begin = None
    for page in range(len(entries) // 8 + 1):
        is_there = page < len(entries) // 8 and entries[8 * page + 7] & 0xc0
        if is_there and begin is None:
            begin = page
        if not is_there and begin is not None:
            yield first + begin * PAGE, (page - begin) * PAGE
            begin = None


def memory_of(pid):
    """What a core dump would have of all maps of a process that it may write to, but for pages of zeros."""
    pieces, zeros = [], bytes(PAGE)
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            span, rights = line.split()[:2]
            first, last = (int(end, 16) for end in span.split("-"))
            if not rights.startswith("rw") or last - first > 1 << 32:        # shadow memory of sanitizers holds no bytes of a program
                continue
            for begin, size in pages_there(pagemap, first, last):
                memory.seek(begin)
                bytes_there = memory.read(size)
                pages = [bytes_there[at:at + PAGE] for at in range(0, size, PAGE)]
                pieces.append(b"".join(page if page != zeros else b"\0" for page in pages))
    return b"".join(pieces)


def secrets_in(path):
    """What the tell-tale wrote, in order: {secret: what it is}."""
    with open(path, encoding="ascii") as file:
        return {bytes.fromhex(digits): what for what, digits in (line.split() for line in file)}


def newest(secrets):
    return dict(list(secrets.items())[-SECRETS_MAX:])


class Forgetting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="starling-secrets-")
        net = prepare(cls.folder.name, NODES, "--epoch-length", f"{EPOCH}s", "--set", f"model={MODEL}", "--set", "phase.formation=0.3")
        cls.nodes = [os.path.join(net, f"n{i:03d}") for i in range(NODES)]
        cls.told = [node + ".secrets" for node in cls.nodes]
        cls.processes = []
        for i, node in enumerate(cls.nodes):
            with open(node + ".log", "w", encoding="utf-8") as log:
                cls.processes.append(subprocess.Popen([STARLINGD, node, "-v"], stdin=subprocess.PIPE, stdout=log, stderr=log,
                                                      env=environment(cls.told[i], keeps=i == 1)))

    @classmethod
    def tearDownClass(cls):
        for process in cls.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate(timeout=20)
        cls.folder.cleanup()

    def last_epoch(self, number):
        """The epoch under way as the node's events tell it: does it have an aggregate, and did its cohort lose anybody?"""
        epoch = ask(self.nodes[number], "status")[0]["epoch"]["number"]
        types = [event["type"] for event in ask(self.nodes[number], "events", n=512)[0]["events"] if event["epoch"] == epoch]
        return "AGGREGATE" in types, any(kind in types for kind in ("DROPPED", "REFUSED", "VOID", "VOID_ALONE"))

    def wait_for_the_quiet_end_of_an_epoch(self, number):
        """Returns when cohorts of an epoch are over, the node's own among them, with no member lost; else fails."""
        for _ in range(ATTEMPTS):
            place = time.time() / EPOCH % 1
            time.sleep(((QUIET - place) % 1) * EPOCH)
            try:
                has_aggregate, lost = self.last_epoch(number)
            except OSError:
                continue                     # not up yet
            if has_aggregate and not lost and QUIET - 0.05 < time.time() / EPOCH % 1 < 0.99:
                return
        self.fail(f"node {number} was in no complete cohort: {self.log_of(number)[-3000:]}")

    def log_of(self, number):
        with open(self.nodes[number] + ".log", encoding="utf-8") as file:
            return file.read()

    def dump_after_a_cohort(self, number):
        """Memory and secrets of a node, both of the same moment."""
        self.wait_for_the_quiet_end_of_an_epoch(number)
        process = self.processes[number]
        process.send_signal(signal.SIGSTOP)
        try:
            secrets = secrets_in(self.told[number])
            try:
                return memory_of(process.pid), secrets
            except PermissionError as error:
                self.skipTest(f"this system does not let a parent read its child's memory ({error})")
        finally:
            process.send_signal(signal.SIGCONT)
        return None

    @staticmethod
    def found(memory, secrets):
        """The kinds of secrets of which the first or the last 16 bytes are there, or the first in hex."""
        return sorted({what for secret, what in secrets.items() if secret[:16] in memory or secret[16:] in memory or secret[:16].hex().encode() in memory})

    def test_memory_holds_no_secret_of_a_cohort_that_is_over(self):
        memory, secrets = self.dump_after_a_cohort(0)
        kinds = set(secrets.values())
        self.assertLessEqual({"secret_key", "agreed", "box_key", "self_share", "mask_share", "mask_seed", "public_key"}, kinds, "the tell-tale saw no cohort")
        # Public keys stand in rosters that are kept: they show that the search finds what is there.
        public = {secret: what for secret, what in secrets.items() if what == "public_key"}
        self.assertEqual(self.found(memory, public), ["public_key"])
        # Shares of self masks were said to all members in UNMASK, and lie in the buffers of the transport.
        hidden = newest({secret: what for secret, what in secrets.items() if what not in ("public_key", "self_share")})
        self.assertGreater(len(hidden), 20)
        self.assertEqual(self.found(memory, hidden), [])

    def test_a_node_that_kept_secrets_would_be_found_out(self):
        memory, secrets = self.dump_after_a_cohort(1)
        self.assertEqual(self.found(memory, newest(secrets)), sorted(set(secrets.values())))

    def test_logs_and_files_hold_no_secret(self):
        self.wait_for_the_quiet_end_of_an_epoch(2)
        secrets = newest({secret: what for secret, what in secrets_in(self.told[2]).items() if what != "public_key"})
        self.assertGreater(len(secrets), 20)
        pieces = [self.log_of(2).encode()]
        for folder, _, names in os.walk(self.nodes[2]):
            for name in names:
                if name != "control.sock":
                    with open(os.path.join(folder, name), "rb") as file:
                        pieces.append(file.read())
        pieces.append(str(ask(self.nodes[2], "events", n=512)[0]).encode())
        self.assertGreater(len(pieces), 3)
        self.assertEqual(self.found(b"\0".join(pieces), secrets), [])


if __name__ == "__main__":
    unittest.main()
