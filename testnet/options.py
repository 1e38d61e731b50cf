# SPDX-License-Identifier: MIT
"""The command line: every command's options, and what is refused before anything happens."""

import argparse
import os
import re
import shutil

import isolation
import scenario
from programs import Refusal, seconds_of
from state import State, is_running

FOLDER = os.path.join(os.path.expanduser("~"), ".cache", "starling-testnet")
NETWORK, DEMO = os.path.join(FOLDER, "net"), os.path.join(FOLDER, "demo")
ATTACK = re.compile(r"^([a-z0-9-]+):(\d{1,4})$")

# More time than usual to find a cohort: a first look at Starling may happen on a machine that is busy.
DEMO_SET = ["train.steps=200", "train.lr=0.1", "train.batch=64", "phase.formation=0.3"]
# Unit record: 80 epochs of 10 noised steps cost each node epsilon 8 at delta 1e-5, by `starling privacy plan --records 7000 --batch 2100 --steps 10 --epochs
# 80 --epsilon 8`. Noise grows with the number of weights, so the model is half as wide as without.
DEMO_PRIVATE_SET = ["privacy.unit=record", "privacy.dataset=a part of Fashion-MNIST", "privacy.eps_max=8", "privacy.delta=1e-5", "privacy.records=7000",
                    "privacy.sampling_rate=0.3", "privacy.batch=2100", "privacy.steps=10", "privacy.clip=0.3", "privacy.noise=5.4944451", "train.lr=10",
                    "privacy.show_own_accuracy=yes", "phase.formation=0.3"]
KILL_HOURS_MAX = 24                          # --kill-every in a network without an end

EXIT_CODES = "exit codes: 0 every surviving node finished, 1 one crashed, stuck or was stopped, 4 bad arguments or data"


def new_parser(name, what, example, codes=None):
    return argparse.ArgumentParser(prog=f"testnet {name}", description=what, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   epilog=f"example:\n  {example}" + (f"\n\n{codes}" if codes else ""), allow_abbrev=False)


