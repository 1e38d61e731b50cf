# SPDX-License-Identifier: MIT
"""Scenario files, in the language of `starling-sim run --scenario`: what goes wrong and when, as far as real processes can have it."""

import random
import re

from programs import Refusal

FILE_SIZE_MAX = 1 << 20
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
TIME = re.compile(r"^(\d+\.?\d*|\.\d+)(us|ms|s|m|h|e)$")
NUMBER = re.compile(r"^(\d+\.?\d*|\.\d+)$")
STATES = ("current", "old", "torn", "no")
VERBS = ("partition", "one-way", "heal", "join", "crash", "crash-at", "restart", "loss", "duplicate", "reorder", "store-fail", "delay", "slow", "clock",
         "churn", "calm")
NEED_NETWORK = ("partition", "one-way", "loss", "delay")
IMPOSSIBLE = {
    "duplicate": "TCP hands over every byte once, so a node never sees a packet twice",
    "reorder": "TCP hands over bytes in order, so a node never sees the order of packets",
    "store-fail": "a disk that fails on demand is only there in the simulator",
    "crash-at": "a real process cannot be stopped at a point of a round; crash it at a time instead",
    "slow": "the training of one process cannot be slowed down by a factor; pause it instead",
    "clock": "all processes share this machine's clock",
}


class Fault:
    """One line: `at` seconds after the beginning, a verb, and what the verb needs."""

    def __init__(self, at, verb, line, **arguments):
        self.at, self.verb, self.line = at, verb, line
        self.nodes = arguments.get("nodes", ())         # numbers of nodes
        self.groups = arguments.get("groups", ())       # partition: the group of each node
        self.value = arguments.get("value", 0.0)        # a share; delay and crash: seconds
        self.state = arguments.get("state", "current")
        self.pair = arguments.get("pair", ())           # one-way: from, to


class Misfit(Exception):
    """A word that does not fit, and what would."""

    def __init__(self, word, wanted):
        super().__init__(wanted)
        self.word, self.wanted = word or "", wanted


