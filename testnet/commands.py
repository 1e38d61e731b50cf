# SPDX-License-Identifier: MIT
"""Commands on a network that is there: look at it, hurt it, end it."""

import json
import os
import shutil
import sys
import time

import control
import faults
import gather
import interrupts
import isolation
import keeper
import report
import scenario
from live import number, privacy_text, size_text
from network import Network
from options import simple_options
from programs import Refusal

COLUMNS = ["NODE", "STATE", "PID", "ADDRESS", "EPOCH", "SCORE", "COHORTS", "PEERS", "SENT", "RECEIVED"]


def nodes_named(network, text):
    """ "4", "n004", "0-3", "1,5" or "all" """
    plain = ",".join(part[1:].lstrip("0") or "0" if part.startswith("n") and part[1:].isdigit() else part for part in text.split(","))
    numbers = scenario.Line([], len(network.nodes), network.epoch_seconds).nodes_in(plain)
    if numbers is None:
        raise Refusal(f"'{text}' names no node of this network: use 4, 0-3, 1,5 or all, numbered from 0 to {len(network.nodes) - 1}")
    return [network.nodes[i] for i in sorted(set(numbers))]


def nodes_for(network, name, text):
    """Those that a command is for. All of them are looked at before anything is done to the first: `all` means all that it can be done to."""
    obstacles = [(node, faults.obstacle(network, node, name)) for node in nodes_named(network, text)]
    wrong = [f"{node.name} {why}" for node, why in obstacles if why]
    if wrong and (text != "all" or len(wrong) == len(obstacles)):
        raise Refusal("; ".join(wrong[:4]) + (f"; and so on, {len(wrong)} nodes" if len(wrong) > 4 else "") + ": nothing was done")
    return [node for node, why in obstacles if not why]


def on_nodes(name, what, example, act, check=lambda network: None):
    """A command that does one thing to the nodes it names."""
    def command(words):
        arguments = simple_options(name, words, what, example, ("NODES", f"4, 0-3, 1,5 or all (those that {name} can be used on), numbered from 0"))
        network = Network(arguments.dir)
        check(network)
        for node in nodes_for(network, name, arguments.what):
            act(network, node, arguments)
            print(network.facts["deeds"][-1]["text"])
        return 0
    return command


def check_goes_on(network):
    if network.facts["stopped"]:
        raise Refusal("this network has ended: `testnet up` starts a new one")


def restart_node(network, node, arguments):
    if not faults.restart(network, node, arguments.state):
        raise Refusal(f"the network's epochs are over: {node.name} would have nothing to do")


kill = on_nodes("kill", "Ends nodes as a power failure would: kill -9.", "testnet/testnet kill 3", lambda network, node, _: faults.kill(network, node))
pause = on_nodes("pause", "Stops nodes where they are (SIGSTOP), until `resume`.", "testnet/testnet pause 2,5",
                 lambda network, node, _: faults.pause(network, node))
resume = on_nodes("resume", "Lets paused nodes go on.", "testnet/testnet resume all", lambda network, node, _: faults.resume(network, node))
restart = on_nodes("restart", "Brings dead nodes back, with the state on their disk.", "testnet/testnet restart 3", restart_node, check_goes_on)


def partition(words):
    arguments = simple_options("partition", words, "Cuts the wires between groups of nodes, until `heal`. Needs a network that was started with --netns.",
                               "testnet/testnet partition 0-3/4-7", ("GROUPS", "groups such as 0-3/4-7, or a share such as 0.5"))
    network = Network(arguments.dir)
    try:
        groups = scenario.Line([arguments.what], len(network.nodes), network.epoch_seconds).take_groups()
    except scenario.Misfit as misfit:
        raise Refusal(f"partition {arguments.what}: wanted: {misfit.wanted} (nodes 0 .. {len(network.nodes) - 1})") from misfit
    faults.partition(network, groups)
    print(network.facts["deeds"][-1]["text"])
    return 0


def heal(words):
    network = Network(simple_options("heal", words, "Joins all wires again.", "testnet/testnet heal").dir)
    faults.heal(network)
    print("healed")
    return 0


# ---- looking ----

def state_of(network, node):
    if network.is_waiting(node):
        return "waiting"
    if network.is_running(node):
        return "paused" if network.entry(node)["paused"] else "running"
    return network.death(node) or "ended"


