# SPDX-License-Identifier: MIT
"""A network of real nodes, one of them under attack: what test_wire.py judges and tools/bench/wire prints."""

import json
import os
import re
import resource
import subprocess
import threading
import time

from kit import BUILD, STARLINGD, prepare

HOSTILE = os.path.join(BUILD, "tests", "system", "hostile")
NODES, VICTIM = 6, 0                         # and one more peer on the list, whose place the refusing program takes
EPOCH_S = 1.0
FILES = 256                                  # descriptors of the victim: running out must be easy
SETTINGS = ["--set", "link.max=16", "--set", "link.inbound=12"]

ATTACKS = {                                  # name: what it does, and by how many MiB the victim may grow
    "more": ("one message of endless frames", 32),
    "preauth": ("200 connections with a frame of 72 KiB before the handshake", 24),
    "hello": ("garbage after proven handshakes, 20 at a time", 24),
    "small": ("40,000 small messages at once with a proven key", 24),
    "slow": ("200 connections, one byte a second", 16),
    "idle": ("500 connections that say nothing", 16),
    "files": ("3500 connections kept open against 256 descriptors", 24),
    "storm": ("connections that come and go", 16),
    "rst": ("connections that are reset", 16),
    "squat": ("routing ids of the peer's choice", 24),
    "tls": ("a TLS hello", 16),
    "stranger": ("60 strangers that stay after a word without meaning", 16),
    "refuse": ("a peer that ends every connection the node dials", 16),
}


def is_sanitized():
    done = subprocess.run(["ldd", STARLINGD], stdout=subprocess.PIPE, text=True, check=False)
    return "libasan" in done.stdout


def limit_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


class Node:
    """A process, and what it said: epochs with what became of them."""

    def __init__(self, folder, is_victim):
        environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=4:detect_leaks=0", OPENBLAS_NUM_THREADS="1")
        self.process = subprocess.Popen([STARLINGD, folder, *SETTINGS], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=limit_files if is_victim else None)
        self.lines, self.done = [], {}
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"epoch (\d+): .*", line)
            if found and ("aggregate of" in line or "cohort" in line):
                self.done[int(found.group(1))] = "aggregate of" in line

    def stat(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def memory(self):
        return int(self.stat("statm").split()[1]) * resource.getpagesize()

    def cpu_s(self):
        fields = self.stat("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def n_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        if self.is_alive():
            self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Network:
    def __init__(self, folder):
        self.folder = prepare(folder, NODES + 1, "--epoch-length", f"{EPOCH_S:g}s")
        self.nodes = [Node(os.path.join(self.folder, f"n{i:03d}"), i == VICTIM) for i in range(NODES)]
        self.victim = self.nodes[VICTIM]
        self.baseline = None

    def peer(self, number):
        """Address and transport key of a node, from its own directory's list."""
        with open(os.path.join(self.folder, f"n{number:03d}", "node.conf"), encoding="utf-8") as file:
            address = re.search(r'listen = "(\S+)"', file.read()).group(1)
        with open(os.path.join(self.folder, "n000", "peers.list"), encoding="utf-8") as file:
            words = next(line.split() for line in file if address in line.split())
        return address, words[words.index(address) - 1]

    def epoch(self):
        return max((max(node.done, default=0) for node in self.nodes), default=0) + 1

    def wait_epochs(self, n, sample=lambda: None):
        """Waits until n more epochs are over everywhere; the range of them."""
        first = self.epoch() + 1
        limit = time.monotonic() + (n + 4) * EPOCH_S + 10
        while self.epoch() < first + n and time.monotonic() < limit:
            sample()
            time.sleep(0.05)
        time.sleep(0.4)                      # every node writes its line after the epoch's end
        return range(first, first + n)

    def rate(self, epochs):
        """Share of the honest nodes' epochs that brought an aggregate."""
        return sum(node.done.get(epoch, False) for node in self.nodes for epoch in epochs) / (len(self.nodes) * len(epochs))

    def settle(self, limit_s=30):
        """Until three epochs in a row went well; True if they did."""
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit and all(node.is_alive() for node in self.nodes):
            newest = self.epoch() - 1
            if self.rate(range(newest - 3, newest)) >= 0.99:
                return True
            time.sleep(0.1)
        return False

    def stop(self):
        for node in self.nodes:
            if node.is_alive():
                node.process.terminate()
        for node in self.nodes:
            node.stop()


class Outcome:
    pass


def attack(network, name, epochs):
    """Runs one attack for so many epochs and measures."""
    victim, outcome = network.victim, Outcome()
    address, key = network.peer(NODES if name == "refuse" else VICTIM)
    host, port = address.rsplit(":", 1)
    memory, files, cpu, begun = victim.memory(), victim.n_files(), victim.cpu_s(), time.monotonic()
    peak = [memory, files]

    def sample():
        if victim.is_alive():
            peak[0], peak[1] = max(peak[0], victim.memory()), max(peak[1], victim.n_files())

    words = ["nice", "-n", "19", HOSTILE, name, host, port, key, str(epochs * EPOCH_S + 1.5)]
    attacker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    window = network.wait_epochs(epochs, sample)
    seconds = time.monotonic() - begun
    outcome.alive = victim.is_alive()
    outcome.cpu = (victim.cpu_s() - cpu) / seconds if outcome.alive else float("nan")
    output, _ = attacker.communicate(timeout=30)
    tally = json.loads(output)
    outcome.connections, outcome.ended = tally["connections"], tally["ended"]

    ended = time.monotonic()
    while outcome.alive and time.monotonic() - ended < 15:
        newest = network.epoch() - 1
        if victim.is_alive() and victim.n_files() <= files + 8 and newest > window[-1] and network.rate(range(newest, newest + 1)) >= 0.99:
            break
        sample()
        time.sleep(0.05)
    outcome.recovery_s = time.monotonic() - ended
    outcome.alive = outcome.alive and victim.is_alive()
    outcome.rate = network.rate(window)
    outcome.growth_mib = (peak[0] - memory) / 2**20
    outcome.files = peak[1]
    outcome.epochs = window
    return outcome
