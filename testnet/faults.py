# SPDX-License-Identifier: MIT
"""What can be done to a running network: by a command, or by a line of a scenario."""

import heapq
import os
import random
import shutil
import signal
import time

import isolation
from programs import Refusal
from scenario import Fault

NO_WIRES = "this network runs on loopback, where nothing can be cut: start it with --netns"
BY_SCENARIO = "crashed by the scenario"


def obstacle(network, node, name):
    """Why a command cannot be used on a node, or None."""
    is_running, is_paused = network.is_running(node), network.entry(node)["paused"]
    if name == "restart":
        return "is running" if is_running else None
    if not is_running:
        return "is not running"
    if name == "pause":
        return "is paused already" if is_paused else None
    return "is not paused" if name == "resume" and not is_paused else None


def refuse_obstacle(network, node, name):
    why = obstacle(network, node, name)
    if why:
        raise Refusal(f"{node.name} {why}")


def kill(network, node, how="killed by testnet"):
    refuse_obstacle(network, node, "kill")
    network.set_entry(node, ended=how)
    network.signal(node, signal.SIGKILL)
    if node.process:
        node.process.wait()
    while network.is_running(node):
        time.sleep(0.01)
    network.note(f"{node.name} killed")


def put_state(node, kind):
    """What a node finds on its disk when it comes back: all of it, the state before the last one, or nothing but its identity."""
    state = os.path.join(node.folder, "state")
    if kind == "old" and os.path.exists(state + ".bak"):
        shutil.copyfile(state + ".bak", state)
    if kind == "no":
        for path in (state, state + ".bak"):
            if os.path.exists(path):
                os.remove(path)


def restart(network, node, kind="current"):
    """Brings a dead node back; False when its time is over."""
    refuse_obstacle(network, node, "restart")
    put_state(node, kind)
    if not network.start_node(node):
        return False
    network.note(f"{node.name} back" + ("" if kind == "current" else f" with {kind} state"))
    return True


def join(network, node):
    if network.is_running(node) or not network.start_node(node):
        return False
    network.note(f"{node.name} joins")
    return True


def pause(network, node):
    refuse_obstacle(network, node, "pause")
    if not network.signal(node, signal.SIGSTOP):
        raise Refusal(f"{node.name} is not running")
    network.set_entry(node, paused=True)
    network.note(f"{node.name} paused")


def resume(network, node):
    refuse_obstacle(network, node, "resume")
    network.set_entry(node, paused=False)
    if not network.signal(node, signal.SIGCONT):
        raise Refusal(f"{node.name} is not running")
    network.note(f"{node.name} resumed")


def set_wires(network, note, **changes):
    """Changes what the wires do and keeps the rest as it is."""
    if not network.wires:
        raise Refusal(NO_WIRES)
    faults = dict(network.facts["faults"], **changes)
    network.set_facts(faults=faults)
    network.wires.obey(faults, len(network.nodes))
    network.note(note)


def partition(network, groups):
    words = isolation.describe({"groups": groups}) or "no partition: all nodes are in one group"
    set_wires(network, words, groups=list(groups))


def heal(network):
    set_wires(network, "healed", groups=None, one_way=[])


def one_way(network, pair):
    set_wires(network, f"nothing from {pair[0]} reaches {pair[1]}", one_way=network.facts["faults"].get("one_way", []) + [list(pair)])


class Driver:
    """Carries a scenario out: call turn() often. What it does is drawn from the seed and told through `say`."""

    def __init__(self, network, faults, seed, say):
        self.network, self.say = network, say
        self.draw = random.Random(f"churn {seed}")
        self.churn = 0.0
        self.is_churning = False
        self.queue, self.count = [], 0
        for fault in faults:
            self.push(fault)

    def push(self, fault):
        """Faults of one moment keep their order."""
        heapq.heappush(self.queue, (fault.at, self.count, fault))
        self.count += 1

    def waiting(self):
        """Nodes that start only when they join."""
        return {node for _, _, fault in self.queue if fault.verb == "join" for node in fault.nodes}

    def turn(self):
        now = time.time() - self.network.facts["begin"]
        while self.queue and self.queue[0][0] <= now:
            fault = heapq.heappop(self.queue)[2]
            self.carry_out(fault)

    def carry_out(self, fault):
        verb, nodes = fault.verb, [self.network.nodes[number] for number in fault.nodes]
        if verb in ("crash", "restart", "join"):
            for node in nodes:
                self.touch(fault, node)
        elif verb == "partition":
            partition(self.network, fault.groups)
        elif verb == "one-way":
            one_way(self.network, fault.pair)
        elif verb == "heal":
            heal(self.network)
        elif verb == "loss":
            set_wires(self.network, f"{fault.value:.3g} of the packets lost", loss=fault.value)
        elif verb == "delay":
            set_wires(self.network, f"{fault.value * 1000:.4g} ms delay", delay=fault.value)
        elif verb == "churn":
            self.set_churn(fault)
        elif verb == "churn-epoch":
            self.fell_some(fault.at)
        elif verb == "calm":
            self.calm()
        if verb in ("partition", "one-way", "heal", "loss", "delay", "calm"):
            self.say(f"scenario: {self.network.facts['deeds'][-1]['text']}")

    def touch(self, fault, node):
        if fault.verb == "crash":
            if not self.network.is_running(node):
                return
            kill(self.network, node, BY_SCENARIO)
            if fault.value > 0:
                self.push(Fault(fault.at + fault.value, "restart", fault.line, nodes=[node.number], state=fault.state))
        elif self.network.is_running(node):
            return
        elif not (join(self.network, node) if fault.verb == "join" else restart(self.network, node, fault.state)):
            return
        self.say(f"scenario: {self.network.facts['deeds'][-1]['text']}")

    def set_churn(self, fault):
        self.churn = fault.value
        if self.churn > 0 and not self.is_churning:
            self.is_churning = True
            self.push(Fault(fault.at, "churn-epoch", fault.line))

    def fell_some(self, at):
        """Each running node falls with the probability of the churn at some moment of the coming epoch and returns at most an epoch later."""
        epoch = self.network.epoch_seconds
        self.is_churning = self.churn > 0
        if not self.is_churning:
            return
        for node in self.network.nodes:
            is_chosen, falls, stays = self.draw.random() < self.churn, self.draw.random() * epoch, self.draw.random() * epoch
            if is_chosen and self.network.is_running(node):
                self.push(Fault(at + falls, "crash", 0, nodes=[node.number], value=stays + 0.001))
        self.push(Fault(at + epoch, "churn-epoch", 0))

    def calm(self):
        self.churn = 0.0
        if self.network.wires:
            set_wires(self.network, "calm", groups=None, one_way=[], loss=0, delay=0)
        else:
            self.network.note("calm")