def facts_of(network, node, gatherer, answer):
    """One row of `status`: from the node itself, else from its log."""
    entry, first = network.entry(node), network.facts["first_epoch"]
    epochs = gatherer.of(node)
    last = epochs[max(epochs)] if epochs else {}
    row = {"node": node.name, "state": state_of(network, node), "pid": entry["pid"] if network.is_running(node) else None, "address": entry["address"],
           "epoch": max(epochs) - first + 1 if epochs and first else None, "score": last.get("own_score"),
           "with_aggregate": sum(facts.get("aggregate", False) for facts in epochs.values()), "epochs": len(epochs), "peers": last.get("peers"),
           "bytes_sent": None, "bytes_received": None, "health": node.alarm if node.alarm and node.alarm_epoch == node.newest else None}
    if answer:
        row.update(peers=answer["peers"]["live"], bytes_sent=answer["traffic"]["bytes_sent"], bytes_received=answer["traffic"]["bytes_received"],
                   health=answer["health"]["reason"])
    return row


def rows_of(network):
    gatherer = gather.Gatherer(network)
    gatherer.read_logs()
    folders = [node.folder if network.is_running(node) and not network.entry(node)["paused"] else None for node in network.nodes]
    answers = control.ask_all(folders, "status")
    return [facts_of(network, node, gatherer, answer) for node, answer in zip(network.nodes, answers)]


def cells_of(row):
    sizes = [size_text(row[key]) if row[key] is not None else "-" for key in ("bytes_sent", "bytes_received")]
    return [row["node"], row["state"], row["pid"] or "-", row["address"], row["epoch"] or "-", number(row["score"], 3),
            f"{row['with_aggregate']}/{row['epochs']}", "-" if row["peers"] is None else row["peers"], *sizes]


def status(words):
    arguments = simple_options("status", words, "A line per node: is it alive, what has it learned, whom does it see?", "testnet/testnet status")
    network = Network(arguments.dir)
    rows = rows_of(network)
    cut = "" if network.facts["stopped"] else isolation.describe(network.facts["faults"])
    if arguments.json:
        print(json.dumps({"schema_version": 1, "status": "ok", "data": {"nodes": rows, "faults": cut}}, indent=1))
        return 0
    settings = network.facts["settings"]
    print(f"{network.folder}: {len(network.running())} of {len(network.nodes)} nodes run, {settings['model']} on {settings['data']}, {settings['split']}")
    print(privacy_text(settings))
    if cut:
        print(f"in force: {cut}")
    print()
    table = [COLUMNS] + [[str(cell) for cell in cells_of(row)] for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    tell_health(rows)
    return 0


def tell_health(rows):
    """What is wrong, and with whom: the same trouble of many nodes is one line."""
    ill = {}
    for number, row in enumerate(rows):
        if row["health"]:
            ill.setdefault(row["health"], []).append(number)
    for reason, numbers in ill.items():
        many = "all nodes" if len(numbers) == len(rows) else f"nodes {isolation.spans(numbers)}"
        print(f"{rows[numbers[0]]['node'] if len(numbers) == 1 else many}: {reason}")


def logs(words):
    arguments = simple_options("logs", words, "The log of a node.", "testnet/testnet logs 3 --follow", ("NODE", "its number, from 0"))
    node = nodes_named(Network(arguments.dir), arguments.what)[0]
    for line in node.last_words(arguments.lines):
        print(line)
    if not arguments.follow:
        return 0
    sys.stdout.flush()
    try:
        with open(node.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(0, os.SEEK_END)
            while True:
                print(log.read(), end="", flush=True)
                time.sleep(0.2)
    except KeyboardInterrupt:
        return 0


def make_report(words):
    arguments = simple_options("report", words, "Writes report.json and report.html of what has happened so far.", "testnet/testnet report")
    network = Network(arguments.dir)
    gatherer = gather.Gatherer(network)
    gatherer.ask_nodes()
    made, path = report.make(network, gatherer)
    if arguments.json:
        print(json.dumps(made, indent=1))
        return 0
    if made.get("running"):
        print("the score on the test data is measured when the nodes end")
    report.tell(network, made, path, print)
    return 0


# ---- ending ----

def down(words):
    what = "Ends the nodes that `up` or `run` started, and nothing else; writes the report."
    network = Network(simple_options("down", words, what, "testnet/testnet down").dir)
    interrupts.ignore()
    keeper.end(network)
    gatherer = gather.Gatherer(network)
    gatherer.ask_nodes()
    n_stopped = network.stop()
    network.remove_wires()
    if not network.facts["stopped"]:
        network.set_facts(stopped=time.time())
    print(f"stopped {n_stopped} nodes")
    if any(node.has_finished() for node in network.nodes):
        report.tell(network, *report.make(network, gatherer), print)
    return 0


def clean(words):
    network = Network(simple_options("clean", words, "Removes the folder of a network that has ended.", "testnet/testnet clean").dir)
    if network.running():
        raise Refusal(f"{len(network.running())} nodes run in {network.folder}: `testnet down --dir {network.folder}` ends them first")
    network.remove_wires()
    shutil.rmtree(network.folder)
    print(f"removed {network.folder}")
    return 0