def add_network(parser, n_required=True):
    parser.add_argument("-n", "--nodes", type=int, required=n_required, help="number of nodes")
    parser.add_argument("--data", required=n_required, help="CSV or NPY, a folder of IDX files or IMAGES,LABELS, plain or .gz; or fashion-mnist")
    parser.add_argument("--split", default="iid", help="iid, dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN or by:FILE:COLUMN (default iid)")
    parser.add_argument("--model", default="softmax", help="softmax, mlp:H1[,H2] or ridge (default softmax)")
    parser.add_argument("--aggregator", metavar="RULE", help="mean, median, trmean or geomed: the same as --set merge.rule=RULE")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split, of the first model and of drawn faults (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of all nodes; may be given again")
    parser.add_argument("--test", help="public test data; without it the test part of IDX data, else a fifth of the rows is kept back")
    parser.add_argument("--label", default="last", help="label column of a CSV: last, first, a number from 0, or a name (default last)")
    parser.add_argument("--scale", default="none", help="none, divide:X or standard (default none)")
    parser.add_argument("--impute", help="number that stands for missing values; without it they are refused")
    parser.add_argument("--epoch-length", default="2s", help="length of an epoch (default 2s)")
    add_common(parser)
    parser.add_argument("--netns", action="store_true", help="a network namespace per node, whose wires can be cut; needs root")
    parser.add_argument("--drop", type=float, default=0, metavar="SHARE", help="share of all packets that is lost, from the beginning; implies --netns")
    parser.add_argument("--delay", metavar="TIME", help="delay of every packet, like 40ms; implies --netns and needs the kernel's netem")
    parser.add_argument("--attack", action="append", default=[], metavar="NAME:COUNT",
                        help="the last COUNT nodes lie to their peers in this way; may be given again; a wrong NAME lists all")


def add_common(parser, folder=NETWORK, which="new or empty"):
    parser.add_argument("--dir", default=folder, help=f"folder for all that the network owns; {which} (default {folder})")
    parser.add_argument("--build", help="build folder with the programs (default build-testnet, which is made)")
    parser.add_argument("-v", "--verbose", action="store_true", help="nodes log every event, not only a line per epoch")


def add_faults(parser):
    parser.add_argument("--scenario", metavar="FILE", help="what goes wrong and when, as for `starling-sim run`")
    parser.add_argument("--kill-every", metavar="TIME", help="kill -9 a node drawn by the seed each time; it is back after an epoch")


def run_options(words):
    parser = new_parser("run", "Runs N real nodes on this machine, reachable from this machine only, and reports what they learned.",
                        "testnet/testnet run -n 8 --data fashion-mnist --split dirichlet:0.3 --model mlp:32 --epochs 20 \\\n"
                        "      --scale divide:255 --dir /tmp/net", EXIT_CODES)
    add_network(parser)
    parser.add_argument("--epochs", type=int, required=True, help="epochs to run")
    add_faults(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON on standard output, all else on standard error")
    return check_network(parser.parse_args(words))


def up_options(words):
    parser = new_parser("up", "Starts N real nodes in the background, on this machine only, and returns.",
                        "testnet/testnet up -n 8 --data fashion-mnist --scale divide:255 --model mlp:64\n  testnet/testnet status")
    add_network(parser)
    parser.add_argument("--epochs", type=int, help="nodes end by themselves after so many epochs (default: when told)")
    add_faults(parser)
    return check_network(parser.parse_args(words))


def demo_options(words):
    parser = new_parser("demo", "Builds what is missing, lets 8 real nodes on loopback learn Fashion-MNIST for about three and a half minutes, and shows what came out.",
                        "testnet/testnet demo")
    parser.add_argument("--epochs", type=int, default=80, help="epochs to run (default 80)")
    parser.add_argument("--epoch-length", default="2.5s", help="length of an epoch (default 2.5s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split and of the first model (default 1)")
    parser.add_argument("--plain", action="store_true", help="a line per epoch instead of a table that is redrawn")
    parser.add_argument("--privacy", action="store_true", help="nodes protect every single example: epsilon 8 at delta 1e-5, spent in 80 epochs")
    add_common(parser, DEMO, "new, empty, or of a network that has ended, which is replaced")
    arguments = parser.parse_args(words)
    chosen = {"nodes": 8, "data": "fashion-mnist", "split": "dirichlet:0.5", "model": "mlp:32" if arguments.privacy else "mlp:64",
              "aggregator": None, "test": None, "label": "last",
              "scale": "divide:255", "impute": None, "set": DEMO_PRIVATE_SET if arguments.privacy else DEMO_SET, "netns": False, "drop": 0,
              "delay": None, "attack": [], "scenario": None, "kill_every": None, "json": False}
    for key, value in chosen.items():
        setattr(arguments, key, value)
    return check_network(arguments, may_replace=True)


def check_network(arguments, may_replace=False):
    arguments.dir = os.path.abspath(arguments.dir)
    arguments.epoch_seconds = seconds_of("--epoch-length", arguments.epoch_length)
    if not 1 <= arguments.nodes <= 1024:
        raise Refusal("-n must be 1 to 1024")
    if arguments.epochs is not None and arguments.epochs < 1:
        raise Refusal("--epochs must be 1 or more")
    if not 0 <= arguments.drop <= 1:
        raise Refusal(f"--drop {arguments.drop}: must be a share from 0 to 1, such as 0.02")
    arguments.liars = liars_from(arguments.attack, arguments.nodes)
    arguments.scenario = os.path.abspath(arguments.scenario) if arguments.scenario else None
    arguments.plan = plan_from(vars(arguments), arguments.nodes, arguments.epochs, arguments.epoch_seconds)
    check_isolation(arguments)
    check_words(arguments)
    check_folder(arguments.dir, may_replace)
    return arguments


def liars_from(attacks, n_nodes):
    """By node number: what it does. The last nodes lie, those of the first attack with the lowest numbers among them."""
    names = []
    for attack in attacks:
        match = ATTACK.match(attack)
        if not match or int(match.group(2)) < 1:
            raise Refusal(f"--attack {attack}: must be NAME:COUNT, like vanish-open:2")
        names += [match.group(1)] * int(match.group(2))
    if len(names) >= n_nodes:
        raise Refusal(f"--attack: {len(names)} of {n_nodes} nodes would lie; at least one must be honest")
    return {n_nodes - len(names) + place: name for place, name in enumerate(names)}


def plan_from(settings, n_nodes, n_epochs, epoch_seconds):
    """All faults in the order of time; what only the simulator can do is refused here."""
    faults = []
    if settings["scenario"]:
        faults = scenario.read(settings["scenario"], n_nodes, epoch_seconds)
        scenario.refuse_impossible(faults, settings["scenario"])
    if settings["kill_every"]:
        every = seconds_of("--kill-every", settings["kill_every"])
        seconds = n_epochs * epoch_seconds if n_epochs else KILL_HOURS_MAX * 3600
        faults += scenario.kills(every, n_nodes, seconds, epoch_seconds, settings["seed"])
    return sorted(faults, key=lambda fault: fault.at)


def check_isolation(arguments):
    """Sets arguments.netns where something needs it, or refuses with what asked for it and why it cannot be had."""
    cut = scenario.first_of(arguments.plan, scenario.NEED_NETWORK)
    late = scenario.first_of(arguments.plan, ("delay",))
    askers = [("--netns", arguments.netns), (f"--drop {arguments.drop}", arguments.drop), (f"--delay {arguments.delay}", arguments.delay),
              (f"{arguments.scenario}:{cut.line}: {cut.verb}" if cut else "", cut)]
    asker = next((words for words, asked in askers if asked), None)
    if not asker:
        return
    reason = isolation.why_not()
    if reason:
        raise Refusal(f"{asker} is refused: {reason}")
    if arguments.nodes > isolation.NODES_MAX:
        raise Refusal(f"-n {arguments.nodes}: at most {isolation.NODES_MAX} nodes can have namespaces of their own")
    if arguments.delay or late:
        reason = isolation.why_no_delay()
        if reason:
            asker = f"--delay {arguments.delay}" if arguments.delay else f"{arguments.scenario}:{late.line}: delay"
            raise Refusal(f"{asker} is refused: {reason}")
    arguments.netns = True


def check_words(arguments):
    """What can be seen before anything is built or made: settings are settings, files are there."""
    for setting in arguments.set:
        if not re.match(r"^[a-z_.]+=", setting):
            raise Refusal(f"--set {setting}: must be KEY=VALUE, like train.lr=0.05")
    for option, text in (("--data", arguments.data), ("--test", arguments.test)):
        if not text or text == "fashion-mnist" or os.path.exists(text):
            continue
        for path in re.sub(r":(train|test)$", "", text).split(","):
            if path != "fashion-mnist" and not os.path.exists(path):
                raise Refusal(f"{option} {text}: there is no file {path}; give a table, a folder of IDX files, or fashion-mnist")


def check_folder(folder, may_replace):
    if not os.path.isdir(folder) or not os.listdir(folder):
        return
    state = State(folder)
    if not state.exists():
        raise Refusal(f"--dir {folder} is not empty: name a new folder, or remove what is in it")
    alive = [node["name"] for node in state.read()["nodes"] if is_running(node)]
    if alive:
        raise Refusal(f"--dir {folder} is not empty: {len(alive)} nodes run in it; `testnet down --dir {folder}` ends them")
    if not may_replace:
        raise Refusal(f"--dir {folder} is not empty: it holds a network that has ended; `testnet clean --dir {folder}` removes it")
    shutil.rmtree(folder)


def simple_options(name, words, what, example, argument=None):
    """Commands on a network that is there."""
    parser = new_parser(name, what, example)
    if argument:
        parser.add_argument("what", metavar=argument[0], help=argument[1])
    parser.add_argument("--dir", default=NETWORK, help=f"the network's folder (default {NETWORK})")
    if name in ("status", "report"):
        parser.add_argument("--json", action="store_true", help="as JSON")
    if name == "logs":
        parser.add_argument("-f", "--follow", action="store_true", help="go on as the node goes on, until Ctrl-C")
        parser.add_argument("--lines", type=int, default=20, help="how many (default 20)")
    if name == "restart":
        parser.add_argument("--state", default="current", choices=["current", "old", "no"], help="what it finds on its disk (default current)")
    arguments = parser.parse_args(words)
    arguments.dir = os.path.abspath(arguments.dir)
    return arguments
