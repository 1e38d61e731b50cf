# SPDX-License-Identifier: MIT
"""Runs a network of real starlingd processes on this machine: starts, watches, hurts and stops it, and reports what it learned."""

import json
import os
import shutil
import sys

import commands
import grow
import interrupts
import isolation
import keeper
import options
import report
import watch
from live import privacy_text
from network import Network
from prepare import first_facts, move_to_wires, prepare
from programs import Refusal, find_programs

SCRIPT = "testnet/testnet"


def make_network(arguments, words, say):
    """The folder of a network that has not been started."""
    programs = find_programs(arguments.build)
    check_attacks(arguments, programs)
    was_there = os.path.isdir(arguments.dir)
    try:
        return fill_folder(arguments, words, programs, say)
    except BaseException:                    # no state file yet: nothing would know what to do with a half-made folder
        empty_folder(arguments.dir, was_there)
        raise


def check_attacks(arguments, programs):
    known = programs.need_adversary() if arguments.liars else {}
    unknown = next((name for name in arguments.liars.values() if name not in known), None)
    if unknown:
        raise Refusal(f"--attack: there is no attack '{unknown}'; there are: {', '.join(known)}")


def empty_folder(folder, stays):
    """It was new or empty before."""
    if not stays:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.remove(entry.path)


def fill_folder(arguments, words, programs, say):
    data = prepare(arguments, programs, say)
    tag = isolation.new_tag() if arguments.netns else None
    if tag:
        move_to_wires(arguments.dir, arguments.nodes)
    facts = first_facts(arguments, words, programs, data, tag)
    if arguments.drop:
        facts["faults"]["loss"] = arguments.drop
    if arguments.delay:
        facts["faults"]["delay"] = options.seconds_of("--delay", arguments.delay)
    say(privacy_text(facts["settings"]))
    if arguments.liars:
        say(report.attack_text(arguments.liars))
    return Network(arguments.dir, facts)


def run(words):
    arguments = options.run_options(words)
    stream = sys.stderr if arguments.json else sys.stdout

    def say(text):
        print(text, file=stream, flush=True)

    network = make_network(arguments, ["run"] + words, say)
    title = f"{arguments.nodes} nodes learn {os.path.basename(arguments.data)}, {arguments.split}, {arguments.model}"
    code, made, path = watch.Watch(network, arguments.plan, stream, title, is_plain=arguments.verbose or arguments.json).run()
    if made:
        report.tell(network, made, path, say)
        if arguments.json:
            print(json.dumps(made, indent=1))
    return code


def demo(words):
    arguments = options.demo_options(words)

    def say(text=""):
        print(text, flush=True)

    say("A network of 8 nodes on this machine's loopback. Each has its own lopsided share of Fashion-MNIST, none shows its rows, and there is no server.")
    network = make_network(arguments, ["demo"] + words, say)
    if arguments.privacy:
        say("Every node adds noise of its own to all that it learns, and stops learning when its budget is spent. Its data are public, so this demo may ask for")
        say("the accuracy on a node's own rows; of private data nobody is told that.")
    else:
        say("This demo protects nobody's privacy: its data are public, and the nodes add no noise. `testnet/testnet demo --privacy` adds it.")
    for node in network.nodes:
        say(f"  {node.name}: {share_text(network.entry(node)['data'])}")
    say()
    title = f"Starling: 8 nodes learn Fashion-MNIST together, {arguments.epochs} epochs of {arguments.epoch_length}, {arguments.model}, {arguments.split}"
    watcher = watch.Watch(network, arguments.plan, sys.stdout, title, arguments.plain)
    code, made, path = watcher.run()
    if made:
        say()
        report.tell_nodes(made, say)
        say()
        watch.tell_curves(network, watcher.gatherer, say)
        say()
        report.tell(network, made, path, say)
        say("every node has ended; `testnet/testnet clean --dir " + network.folder + "` removes what they left")
    return code


def share_text(data):
    """5688 rows, mostly of classes 3 (31 %) and 8 (22 %)"""
    if not data or not data["classes"]:
        return f"{data['rows']} rows" if data else "no rows"
    first = sorted(data["classes"].items(), key=lambda item: -item[1])[:2]
    return f"{data['rows']:5} rows, mostly of class " + " and ".join(f"{name} ({100 * count / data['rows']:.0f} %)" for name, count in first)


def up(words):
    arguments = options.up_options(words)

    def say(text):
        print(text, flush=True)

    network = make_network(arguments, ["up"] + words, say)
    interrupts.catch()
    try:
        network.lay_wires()
        network.start({number for fault in arguments.plan if fault.verb == "join" for number in fault.nodes})
        if arguments.plan:
            keeper.begin(network)
    except BaseException:
        interrupts.ignore()
        keeper.end(network)
        network.stop()
        network.remove_wires()
        raise
    where = "" if arguments.dir == options.NETWORK else f" --dir {arguments.dir}"
    say(f"{arguments.nodes} nodes learn in the background; look with `{SCRIPT} status{where}`, end them with `{SCRIPT} down{where}`")
    return 0


COMMANDS = {
    "demo": (demo, "8 nodes learn Fashion-MNIST while you watch"),
    "run": (run, "run a network for some epochs and report"),
    "up": (up, "start a network in the background"),
    "status": (commands.status, "a line per node"),
    "logs": (commands.logs, "what a node has said"),
    "kill": (commands.kill, "kill -9 nodes"),
    "restart": (commands.restart, "bring dead nodes back"),
    "pause": (commands.pause, "stop nodes where they are"),
    "resume": (commands.resume, "let them go on"),
    "add": (grow.add, "let new nodes join, by invitation"),
    "partition": (commands.partition, "cut the wires between groups of nodes"),
    "heal": (commands.heal, "join the wires again"),
    "report": (commands.make_report, "report.json and report.html"),
    "down": (commands.down, "end what was started"),
    "clean": (commands.clean, "remove the folder of a network that has ended"),
}


def usage():
    lines = "\n".join(f"  {name:10} {what}" for name, (_, what) in COMMANDS.items())
    return (f"testnet - a network of real starlingd processes on one machine\n\nusage: testnet COMMAND [options]\n\n{lines}\n\n"
            "`testnet COMMAND --help` lists the options.\n\nexample:\n"
            "  testnet/testnet demo\n"
            "  testnet/testnet run -n 4 --data train.csv --test test.csv --epochs 10 --dir /tmp/net\n")


def main():
    words = sys.argv[1:]
    if words and words[0] in ("--help", "-h", "help"):
        print(usage(), end="")
        return 0
    if words[:1] == ["keep"]:                # not for people: what `up` starts
        return keeper.keep(words[1:])
    if not words or words[0] not in COMMANDS:
        what = f"'{words[0]}' is not a command" if words else "a command is needed"
        print(f"testnet: {what}; there is: {', '.join(COMMANDS)}\n\n{usage()}", end="", file=sys.stderr)
        return 4
    try:
        return COMMANDS[words[0]][0](words[1:])
    except Refusal as refusal:
        print(f"testnet: {refusal}", file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        print("testnet: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:                  # `testnet status | head`
        sys.stderr.close()
        return 1
    except SystemExit as end:                # argparse: 2 means bad arguments, which is 4 here
        return 4 if end.code == 2 else end.code


if __name__ == "__main__":
    sys.exit(main())
