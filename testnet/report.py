# SPDX-License-Identifier: MIT
"""report.json and report.html: what a network learned, from the summaries its nodes left and from what was gathered while they ran."""

import json
import os
import platform
import shlex
import time

import gather
import page
from live import number
from state import write_atomically

PRIVACY_KEYS = ["epsilon", "epsilon_floor", "delta", "epsilon_limit", "rounds_charged"]      # where privacy is on
NODE_KEYS = ["epochs", "bytes_sent", "bytes_received", "cpu_s", "rss_max_bytes", "signature_checks"]


def spread(values, high_is_good):
    """Mean, worst tenth, lowest (of errors also the highest) and standard deviation over nodes."""
    keys = ["mean", "worst_tenth", "min", "std"] if high_is_good else ["mean", "worst_tenth", "min", "max", "std"]
    if not values:
        return dict.fromkeys(keys)
    mean = sum(values) / len(values)
    worst = sorted(values, reverse=not high_is_good)[:max(1, len(values) // 10)]
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    figures = {"mean": mean, "worst_tenth": sum(worst) / len(worst), "min": min(values), "max": max(values), "std": variance ** 0.5}
    return {key: figures[key] for key in keys}


def read_summaries(network):
    """By node: what it wrote when it ended."""
    summaries = {}
    for node in network.nodes:
        path = os.path.join(node.folder, "summary.json")
        if os.path.exists(path) and not network.is_running(node) and not network.death(node):
            with open(path, encoding="utf-8") as file:
                summaries[node.name] = json.load(file)
    return summaries


def node_entry(network, node, summary, score):
    entry = network.entry(node)
    facts = {"id": summary["id"], score: summary[score], "own_" + score: summary["own_" + score]}
    facts.update({key: summary[key] for key in NODE_KEYS})
    facts.update({key: summary[key] for key in PRIVACY_KEYS if summary.get(key) is not None})
    facts["name"] = node.name
    if entry.get("data"):
        facts.update(rows=entry["data"]["rows"], classes=entry["data"]["classes"])
    if entry.get("attack"):
        facts["attack"] = entry["attack"]
    if entry["starts"] > 1:
        facts["starts"] = entry["starts"]
    return facts


def series_of(gatherer, node, first_epoch):
    """One node's epochs as columns; epoch 1 is the first in which the network could act."""
    epochs = {epoch: facts for epoch, facts in sorted(gatherer.of(node).items()) if epoch >= first_epoch}
    columns = {"node": node.name, "epoch": [epoch - first_epoch + 1 for epoch in epochs]}
    for key in gather.FIELDS:
        values = [facts.get(key) for facts in epochs.values()]
        if any(value is not None for value in values):
            columns[key] = values
    return columns


def fill_last(network, gatherer, summaries):
    """A node that ends tells nobody what it sent in its last epoch: the sum in its summary does."""
    for node in network.nodes:
        epochs, summary = gatherer.of(node), summaries.get(node.name)
        if not summary or network.entry(node)["starts"] != 1:
            continue
        for key in ("bytes_sent", "bytes_received"):
            unknown = [epoch for epoch, facts in epochs.items() if facts.get(key) is None]
            if len(epochs) > 1 and unknown == [max(epochs)]:
                epochs[unknown[0]][key] = max(0, summary[key] - sum(facts[key] for epoch, facts in epochs.items() if epoch != unknown[0]))


def counts_of_the_living(network, gatherer):
    """Of each node that runs, in the words of a summary: its epochs are known from its log; which cohorts were its own it tells in the end only."""
    counts = []
    for node in network.running():
        epochs = [facts for epoch, facts in gatherer.of(node).items() if epoch >= network.facts["first_epoch"]]
        counts.append({"epochs": len(epochs), "epochs_with_aggregate": sum(facts.get("aggregate", False) for facts in epochs)})
    return counts


def cohorts_of(summaries, n_living):
    """Each cohort is counted by its initiator, so all must have ended."""
    if n_living:
        return {"completed": None, "void": None}
    return {key: sum(summary[f"cohorts_{key}"] for summary in summaries.values()) for key in ("completed", "void")}


def attack_text(liars):
    """liars: by node number, what each does."""
    names = sorted(set(liars.values()))
    what = ", ".join(f"{list(liars.values()).count(name)} x {name}" for name in names)
    return f"ATTACK: {len(liars)} of these nodes lie to their peers on purpose ({what}); what is reported of learning is that of the others"


def attack_of(network):
    """None, or what the liars did."""
    liars = [(node, network.entry(node).get("attack")) for node in network.nodes if network.entry(node).get("attack")]
    return [{"node": node.name, "name": name, "strikes": node.strikes} for node, name in liars] or None


def privacy_unit(facts):
    return (facts["settings"].get("privacy") or {"unit": "off"})["unit"]


def collect(network, gatherer, wall_seconds):
    summaries = read_summaries(network)
    fill_last(network, gatherer, summaries)
    living = counts_of_the_living(network, gatherer)
    counts = list(summaries.values()) + living
    facts, score = network.facts, network.facts["settings"]["score"]
    liars = {node.name for node in network.nodes if network.entry(node).get("attack")}
    known = [summary[score] for name, summary in summaries.items() if summary[score] is not None and name not in liars]
    report = {
        "schema_version": 1,
        score: spread(known, high_is_good=score == "accuracy"),
        "nodes": [node_entry(network, node, summaries[node.name], score) for node in network.nodes if node.name in summaries],
        "cohorts": cohorts_of(summaries, len(living)),
        "node_epochs": {"with_aggregate": sum(count["epochs_with_aggregate"] for count in counts),
                        "total": sum(count["epochs"] for count in counts)},
        "wall_s": round(wall_seconds, 3),
        "epochs": [series_of(gatherer, node, facts["first_epoch"]) for node in network.nodes],
        "run": {"command": "testnet/testnet " + shlex.join(facts["command"]), "began": facts["begin"], "epoch_s": facts["epoch_seconds"],
                "n_nodes": len(network.nodes), "privacy": privacy_unit(facts), "isolation": "namespaces" if facts["tag"] else "loopback",
                "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "settings": facts["settings"], "deeds": facts["deeds"]},
    }
    attack = attack_of(network)
    if attack:
        report["attack"] = attack
    if living:
        report["running"] = len(living)
    died = [{"node": node.name, "how": network.death(node)} for node in network.nodes if network.death(node)]
    if died:
        report["died"] = died
    stalled = [{"node": name, "reason": summary["reason"]} for name, summary in summaries.items() if summary["stalled"]]
    if stalled:
        report["stalled"] = stalled
    return report


def write(network, report):
    """Both forms; the path of the page."""
    write_atomically(os.path.join(network.folder, "report.json"), json.dumps(report, indent=1) + "\n")
    path = os.path.join(network.folder, "report.html")
    write_atomically(path, page.render(report))
    return path


def make(network, gatherer):
    """Gathers what is left to gather, and writes."""
    gatherer.read_logs()
    gatherer.save()
    end = network.facts["stopped"] or time.time()
    report = collect(network, gatherer, end - network.facts["started_s"])
    return report, write(network, report)


def tell(network, report, path, say):
    for death in report.get("died", []):
        node = next(node for node in network.nodes if node.name == death["node"])
        say(f"{node.name} died ({death['how']}); its last words:")
        for line in node.last_words():
            say(f"    {line}")
    for stall in report.get("stalled", []):
        say(f"{stall['node']} is STALLED: {stall['reason']}")

    if report.get("attack"):
        say(attack_text({liar["node"]: liar["name"] for liar in report["attack"]}))
        say("they struck: " + ", ".join(f"{liar['node']} {liar['strikes']} times" for liar in report["attack"]))
    score = report["run"]["settings"]["score"]
    numbers = report[score]
    if numbers["mean"] is not None:
        say(f"{score} on the test data: " + ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in numbers.items()))
    n_nodes, n_running = len(network.nodes), report.get("running", 0)
    state = f"{n_running} of {n_nodes} nodes are still learning"
    if not n_running:
        state = f"{len(report['nodes'])} of {n_nodes} nodes finished; cohorts: {report['cohorts']['completed']} completed, {report['cohorts']['void']} void"
    say(f"{state}; {report['node_epochs']['with_aggregate']} of {report['node_epochs']['total']} node epochs with an aggregate; {report['wall_s']:.1f} s")
    say(f"report: {os.path.join(network.folder, 'report.json')}")
    say(f"page:   {path}")


def tell_nodes(report, say):
    """The table at the end of a demo."""
    score = report["run"]["settings"]["score"]
    is_private = report["run"]["privacy"] != "off"
    say(f"  {'node':6} {score:>9} {'on own rows':>12} {'rows':>7} {'sent':>11} {'CPU':>8}" + (f" {'epsilon':>8}" if is_private else ""))
    for node in report["nodes"]:
        say(f"  {node['name']:6} {number(node[score]):>9} {number(node['own_' + score]):>12} {node.get('rows', '-'):>7} "
            f"{node['bytes_sent'] / 2**20:>7.1f} MiB {node['cpu_s']:>6.1f} s"
            + (f" {number(node.get('epsilon'), 2):>8}" if is_private else ""))
