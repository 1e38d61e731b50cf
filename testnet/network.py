# SPDX-License-Identifier: MIT
"""A network in one folder: its nodes as processes, their logs, and the state file that outlives the command which started them."""

import os
import re
import signal
import subprocess
import time

import interrupts
from isolation import Wires
from programs import Programs, Refusal
from state import State, boot_id, is_running, start_time

READY_SECONDS = 120
STOP_SECONDS = 15
NO_END = 10 ** 9                             # epochs of a node that runs until it is told to stop: with a number it leaves a summary
LOG_LINES_SHOWN = 8
EPOCH_LINE = re.compile(r"^\[ *[0-9.]+s\] epoch (\d+): (?!- )(.*)$")
STRUCK_LINE = re.compile(r"^ADVERSARY: \S+ struck (\d+) times$")
ALARM_LINE = re.compile(r"^\[ *[0-9.]+s\] ((?:STALLED|UNHEALTHY|DISK): .*)$")


class Node:
    """One node: its folder, what its log has said so far, and its process if this very command started it."""

    def __init__(self, folder, number):
        self.number, self.name = number, f"n{number:03d}"
        self.folder = os.path.join(folder, self.name)
        self.log_path = os.path.join(self.folder, "log")
        self.process, self.log, self.rest, self.ready = None, None, "", False
        self.fresh = []                      # (epoch, words) of lines that nobody has taken yet
        self.newest = 0                      # the newest epoch with a line
        self.alarm, self.alarm_epoch = None, 0
        self.strikes = 0                     # of a node that lies, told when it stops

    def start(self, words, hold):
        """Starts `words`; its entry for the state file."""
        summary = os.path.join(self.folder, "summary.json")
        if os.path.exists(summary):
            os.remove(summary)
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE if hold else subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        with open(os.path.join(self.folder, "pid"), "w", encoding="ascii") as file:
            file.write(f"{self.process.pid}\n")
        return {"pid": self.process.pid, "started": start_time(self.process.pid), "boot": boot_id(), "paused": False, "ended": None}

    def release(self):
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.close()
        except OSError:
            pass                             # it has ended: noticed when its exit code is read

    def read_log(self):
        if self.log is None:
            if not os.path.exists(self.log_path):
                return
            self.log = open(self.log_path, encoding="utf-8", errors="replace")
        *lines, self.rest = (self.rest + self.log.read()).split("\n")
        for line in lines:
            self.ready = self.ready or "ready; waits" in line
            match = EPOCH_LINE.match(line)
            if match:
                self.newest = max(self.newest, int(match.group(1)))
                self.fresh.append((int(match.group(1)), match.group(2)))
            struck = STRUCK_LINE.match(line)
            if struck:
                self.strikes += int(struck.group(1))
            alarm = ALARM_LINE.match(line)
            if alarm:
                self.alarm, self.alarm_epoch = alarm.group(1), self.newest

    def has_finished(self):
        """Did it end by itself or when told, with a summary?"""
        return os.path.exists(os.path.join(self.folder, "summary.json"))

    def code(self):
        return self.process.poll() if self.process else None

    def last_words(self, count=LOG_LINES_SHOWN):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return [line.rstrip("\n") for line in log.readlines()[-count:]]
        except OSError:
            return []


