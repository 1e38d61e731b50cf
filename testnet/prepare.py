# SPDX-License-Identifier: MIT
"""From data to a folder of nodes that wait to be started."""

import collections
import os
import re
import time

from isolation import Wires
from programs import Refusal, call, install

CLASSES_MAX = 32                             # more are not counted: nobody reads such a mix
PORT = 7400                                  # in namespaces, where every node has an address of its own
LISTEN = re.compile(r'^\s*listen\s*=\s*"([^"]+)"', re.MULTILINE)


def test_part(arguments, parts):
    """The public test data, its label column, and how to split it off: as given, the test part of a set that has one, or rows that are kept back."""
    if arguments.test:
        return arguments.test, arguments.label, []
    if arguments.data == "fashion-mnist" or os.path.isdir(arguments.data):
        return arguments.data.rstrip("/") + ":test", "last", []
    test = os.path.join(parts, "test.csv")
    return test, "last", ["--keep-test", test]


def is_regression(arguments):
    return arguments.model.startswith("ridge")


def prepare(arguments, programs, say):
    """Deals the data out and makes the nodes' folders; what each node got."""
    if arguments.data == "fashion-mnist" and not os.path.isdir(arguments.data):
        install("dataset-fashion-mnist")
    parts = os.path.join(arguments.dir, "data")
    os.makedirs(arguments.dir, exist_ok=True)
    task = "regress" if is_regression(arguments) else "classify"
    impute = ["--impute", arguments.impute] if arguments.impute else []
    test, label, keep = test_part(arguments, parts)
    call([programs.simulator, "split", "--data", arguments.data, "--out", parts, "--nodes", str(arguments.nodes), "--split", arguments.split,
          "--seed", str(arguments.seed), "--label", arguments.label, "--task", task] + impute + keep, "starling-sim split")
    if keep:
        say("no --test: a fifth of the rows, drawn by the seed, is kept back as the common test set")

    settings = ([f"merge.rule={arguments.aggregator}"] if arguments.aggregator else []) + list(arguments.set)
    settings += [f"data.impute={arguments.impute}"] if arguments.impute else []
    command = [programs.simulator, "prepare", "--nodes", str(arguments.nodes), "--data-dir", parts, "--test", test,
               "--label", label, "--model", arguments.model, "--seed", str(arguments.seed), "--dir", arguments.dir,
               "--base-port", "0", "--epoch-length", arguments.epoch_length, "--scale", arguments.scale]
    for setting in settings:
        command += ["--set", setting]
    say(call(command, "starling-sim prepare").strip())
    return [count(os.path.join(parts, f"node-{number:03d}.csv"), task == "classify") for number in range(arguments.nodes)]


def privacy_of(arguments):
    """What the options say of it; a testnet protects nobody unless it is told to."""
    options = dict(setting.split("=", 1) for setting in arguments.set)
    privacy = {"unit": options.get("privacy.unit", "off")}
    if privacy["unit"] != "off":
        privacy.update(eps_max=options.get("privacy.eps_max", "8"), delta=options.get("privacy.delta", "1e-5"))
    return privacy


def count(path, classify):
    """Rows of one node, and how many of each class: the label is the last column."""
    classes, n_rows = collections.Counter(), 0
    with open(path, "rb") as file:
        next(file, None)
        for line in file:
            n_rows += 1
            if classify:
                classes[line.rsplit(b",", 1)[-1].strip()] += 1
    few = classify and len(classes) <= CLASSES_MAX
    return {"rows": n_rows, "classes": {name.decode(errors="replace"): classes[name] for name in sorted(classes)} if few else None}


def first_facts(arguments, words, programs, data, tag):
    """What the state file begins with."""
    nodes = [{"name": f"n{number:03d}", "address": listen_of(os.path.join(arguments.dir, f"n{number:03d}")), "pid": None, "started": None, "boot": "",
              "paused": False, "ended": None, "starts": 0, "data": data[number], "attack": arguments.liars.get(number)} for number in range(arguments.nodes)]
    return {"command": words, "made": int(time.time()), "stopped": None, "build": programs.folder, "verbose": bool(arguments.verbose),
            "epoch_seconds": arguments.epoch_seconds, "epochs": arguments.epochs or 0, "begin": 0, "first_epoch": 0, "tag": tag, "faults": {},
            "deeds": [], "nodes": nodes, "started_s": time.time(),
            "settings": {"data": arguments.data, "split": arguments.split, "model": arguments.model, "scale": arguments.scale,
                         "aggregator": arguments.aggregator or "mean", "epoch_length": arguments.epoch_length, "seed": arguments.seed,
                         "set": list(arguments.set), "privacy": privacy_of(arguments), "test": arguments.test, "scenario": arguments.scenario, "kill_every": arguments.kill_every,
                         "drop": arguments.drop, "delay": arguments.delay, "attack": list(arguments.attack), "score": "rmse" if is_regression(arguments) else "accuracy"}}


def listen_of(folder):
    with open(os.path.join(folder, "node.conf"), encoding="utf-8") as file:
        match = LISTEN.search(file.read())
    if not match:
        raise Refusal(f"{folder}/node.conf names no address to listen at", 1)
    return match.group(1)


def move_to_wires(folder, n_nodes):
    """A prepared network listens on loopback: gives each node the address of its namespace instead, everywhere."""
    addresses = {listen_of(os.path.join(folder, f"n{i:03d}")): f"{Wires.address(i)}:{PORT}" for i in range(n_nodes)}
    pattern = re.compile("|".join(re.escape(address) + r"(?!\d)" for address in addresses))
    for number in range(n_nodes):
        for name in ("node.conf", "peers.list", "seeds.list"):
            path = os.path.join(folder, f"n{number:03d}", name)
            if os.path.exists(path):
                with open(path, "r+", encoding="utf-8") as file:
                    text = pattern.sub(lambda match: addresses[match.group(0)], file.read())
                    file.seek(0)
                    file.truncate()
                    file.write(text)
