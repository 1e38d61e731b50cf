# SPDX-License-Identifier: MIT
"""report.html: one file that needs nothing else, for a screen by day or night and for paper."""

import html
import os
import time

from charts import LABEL_SPACE, Plot, dot, strip
from live import privacy_text, size_text

WIDE, HALF = 1040, 500
PHASES = [("form", "finding a cohort"), ("train", "training"), ("commit", "masked sums"), ("open", "opening"), ("audit", "auditing"),
          ("unmask", "taking masks off"), ("result", "signing the result"),
          ("pull", "pulling aggregates until the end")]

LOSSES = {"REFUSED": "contributed nothing and said why", "DROPPED": "fell silent", "BAD_SHARE": "dealt a share that does not fit what it signed",
          "DISPUTED": "disagreed with a partner on a key", "BAD_AUDIT": "sent an audit that does not fit its vector", "TOO_LARGE": "contributed too large a vector",
          "CONTRADICTION": "signed two different messages of a step", "BAD_SECRET": "dealt shares that give no key", "BAD_RESULT": "signed another result",
          "ACCUSED": "was proven to lie, by at least one node"}


def text_of(value, digits=4):
    return "unknown" if value is None else f"{value:.{digits}f}"


def known(values):
    return [value for value in values if value is not None]


def mean(values):
    values = known(values)
    return sum(values) / len(values) if values else None


class Epochs:
    """All nodes' series, turned: for each epoch what each node did."""

    def __init__(self, report):
        self.nodes = report["epochs"]
        self.n = max((max(node["epoch"]) for node in self.nodes if node["epoch"]), default=0)
        self.at = [{epoch: i for i, epoch in enumerate(node["epoch"])} for node in self.nodes]

    def of_node(self, number, key):
        """One value per epoch, None where it is not known."""
        values, at = self.nodes[number].get(key), self.at[number]
        return [values[at[epoch]] if values and epoch in at else None for epoch in range(1, self.n + 1)]

    def of_epoch(self, key):
        """For each epoch the known values of all nodes."""
        columns = [self.of_node(number, key) for number in range(len(self.nodes))]
        return [known(column[i] for column in columns) for i in range(self.n)]