class Network:
    """The processes that the state file names, and nothing else."""

    def __init__(self, folder, facts=None):
        self.folder, self.state = folder, State(folder)
        if facts:
            self.state.create(facts)
        self.facts = self.state.read()
        self.nodes = []
        self.refresh()

    # ---- the state file ----

    def refresh(self):
        self.facts = self.state.read()
        for number in range(len(self.nodes), len(self.facts["nodes"])):
            self.nodes.append(Node(self.folder, number))

    def set_entry(self, node, **values):
        with self.state.change() as facts:
            facts["nodes"][node.number].update(values)
        self.refresh()

    def set_facts(self, **values):
        with self.state.change() as facts:
            facts.update(values)
        self.refresh()

    def note(self, text):
        """A deed, for the report: when, and what was done."""
        at = round(time.time() - self.facts["begin"], 1) if self.facts["begin"] else 0.0
        with self.state.change() as facts:
            facts["deeds"].append({"at_s": at, "text": text})
        self.refresh()

    # ---- facts about it ----

    @property
    def epoch_seconds(self):
        return self.facts["epoch_seconds"]

    @property
    def programs(self):
        return Programs(self.facts["build"])

    @property
    def wires(self):
        return Wires(self.facts["tag"]) if self.facts["tag"] else None

    def entry(self, node):
        return self.facts["nodes"][node.number]

    def is_running(self, node):
        entry = self.entry(node)
        if node.process and node.process.pid == entry["pid"]:
            return node.process.poll() is None           # /proc calls it dead before its last thread is, and then its exit code is not known yet
        return is_running(entry)

    def is_waiting(self, node):
        """Not started yet: a scenario lets it join later."""
        return self.entry(node)["pid"] is None

    def running(self):
        return [node for node in self.nodes if self.is_running(node)]

    def death(self, node):
        """None, or how it ended without having finished."""
        if self.is_waiting(node) or self.is_running(node):
            return None
        ended, code = self.entry(node)["ended"], node.code()
        if ended:
            return ended
        if node.has_finished() and not code:
            return None
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}" if code else "ended without a summary"

    def has_crashed(self, node):
        """Died without anybody's help: not by this script, nor by a signal that a program does not raise against itself."""
        from_outside = node.code() in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
        return bool(self.death(node)) and not self.entry(node)["ended"] and not from_outside

    def epochs_left(self):
        """For a node that starts now: it acts from the next epoch on."""
        if not self.facts["epochs"]:
            return NO_END
        if not self.facts["first_epoch"]:
            return self.facts["epochs"]
        return self.facts["first_epoch"] + self.facts["epochs"] - 1 - int(time.time() // self.epoch_seconds)

    # ---- starting ----

    def start_node(self, node, hold=False):
        """False when its time is over already."""
        epochs = self.epochs_left()
        if epochs < 1:
            return False
        attack = self.entry(node).get("attack")          # a node that was added later has none
        program = [self.programs.adversary, "--attack", attack] if attack else [self.programs.daemon]
        words = program + [node.folder, "--epochs", str(epochs)] + (["--hold"] if hold else []) + (["-v"] if self.facts["verbose"] else [])
        if self.wires:
            words = ["ip", "netns", "exec", self.wires.name(node.number)] + words
        with interrupts.held():
            self.set_entry(node, **node.start(words, hold), starts=self.entry(node)["starts"] + 1)
        return True

    def lay_wires(self):
        """Their tag is in the state file by now: whatever happens, `down` finds them."""
        if self.wires:
            self.wires.lay_hub()
            for node in self.nodes:
                self.wires.lay(node.number)
            self.wires.obey(self.facts["faults"], len(self.nodes))

    def start(self, waiting=()):
        """All nodes but those that join later."""
        chosen = [node for node in self.nodes if node.number not in waiting]
        for node in chosen:
            self.start_node(node, hold=True)
        self.wait_until_ready(chosen)
        self.release(chosen)

    def wait_until_ready(self, nodes):
        limit = time.monotonic() + READY_SECONDS
        while True:
            for node in nodes:
                node.read_log()
                if node.code() is not None:
                    raise Refusal(f"{node.name} did not start:\n  " + "\n  ".join(node.last_words()), 1)
            late = [node.name for node in nodes if not node.ready]
            if not late:
                return
            if time.monotonic() > limit:
                raise Refusal(f"{len(late)} nodes were not ready after {READY_SECONDS} s, {late[0]} among them: see its log", 1)
            time.sleep(0.05)

    def release(self, nodes):
        """Lets all nodes begin within one epoch: a node acts from the epoch after the one in which it began."""
        place = time.time() % self.epoch_seconds
        if place > 0.5 * self.epoch_seconds:
            time.sleep(self.epoch_seconds - place + 0.02 * self.epoch_seconds)
        epoch = int(time.time() // self.epoch_seconds)
        self.set_facts(begin=epoch * self.epoch_seconds, first_epoch=epoch + 1)
        for node in nodes:
            node.release()

    # ---- ending ----

    def stop(self):
        """Ends what is still running: politely, then not. Also what another command had started."""
        running = self.running()
        for node in running:
            self.signal(node, signal.SIGTERM)
            self.signal(node, signal.SIGCONT)            # a paused one would never hear it
        limit = time.monotonic() + STOP_SECONDS
        while time.monotonic() < limit and any(self.is_running(node) for node in running):
            self.reap()
            time.sleep(0.05)
        for node in running:
            if self.is_running(node):
                self.set_entry(node, ended=f"killed: it did not stop within {STOP_SECONDS} s")
                self.signal(node, signal.SIGKILL)
        self.reap(wait=True)
        return len(running)

    def remove_wires(self):
        if self.wires:
            self.wires.remove()

    def reap(self, wait=False):
        """Own children leave no zombies."""
        for node in self.nodes:
            if node.process:
                try:
                    node.process.wait(5 if wait else 0)
                except subprocess.TimeoutExpired:
                    pass

    def signal(self, node, number):
        """To the very process that was started; a process whose number has gone to another one is let alone."""
        if not self.is_running(node):
            return False
        try:
            os.kill(self.entry(node)["pid"], number)
        except ProcessLookupError:
            return False
        return True
