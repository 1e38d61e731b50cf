# SPDX-License-Identifier: MIT
"""Stands by a network that runs in the foreground, from its start to its end, and lets nothing survive it."""

import time

import faults
import gather
import interrupts
import report
from live import Live, plot

SPARE_EPOCHS, SPARE_SECONDS = 10, 60
ASK_ALL_NODES_MAX = 16                       # larger networks are asked for bytes and phases every few epochs only
ASK_EVERY = 8


class Watch:
    def __init__(self, network, plan, stream, title="", is_plain=False):
        self.network = network
        self.gatherer = gather.Gatherer(network)
        self.live = Live(network, self.gatherer, stream, title, is_plain)
        self.say = self.live.say
        self.driver = faults.Driver(network, plan, network.facts["settings"]["seed"], self.say)
        self.told = set()                    # deaths that were told, by node and number of starts
        self.asked = 0

    def run(self):
        """Exit code for the network's run, and the report; the processes are gone when it returns."""
        in_time, interrupted, n_stopped = True, False, 0
        interrupts.catch()
        try:
            self.network.lay_wires()
            self.network.start(self.driver.waiting())
            in_time = self.loop()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            interrupts.ignore()
            self.last_questions()
            n_stopped = self.network.stop()
            self.network.remove_wires()
            self.network.set_facts(stopped=time.time())
        if interrupted:
            self.say(f"interrupted: stopped {n_stopped} nodes; their logs are in {self.network.folder}")
            return 1, None, None
        if not in_time:
            self.say(f"{n_stopped} nodes had not finished {SPARE_EPOCHS} epochs and {SPARE_SECONDS} s after their time: stopped")
        made, path = report.make(self.network, self.gatherer)
        self.live.tell(self.live.due(all_ended=True))
        crashed = any(self.network.has_crashed(node) for node in self.network.nodes)
        return (0 if in_time and not crashed and made["nodes"] else 1), made, path

    def loop(self):
        """Until every node has ended; False when the deadline came first."""
        network = self.network
        limit = time.monotonic() + (network.facts["epochs"] + SPARE_EPOCHS) * network.epoch_seconds + SPARE_SECONDS
        while True:
            network.refresh()
            network.reap()
            self.gatherer.read_logs()
            over = not network.running() and not any(network.epochs_left() >= 1 and self.is_expected(node) for node in network.nodes)
            due = self.live.due(all_ended=over)
            if due:
                self.ask()
                self.live.tell(due)
            self.tell_deaths()
            if over:
                return True
            if time.monotonic() > limit:
                return False
            self.driver.turn()
            time.sleep(min(0.1, network.epoch_seconds / 4))

    def is_expected(self, node):
        """Will a scenario still bring it up?"""
        return any(node.number in fault.nodes and fault.verb in ("join", "restart") for _, _, fault in self.driver.queue)

    def ask(self):
        """After an epoch. A node that ends takes what it did in its last epochs along, so near the end everybody is asked each time."""
        self.asked += 1
        is_small = len(self.network.nodes) <= ASK_ALL_NODES_MAX
        is_near_end = self.network.epochs_left() <= 2
        if is_small or is_near_end or self.asked % ASK_EVERY == 0:
            self.gatherer.ask_nodes(4 if is_small else 2 * ASK_EVERY)

    def last_questions(self):
        if self.network.facts["first_epoch"] and self.network.running():
            self.gatherer.ask_nodes()

    def tell_deaths(self):
        for node in self.network.nodes:
            key = (node.name, self.network.entry(node)["starts"])
            how = self.network.death(node)
            if how and key not in self.told and how != faults.BY_SCENARIO:
                self.told.add(key)
                self.say(f"{node.name} died: {how}")


def tell_curves(network, gatherer, say):
    """The text plot at the end of a demo."""
    first, newest = network.facts["first_epoch"], gatherer.newest()
    epochs = [[facts["own_score"] for facts in gatherer.of_epoch(epoch) if facts.get("own_score") is not None] for epoch in range(first, newest + 1)]
    means = [sum(scores) / len(scores) if scores else None for scores in epochs]
    lowest = [min(scores) if scores else None for scores in epochs]
    say(f"  {network.facts['settings']['score']} on the rows each node keeps back, by epoch: * mean, . lowest node")
    known = sorted(value for value in lowest if value is not None)
    floor = known[len(known) // 20] if known else 0          # the first epochs, in which nobody knows anything, would flatten all the rest
    lowest = [None if value is None else max(value, floor) for value in lowest]
    means = [None if value is None else max(value, floor) for value in means]
    for line in plot([lowest, means], ".*"):
        say("  " + line)