class Page:
    def __init__(self, report):
        self.report, self.run, self.settings = report, report["run"], report["run"]["settings"]
        self.score = self.settings["score"]
        self.score_name = "RMSE" if self.score == "rmse" else self.score
        self.low_is_good = self.score == "rmse"
        self.epochs = Epochs(report)
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.css"), encoding="utf-8") as file:
            self.style = file.read()

    # ---- the top ----

    def title(self):
        return f"{self.run['n_nodes']} nodes learn {os.path.basename(self.settings['data'].rstrip('/'))}"

    def header(self):
        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.run["began"])) if self.run["began"] else "not started"
        facts = [f"model {self.settings['model']}", f"split {self.settings['split']}", f"{self.epochs.n} epochs of {self.settings['epoch_length']}",
                 f"merged by {self.settings['aggregator']}", f"seed {self.settings['seed']}"]
        where = "each in a network namespace" if self.run["isolation"] == "namespaces" else "on loopback"
        return (f'<header><p class="kind">Starling testnet</p><h1>{html.escape(self.title())}</h1><p class="facts">{html.escape(" · ".join(facts))}</p>'
                f'<p class="facts quiet">real processes {where}, {html.escape(self.run["machine"])}, began {began}, {self.report["wall_s"]:.0f} s in all</p>'
                "</header>")

    def privacy(self):
        if self.run["privacy"] != "off":
            promise = html.escape(privacy_text(self.settings).removeprefix("privacy: "))
            return f'<p class="banner"><strong>Privacy: on.</strong> {promise[0].upper()}{promise[1:]}. Whoever breaks into a node is not kept out by that.</p>'
        return ('<p class="banner"><strong>Privacy: off.</strong> No formal promise beyond the masks that hide a single model inside its cohort’s sum. '
                'What nodes publish over many epochs tells about their rows.</p>')

    def attack(self):
        liars = self.report.get("attack")
        if not liars:
            return ""
        words = ", ".join(f"{liar['node']} ({liar['name']}, struck {liar['strikes']} times)" for liar in liars)
        return f'<p class="banner"><strong>Under attack.</strong> These nodes lied to their peers on purpose: {html.escape(words)}. The score leaves them out.</p>'

    def troubles(self):
        words = [f"{death['node']} died: {death['how']}." for death in self.report.get("died", [])]
        words += [f"{stall['node']} is stalled: {stall['reason']}" for stall in self.report.get("stalled", [])]
        again = [f"{node['name']} was started {node['starts']} times" for node in self.report["nodes"] if node.get("starts")]
        words += ["; ".join(again) + "."] if again else []
        if not words:
            return '<p class="fine">No node died, none is stalled.</p>'
        return '<ul class="troubles">' + "".join(f"<li>{html.escape(word)}</li>" for word in words) + "</ul>"

    def cards(self):
        numbers, nodes = self.report[self.score], self.report["nodes"]
        epochs = self.report["node_epochs"]
        worst = numbers.get("max") if self.low_is_good else numbers["min"]
        success = f"{100 * epochs['with_aggregate'] / epochs['total']:.1f} %" if epochs["total"] else "unknown"
        node_epochs = sum(node["epochs"] for node in nodes)
        sent = size_text(sum(node["bytes_sent"] for node in nodes) / node_epochs) if node_epochs else "unknown"
        cpu = f"{1000 * sum(node['cpu_s'] for node in nodes) / node_epochs:.0f} ms" if node_epochs else "unknown"
        memory = size_text(max(node["rss_max_bytes"] for node in nodes)) if nodes else "unknown"
        cards = [(f"mean {self.score_name}", text_of(numbers["mean"]), "on the common test data"),
                 ("worst tenth", text_of(numbers["worst_tenth"]), "mean of the nodes served worst"),
                 ("worst node", text_of(worst), "the highest of all" if self.low_is_good else "the lowest of all"),
                 ("spread", text_of(numbers["std"]), "standard deviation over nodes"),
                 ("cohort success", success, f"{epochs['with_aggregate']} of {epochs['total']} node-epochs"),
                 ("sent", sent, "per node and epoch"),
                 ("CPU", cpu, "per node and epoch"),
                 ("memory", memory, "of the largest node")]
        return '<section class="cards">' + "".join(f'<div class="card"><p>{name}</p><p class="figure">{html.escape(figure)}</p><p>{what}</p></div>'
                                                   for name, figure, what in cards) + "</section>"

    # ---- charts ----

    def chart(self, name, note, svg, legend=""):
        return f"<figure><figcaption><h2>{name}</h2><p>{note}</p></figcaption>{legend}{svg}</figure>"

    def missing(self, name, what):
        return self.chart(name, what, '<p class="none">no figures</p>')

    def place_of(self, deed):
        """Where among the columns a deed belongs, in columns from the left edge: epoch 1 begins one epoch after the beginning."""
        return deed["at_s"] / self.run["epoch_s"] - 1

    def add_deeds(self, plot):
        for number, deed in enumerate(self.run["deeds"], 1):
            plot.mark(self.place_of(deed), number, f"{deed['at_s']} s: {deed['text']}")

    def learning(self):
        by_epoch = self.epochs.of_epoch("own_score")
        every = [value for values in by_epoch for value in values]
        name = f"{self.score_name[0].upper() + self.score_name[1:]} by epoch"
        if not every:
            return self.missing(name, "no node has reported a score")
        means = [mean(values) for values in by_epoch]
        tenths = [mean(sorted(values, reverse=self.low_is_good)[:max(1, len(values) // 10)]) for values in by_epoch]
        low = min(every) if self.low_is_good else self.floor(every)
        plot = Plot(WIDE, 340, low, max(every), self.epochs.n, right=LABEL_SPACE)
        plot.frame()
        plot.clip()
        for number, node in enumerate(self.epochs.nodes):
            plot.line(self.epochs.of_node(number, "own_score"), "node", node["node"])
        plot.line(tenths, "tenth", "worst tenth")
        plot.line(means, "mean", "mean")
        ends = [(known(means)[-1], f"mean {known(means)[-1]:.3f}", "mean"), (known(tenths)[-1], f"worst {known(tenths)[-1]:.3f}", "tenth")]
        plot.end_labels(ends)
        self.add_deeds(plot)
        note = (f"On the rows each node keeps back and never trains on, at the beginning of each epoch. Thin: one node each. Thick: the mean. "
                f"Dashed: the worst tenth{', here the worst node' if self.run['n_nodes'] < 20 else ''}.")
        return self.chart(name, note + (" Numbers mark what was done to the network, listed below." if self.run["deeds"] else ""), plot.svg(name))

    @staticmethod
    def floor(values):
        """The first epochs of a network that knows nothing would flatten all the rest."""
        ordered = sorted(values)
        return min(ordered[len(ordered) // 20], ordered[-1] - 0.1)

    def traffic(self):
        name, by_epoch = "Bytes by epoch", self.epochs.of_epoch("bytes_sent")
        if not any(by_epoch):
            return self.missing(name, "The nodes' control sockets tell them; they were not asked.")
        unit, divisor = ("MiB", 2**20) if max(map(sum, by_epoch)) > 2**20 else ("KiB", 2**10)
        totals = [sum(values) / divisor for values in by_epoch]
        plot = Plot(HALF, 240, 0, max(totals), self.epochs.n)
        plot.frame()
        for column, total in enumerate(totals):
            plot.bar(column, total, "bytes", f"epoch {column + 1}: {total:.2f} {unit} from {len(by_epoch[column])} nodes")
        return self.chart(name, f"{unit} that all nodes sent.", plot.svg(name))

    def cohorts(self):
        name, n = "Cohort success by epoch", self.run["n_nodes"]
        plot = Plot(HALF, 240, 0, 100, self.epochs.n, unit=" %")
        plot.frame()
        for column, values in enumerate(self.epochs.of_epoch("aggregate")):
            share = 100 * sum(values) / n
            plot.bar(column, share, "good", f"epoch {column + 1}: {sum(values)} of {n} nodes had an aggregate")
            plot.bar(column, 100 * len(values) / n - share, "void", f"epoch {column + 1}: {len(values) - sum(values)} nodes had none", base=share)
        self.add_deeds(plot)
        legend = '<p class="legend"><span class="good"></span>in a cohort that produced an aggregate <span class="void"></span>no aggregate</p>'
        return self.chart(name, "Share of the nodes; blank: did not report.", plot.svg(name), legend)

    def phases(self):
        name = "Where an epoch goes"
        by_epoch = self.phase_seconds()
        if not any(any(phases) for phases in by_epoch):
            return self.missing(name, "The nodes' control sockets tell it; they were not asked.")
        plot = Plot(WIDE, 260, 0, self.run["epoch_s"], self.epochs.n, unit=" s")
        plot.frame()
        for column, phases in enumerate(by_epoch):
            base = 0.0
            for number, seconds in enumerate(phases):
                if seconds > 0:
                    plot.bar(column, seconds, f"c{number}", f"epoch {column + 1}: {PHASES[number][1]} {seconds:.2f} s", base=base)
                base += seconds
        shown = [number for number in range(len(PHASES)) if sum(phases[number] for phases in by_epoch) > 0.005 * self.epochs.n * self.run["epoch_s"]]
        legend = '<p class="legend">' + " ".join(f'<span class="c{number}"></span>{PHASES[number][1]}' for number in shown) + "</p>"
        note = f"Seconds until the end of each phase, mean of all nodes; an epoch lasts {self.settings['epoch_length']}."
        trained = mean(entry.get("train") for entries in self.epochs.of_epoch("seconds") for entry in entries)
        if trained is not None:
            after = f"{trained:.2f} s" if trained >= 0.1 else f"{1000 * trained:.0f} ms"
            note += f" Nodes train while they look for a cohort, and were done {after} after the epoch’s beginning, on average."
        return self.chart(name, note, plot.svg(name), legend)

    def phase_seconds(self):
        """For each epoch the mean length of each phase. Nodes tell when each ended, from the beginning of the epoch."""
        columns = []
        for entries in self.epochs.of_epoch("seconds"):
            ends, last, lengths = [mean(entry.get(phase) for entry in entries) for phase, _ in PHASES], 0.0, []
            for end in ends:
                lengths.append(max(0.0, (end if end is not None else last) - last))
                last = max(last, end if end is not None else last)
            columns.append(lengths)
        return columns

    def losses(self):
        """Whom cohorts lost and why; several members tell of the same loss, which counts once."""
        seen = {}
        for epoch, values in enumerate(self.epochs.of_epoch("lost")):
            for loss in (loss for lost in values for loss in lost):
                seen.setdefault(loss.get("how"), set()).add((epoch, loss.get("peer")))
        lines = "".join(f"<tr><td>{words}</td><td>{len(seen[how])}</td><td>{len({peer for _, peer in seen[how]})}</td></tr>"
                        for how, words in LOSSES.items() if how in seen)
        if not lines:
            return ""
        return ('<section><h2>Whom cohorts lost</h2><p class="note">A cohort goes on without a member as long as enough are left.</p><div class="scroll"><table><thead><tr>'
                f"<th>member</th><th>times</th><th>nodes</th></tr></thead><tbody>{lines}</tbody></table></div></section>")

    # ---- nodes ----

    def class_names(self):
        names = {name for node in self.report["nodes"] for name in (node.get("classes") or {})}
        return sorted(names, key=lambda name: (len(name), name))

    def mix(self, node, names):
        classes = node.get("classes") or {}
        return strip([(classes.get(name, 0) / node["rows"], f"k{number % 12}", f"class {name}: {classes.get(name, 0)} rows")
                      for number, name in enumerate(names) if classes.get(name)]) if classes else ""

    def nodes(self):
        nodes = sorted(self.report["nodes"], key=lambda node: (node[self.score] is None, node[self.score]), reverse=self.low_is_good)
        if not nodes:
            return '<section><h2>Nodes</h2><p class="none">No node has ended yet: the score on the test data is measured when it does.</p></section>'
        names = self.class_names()
        scores = known(node[self.score] for node in nodes)
        rows_max = max(node.get("rows", 0) for node in nodes) or 1
        low, high = self.scale_of(scores)
        head = ["node", self.score_name, f"{low:.2f} … {high:.2f}", "on own rows", "rows", "", "class mix" if names else "",
                "sent", "received", "CPU", "memory", "signatures"]
        lines = "".join(self.node_line(node, names, scores, rows_max) for node in nodes)
        legend = " ".join(f'<span class="k{i % 12}"></span>{html.escape(name)}' for i, name in enumerate(names))
        legend = f'<p class="legend">classes: {legend}</p>' if names else ""
        return ('<section><h2>Each node</h2><p class="note">Worst first, on the common test data; the upright line is the mean. '
                f'Own rows are those a node keeps back.</p>{legend}<div class="scroll"><table><thead><tr>' + "".join(f"<th>{text}</th>" for text in head)
                + f"</tr></thead><tbody>{lines}</tbody></table></div></section>")

    def scale_of(self, scores):
        """A short scale that shows how far nodes are apart: never narrower than 0.1, lest noise looks like a difference."""
        if not scores:
            return 0.0, 1.0
        low, high = min(scores), max(scores)
        room = max(0.0, 0.1 - (high - low)) / 2
        over = 0.0 if self.low_is_good else max(0.0, high + room - 1)
        return low - room - over, high + room - over

    def node_line(self, node, names, scores, rows_max):
        score, own, rows = node[self.score], node["own_" + self.score], node.get("rows")
        low, high = self.scale_of(scores)
        place = dot((score - low) / (high - low), (mean(scores) - low) / (high - low), f"{score:.4f}; the line is the mean") if score is not None else ""
        cells = [f'<td title="{node["id"]}">{html.escape(node["name"])}</td>', f"<td>{text_of(score)}</td>", f"<td>{place}</td>", f"<td>{text_of(own, 3)}</td>",
                 f'<td>{strip([(rows / rows_max, "rows", f"{rows} rows")], 60) if rows else ""}</td>', f"<td>{rows or ''}</td>",
                 f"<td>{self.mix(node, names) if rows else ''}</td>",
                 f"<td>{size_text(node['bytes_sent'])}</td>", f"<td>{size_text(node['bytes_received'])}</td>",
                 f"<td>{node['cpu_s']:.1f} s</td>", f"<td>{size_text(node['rss_max_bytes'])}</td>", f"<td>{node['signature_checks']}</td>"]
        return f"<tr>{''.join(cells)}</tr>"

    # ---- the rest ----

    def deeds(self):
        if not self.run["deeds"]:
            return ""
        lines = "".join(f"<li><span>{deed['at_s']:.1f} s</span> {html.escape(deed['text'])}</li>" for deed in self.run["deeds"])
        return f'<section><h2>What was done to it</h2><ol class="deeds">{lines}</ol></section>'

    def how(self):
        names = {"data": "data", "test": "test data", "split": "split", "model": "model", "scale": "scaling", "aggregator": "merge rule",
                 "epoch_length": "epoch", "seed": "seed", "set": "options", "scenario": "scenario", "kill_every": "kill every", "drop": "packets lost",
                 "delay": "delay", "attack": "attack"}
        lines = [(words, self.settings.get(key)) for key, words in names.items()]
        lines = [(words, " ".join(value) if isinstance(value, list) else str(value)) for words, value in lines if value]
        shown = "".join(f"<dt>{words}</dt><dd>{html.escape(value)}</dd>" for words, value in lines)
        cohorts = self.report["cohorts"]
        known = "counted when all nodes have ended" if cohorts["completed"] is None else f"{cohorts['completed']} completed, {cohorts['void']} void"
        shown += f"<dt>privacy</dt><dd>{html.escape(self.run['privacy'])}</dd><dt>cohorts</dt><dd>{known}</dd>"
        return (f"<section><h2>Settings</h2><dl>{shown}</dl><h2>To repeat it</h2><pre>{html.escape(self.run['command'])}</pre>"
                '<p class="note">The same seed deals out the same rows and draws the same '
                "faults; the order in which processes run differs, so figures agree but are not equal.</p></section>")

    def render(self):
        body = [self.header(), self.privacy(), self.attack(), self.troubles(), self.cards(), self.learning(), self.nodes(),
                f'<div class="pair">{self.traffic()}{self.cohorts()}</div>', self.losses(), self.phases(), self.deeds(), self.how()]
        return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
                f"<title>Starling: {html.escape(self.title())}</title><style>{self.style}</style></head><body><main>"
                + "\n".join(body) + "</main></body></html>\n")


def render(report):
    return Page(report).render()