class Line:
    """The words of one line, taken one after another."""

    def __init__(self, words, n_nodes, epoch_seconds):
        self.words, self.n_nodes, self.epoch_seconds = words, n_nodes, epoch_seconds

    def next(self):
        return self.words.pop(0) if self.words else None

    def take_time(self):
        word = self.next()
        match = TIME.match(word or "")
        if not match:
            raise Misfit(word, "a time such as 90s, 500ms, 5m or 3e (epochs)")
        return float(match.group(1)) * (self.epoch_seconds if match.group(2) == "e" else UNITS[match.group(2)])

    def take_share(self, wanted="a share from 0 to 1, such as 0.02"):
        word = self.next()
        if not NUMBER.match(word or "") or float(word) > 1:
            raise Misfit(word, wanted)
        return float(word)

    def nodes_in(self, text):
        """The numbers in "4", "0-3", "1,5,7-9" or "all"; None if it is nothing of the kind."""
        if text == "all":
            return list(range(self.n_nodes))
        nodes = []
        for part in text.split(","):
            match = re.match(r"^(\d{1,9})(?:-(\d{1,9}))?$", part)
            if not match:
                return None
            first, last = int(match.group(1)), int(match.group(2) or match.group(1))
            if last < first or last >= self.n_nodes:
                return None
            nodes += range(first, last + 1)
        return nodes

    def take_nodes(self):
        word = self.next()
        nodes = self.nodes_in(word or "")
        if nodes is None:
            raise Misfit(word, "nodes such as 4, 0-3, 1,5,7-9 or all, numbered from 0")
        return sorted(set(nodes))

    def take_groups(self):
        wanted = "a share such as 0.5, or groups of nodes such as 0-3/4-7, no node in two of them"
        word = self.next()
        if "/" not in (word or ""):
            self.words.insert(0, word or "")
            share = self.take_share(wanted)
            return [int(i >= share * self.n_nodes) for i in range(self.n_nodes)]
        groups = [None] * self.n_nodes
        for number, part in enumerate(word.split("/")):
            nodes = self.nodes_in(part)
            if nodes is None:
                raise Misfit(word, wanted)
            for node in nodes:
                if groups[node] not in (None, number):
                    raise Misfit(word, wanted)
                groups[node] = number
        return [group or 0 for group in groups]

    def take_pair(self):
        pair = []
        for _ in range(2):
            word = self.next()
            if not re.match(r"^\d{1,9}$", word or "") or int(word) >= self.n_nodes:
                raise Misfit(word, "two nodes, numbered from 0, such as: one-way 2 5")
            pair.append(int(word))
        return tuple(pair)

    def take_state(self):
        kind, word = self.next(), self.next()
        if kind not in STATES or word != "state":
            raise Misfit(kind, "with current state, with old state, with torn state or with no state")
        return kind

    def take_crash(self, may_last):
        arguments = {"nodes": self.take_nodes()}
        while self.words:
            word = self.next()
            if may_last and word == "for":
                arguments["value"] = self.take_time()
            elif word == "with":
                arguments["state"] = self.take_state()
            else:
                raise Misfit(word, "for TIME, or with ... state" if may_last else "with ... state")
        return arguments

    def take_rest_of_impossible(self, verb):
        """These are refused later, with a better reason than how they are written."""
        self.words.clear()
        return {} if verb in IMPOSSIBLE else None

    def take_arguments(self, verb):
        if verb == "partition":
            return {"groups": self.take_groups()}
        if verb == "one-way":
            return {"pair": self.take_pair()}
        if verb == "join":
            return {"nodes": self.take_nodes()}
        if verb in ("crash", "restart"):
            return self.take_crash(verb == "crash")
        if verb in ("loss", "churn"):
            return {"value": self.take_share()}
        if verb == "delay":
            return {"value": self.take_time()}
        if verb in IMPOSSIBLE:
            return self.take_rest_of_impossible(verb)
        return {}

    def take_fault(self, number):
        word = self.next()
        if word != "at":
            raise Misfit(word, "a line such as: at 120s partition 0.5")
        at, verb = self.take_time(), self.next()
        if verb not in VERBS:
            raise Misfit(verb, ", ".join(VERBS[:-1]) + f" or {VERBS[-1]}")
        fault = Fault(at, verb, number, **self.take_arguments(verb))
        if self.words:
            raise Misfit(self.words[0], "the end of the line")
        return fault


def parse(text, name, n_nodes, epoch_seconds):
    """The faults in the order of time, lines of equal time in the order of the file."""
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            faults.append(Line(words, n_nodes, epoch_seconds).take_fault(number))
        except Misfit as misfit:
            raise Refusal(f"{name}:{number}: '{misfit.word[:60]}' does not fit here; wanted: {misfit.wanted} (nodes 0 .. {n_nodes - 1})") from misfit
    return sorted(faults, key=lambda fault: fault.at)


def read(path, n_nodes, epoch_seconds):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(FILE_SIZE_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"cannot read the scenario {path} ({error}); give a text file with lines such as: at 120s partition 0.5") from error
    if len(text) == FILE_SIZE_MAX or "\0" in text:
        raise Refusal(f"cannot read the scenario {path}; it must be a text file of less than 1 MiB")
    return parse(text, path, n_nodes, epoch_seconds)


def refuse_impossible(faults, name):
    """Before anything is started: what only the simulator can do."""
    for fault in faults:
        if fault.verb in IMPOSSIBLE:
            raise Refusal(f"{name}:{fault.line}: {fault.verb} cannot be had with real processes: {IMPOSSIBLE[fault.verb]}. "
                          f"`starling-sim run --scenario {name}` can")
        if fault.state == "torn":
            raise Refusal(f"{name}:{fault.line}: a torn state cannot be had with real processes: a node replaces its state whole or not at all. "
                          f"`starling-sim run --scenario {name}` can")


def first_of(faults, verbs):
    return next((fault for fault in faults if fault.verb in verbs), None)


def kills(every_seconds, n_nodes, seconds, epoch_seconds, seed):
    """--kill-every: a node drawn by the seed is killed each time, and back after an epoch."""
    draw = random.Random(f"kill-every {seed}")
    faults, at = [], every_seconds
    while at < seconds:
        faults.append(Fault(at, "crash", 0, nodes=[draw.randrange(n_nodes)], value=epoch_seconds))
        at += every_seconds
    return faults
