# SPDX-License-Identifier: MIT
"""Carries the scenario of a network out that runs in the background: a process of its own, started by `up` and ended by `down`."""

import os
import signal
import subprocess
import sys
import time

import faults
import gather
import options
from network import Network
from state import boot_id, is_running, start_time

SAVE_EPOCHS = 8


def begin(network):
    """Starts it; its entry stands in the state file like those of the nodes."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testnet.py")
    with open(os.path.join(network.folder, "keeper.log"), "ab") as log:
        process = subprocess.Popen([sys.executable, "-B", script, "keep", network.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    network.set_facts(keeper={"pid": process.pid, "started": start_time(process.pid), "boot": boot_id()})


def end(network):
    """Before the nodes are ended: it would bring them back."""
    entry = network.facts.get("keeper")
    if not entry or not is_running(entry):
        return
    os.kill(entry["pid"], signal.SIGTERM)
    limit = time.monotonic() + 5
    while is_running(entry) and time.monotonic() < limit:
        time.sleep(0.02)
    if is_running(entry):
        os.kill(entry["pid"], signal.SIGKILL)


def say(text=""):
    print(text, flush=True)


def keep(words):
    """The process itself. SIGTERM ends it between two deeds."""
    network, told = Network(words[0]), []
    signal.signal(signal.SIGTERM, lambda _number, _frame: told.append(True))
    plan = options.plan_from(network.facts["settings"], len(network.nodes), network.facts["epochs"], network.epoch_seconds)
    driver, gatherer = faults.Driver(network, plan, network.facts["settings"]["seed"], say), gather.Gatherer(network)
    saved = 0
    while not told and not network.facts["stopped"] and (driver.queue or network.running()):
        network.refresh()
        network.reap()
        driver.turn()
        gatherer.read_logs()
        if gatherer.newest() >= saved + SAVE_EPOCHS:
            gatherer.ask_nodes(2 * SAVE_EPOCHS)
            gatherer.save()
            saved = gatherer.newest()
        time.sleep(min(0.1, network.epoch_seconds / 4))
    gatherer.save()
    return 0
