# SPDX-License-Identifier: MIT
"""`testnet add`: new nodes come in as strangers do, with an invite that names a living node's address."""

import os
import re
import socket

import faults
from network import Network
from options import simple_options
from prepare import PORT
from programs import Refusal, call

JOINED_MAX = 64                              # by one command


def free_port():
    """One that nobody listens at; the node takes it a moment later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def replace_option(text, key, value):
    return re.sub(rf'^(\s*{key}\s*=\s*)".*"', lambda match: f'{match.group(1)}"{value}"', text, count=1, flags=re.MULTILINE)


def take_options_of(model, node, address, rows):
    """All nodes of a testnet have the same options but for name, address and rows."""
    with open(os.path.join(model.folder, "node.conf"), encoding="utf-8") as file:
        text = file.read()
    for key, value in (("name", node), ("listen", address), ("path", rows)):
        text = replace_option(text, key, value)
    return text


def door_of(network):
    """A living node that strangers may knock at."""
    doors = [node for node in network.running() if not network.entry(node)["paused"]]
    if not doors:
        raise Refusal("no node of this network is alive, so nobody could let a new one in: `testnet restart all` brings them back")
    return doors[0]


def join(network, client):
    """Makes one more node's folder and starts it."""
    number, model, door = len(network.nodes), network.nodes[0], door_of(network)
    name = f"n{number:03d}"
    folder, invite = os.path.join(network.folder, name), os.path.join(network.folder, f"{name}.star")
    source = number % sum("joined" not in entry for entry in network.facts["nodes"])
    rows = os.path.join(network.folder, "data", f"node-{source:03d}.csv")
    address = f"{network.wires.address(number)}:{PORT}" if network.wires else f"127.0.0.1:{free_port()}"

    call([client, "invite", network.folder, "--from", door.folder, "--out", invite], "starling invite")
    call([client, "init", folder, "--data", rows, "--label", "last", "--join", invite, "--listen", address, "--name", name], "starling init")
    os.remove(invite)
    with open(os.path.join(folder, "node.conf"), "w", encoding="utf-8") as file:
        file.write(take_options_of(model, name, address, rows))
    entry = {"name": name, "address": address, "pid": None, "started": None, "boot": "", "paused": False, "ended": None, "starts": 0,
             "data": network.facts["nodes"][source]["data"], "joined": True}
    with network.state.change() as facts:
        facts["nodes"].append(entry)
    network.refresh()
    if network.wires:
        network.wires.lay(number)
        network.wires.obey(network.facts["faults"], len(network.nodes))
    faults.join(network, network.nodes[number])
    return f"{name} joins at {address}, through {door.name}, with the rows of n{source:03d}"


def add(words):
    arguments = simple_options("add", words, "New nodes join a running network by invitation, through a living node.", "testnet/testnet add 2",
                               ("N", "how many"))
    if not re.match(r"^\d{1,3}$", arguments.what) or not 1 <= int(arguments.what) <= JOINED_MAX:
        raise Refusal(f"add {arguments.what}: wanted: how many nodes, 1 to {JOINED_MAX}")
    network = Network(arguments.dir)
    if network.facts["stopped"]:
        raise Refusal("this network has ended: `testnet up` starts a new one")
    client = network.programs.need_client()
    for _ in range(int(arguments.what)):
        print(join(network, client), flush=True)
    return 0
