# SPDX-License-Identifier: MIT
"""
A network namespace per node, joined by a bridge in a namespace of its own: a wire that can be cut without touching the machine's network. Nothing is
ever put into the machine's own namespace. Needs root, `ip` and `nft`; a delay needs the kernel's netem as well.
"""

import os
import re
import secrets
import shutil
import subprocess

from programs import Refusal

PREFIX = "starling-"
NODES_MAX = 250
TABLE = "inet testnet"


def new_tag():
    """What the names of one network's namespaces begin with."""
    return PREFIX + secrets.token_hex(4)


def attempt(*words, given=None):
    """None, or why it failed."""
    try:
        done = subprocess.run(words, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stdout.strip() or f"{words[0]} ended with {done.returncode}")


def why_not():
    """None where namespaces can be had, else the reason in words."""
    if os.geteuid() != 0:
        return "it needs network namespaces, and only root may make them"
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if not shutil.which(program):
            return f"it needs the program {program}: install Debian's package {package}"
    trial = new_tag() + "-try"
    reason = attempt("ip", "netns", "add", trial)
    if reason:
        return f"this machine makes no network namespaces ({reason})"
    try:
        reason = attempt("ip", "netns", "exec", trial, "nft", "-f", "-", given=rules_for(0, {"loss": 0.5}, 1))
        return f"nft makes no rules in a network namespace here ({reason})" if reason else None
    finally:
        attempt("ip", "netns", "del", trial)


def why_no_delay():
    """None where the kernel has netem; only asked where namespaces can be had."""
    trial = new_tag() + "-try"
    reason = attempt("ip", "netns", "add", trial)
    if not reason:
        reason = attempt("tc", "-n", trial, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
        attempt("ip", "netns", "del", trial)
    return f"a delay needs the kernel's sch_netem, which this machine lacks ({reason})" if reason else None


def must(*words, given=None):
    reason = attempt(*words, given=given)
    if reason:
        raise Refusal(f"`{' '.join(words)}` failed: {reason}", 1)


class Wires:
    """The namespaces of one network; `tag` is in the state file before the first of them is made."""

    def __init__(self, tag):
        self.tag, self.hub = tag, f"{tag}-hub"

    def name(self, node):
        return f"{self.tag}-n{node:03d}"

    @staticmethod
    def address(node):
        return f"10.97.0.{node + 1}"

    def lay_hub(self):
        must("ip", "netns", "add", self.hub)
        must("ip", "-n", self.hub, "link", "add", "hub", "type", "bridge")
        must("ip", "-n", self.hub, "link", "set", "hub", "up")

    def lay(self, node):
        name, port = self.name(node), f"n{node:03d}"
        must("ip", "netns", "add", name)
        must("ip", "-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        must("ip", "-n", self.hub, "link", "set", port, "master", "hub", "up")
        must("ip", "-n", name, "address", "add", f"{self.address(node)}/16", "dev", "eth0")
        must("ip", "-n", name, "link", "set", "eth0", "up")
        must("ip", "-n", name, "link", "set", "lo", "up")

    def remove(self):
        """Everything that carries the tag, also what a half-finished start has left."""
        try:
            listed = subprocess.run(["ip", "netns", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        except OSError:
            return
        for name in re.findall(r"^(\S+)", listed, re.MULTILINE):
            if name.startswith(self.tag + "-"):
                attempt("ip", "netns", "del", name)

    def obey(self, faults, n_nodes):
        """Makes the wires as `faults` says: {"groups": [...], "one_way": [[from, to]], "loss": share, "delay": seconds}."""
        for node in range(n_nodes):
            must("ip", "netns", "exec", self.name(node), "nft", "-f", "-", given=rules_for(node, faults, n_nodes))
            self.delay(node, faults.get("delay", 0))

    def delay(self, node, seconds):
        where = ["tc", "-n", self.hub, "qdisc"]
        port = ["dev", f"n{node:03d}", "root"]
        if seconds > 0:
            must(*where, "replace", *port, "netem", "limit", "10000", "delay", f"{round(seconds * 1e6)}us")
        elif "netem" in subprocess.run([*where, "show", "dev", port[1]], stdout=subprocess.PIPE, text=True, check=False).stdout:
            must(*where, "del", *port)


def rules_for(node, faults, n_nodes):
    """What reaches a node: nothing from beyond a cut, and all but a share of the rest. Replaced as a whole, so that no packet sees half of it."""
    groups = (faults.get("groups") or [])[:n_nodes]
    groups += [0] * (n_nodes - len(groups))              # who came later is on the first side
    blocked = [i for i in range(n_nodes) if groups[i] != groups[node]]
    blocked += [source for source, target in faults.get("one_way", []) if target == node and source not in blocked]
    rules = [f"ip saddr {{ {', '.join(map(Wires.address, blocked))} }} drop"] if blocked else []
    loss = round(faults.get("loss", 0) * 10000)
    if loss:
        rules.append(f"iifname eth0 numgen random mod 10000 < {loss} drop")
    chain = "\n".join(["type filter hook input priority 0; policy accept;", *rules])
    return f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\nchain input {{\n{chain}\n}}\n}}\n"


def describe(faults):
    """The cuts in force, in words; empty when there are none."""
    words = []
    groups = faults.get("groups")
    if groups and len(set(groups)) > 1:
        words.append("partition " + " | ".join(spans([i for i, group in enumerate(groups) if group == number]) for number in sorted(set(groups))))
    words += [f"nothing from {source} reaches {target}" for source, target in faults.get("one_way", [])]
    if faults.get("loss"):
        words.append(f"{faults['loss']:.3g} of the packets lost")
    if faults.get("delay"):
        words.append(f"{faults['delay'] * 1000:.4g} ms delay")
    return ", ".join(words)


def spans(numbers):
    """0-3,7"""
    parts, first = [], None
    for i, number in enumerate(numbers):
        first = number if first is None else first
        if i + 1 == len(numbers) or numbers[i + 1] != number + 1:
            parts.append(str(first) if first == number else f"{first}-{number}")
            first = None
    return ",".join(parts)
