# SPDX-License-Identifier: MIT
"""What each node did in each epoch: from its log, and with bytes and phases from its control socket while it lives."""

import json
import os
import re
import time

import control
from state import write_atomically

OWN_SCORE = re.compile(r"own (accuracy|rmse) ([0-9.e+-]+)")
TRAINED = re.compile(r"^trained (\d+) steps")
AGGREGATE = re.compile(r", aggregate of (\d+) members")
MERGED = re.compile(r", merged (\d+) aggregate")
MERGED_MEMBERS = re.compile(r", merged \d+ aggregates? of (\d+) members")
PEERS = re.compile(r"(\d+) peers? reachable")
FIELDS = ["own_score", "steps", "cohort", "aggregate", "void", "merged", "merged_members", "peers", "bytes_sent", "bytes_received", "cpu_ms", "seconds",
          "roster", "lost"]
EPOCHS_KEPT = 256                            # that many a node remembers


def number_in(pattern, line, kind=int):
    match = pattern.search(line)
    return kind(match.group(match.lastindex)) if match else None


def from_line(line):
    """The facts of one epoch in a line of the log; what it does not tell is missing."""
    cohort = number_in(AGGREGATE, line)
    return {"own_score": number_in(OWN_SCORE, line, float), "steps": number_in(TRAINED, line) or 0, "cohort": cohort, "aggregate": cohort is not None,
            "void": ", cohort void" in line, "merged": number_in(MERGED, line) or 0,
            "merged_members": number_in(MERGED_MEMBERS, line) or 0, "peers": number_in(PEERS, line)}


def from_answer(epoch):
    """The same from the control socket's answer."""
    facts = {key: epoch.get(key) for key in FIELDS if epoch.get(key) is not None}
    for key in ("aggregate", "void"):
        facts[key] = bool(epoch.get(key))
    facts["merged"] = int(epoch.get("merged") or 0)
    return facts


class Gatherer:
    """Per node: epoch -> facts. Kept in DIR/epochs.json, since a node forgets them when it ends."""

    def __init__(self, network):
        self.network, self.path = network, os.path.join(network.folder, "epochs.json")
        self.series = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.series = {name: {int(epoch): facts for epoch, facts in epochs.items()} for name, epochs in json.load(file).items()}

    def of(self, node):
        return self.series.setdefault(node.name, {})

    def read_logs(self):
        """Cheap: what the logs have said since last time."""
        for node in self.network.nodes:
            node.read_log()
            for epoch, line in node.fresh:
                self.of(node).setdefault(epoch, {}).update(from_line(line))
            node.fresh.clear()

    def ask_nodes(self, count=EPOCHS_KEPT):
        """What only the living can tell, of epochs that are over. A paused node would not answer."""
        first, now = self.network.facts["first_epoch"] or 0, int(time.time() // self.network.epoch_seconds)
        asked = [node for node in self.network.running() if not self.network.entry(node)["paused"]]
        for node, data in zip(asked, control.ask_all([node.folder for node in asked], "epochs", n=count)):
            for epoch in (data or {}).get("epochs", []):
                number = epoch.get("epoch")
                if isinstance(number, int) and first <= number < now:
                    known = self.of(node).get(number, {})
                    told = {key: value for key, value in known.items() if value is not None}
                    self.of(node)[number] = dict(from_answer(epoch), **told)

    def save(self):
        write_atomically(self.path, json.dumps(self.series) + "\n")

    def of_epoch(self, epoch):
        return [epochs[epoch] for epochs in self.series.values() if epoch in epochs]

    def newest(self):
        return max((max(epochs) for epochs in self.series.values() if epochs), default=0)
