# SPDX-License-Identifier: MIT
"""What somebody sees while a network learns: a table that is redrawn in place on a terminal, a plain line per epoch elsewhere."""

import os
import shutil

ROWS_SHOWN = 8
NODES_SHOWN = 16
BAR = 24
PLOT_HEIGHT, PLOT_WIDTH = 10, 60


def privacy_text(settings):
    """One line: unit, adjacency, epsilon and delta stand together, or nothing is promised."""
    privacy = settings.get("privacy") or {"unit": "off"}
    if privacy["unit"] == "off":
        return "privacy: OFF - no formal promise beyond the masks"
    what = {"record": "every single example (add-remove)", "node": "all the data of a node together"}[privacy["unit"]]
    return f"privacy: unit {privacy['unit']} - protects {what}: epsilon at most {privacy['eps_max']} at delta {privacy['delta']}"


def size_text(n_bytes):
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes:.0f} B"


class Epoch:
    """All nodes' facts of one epoch in a few numbers."""

    def __init__(self, gatherer, epoch):
        self.facts = gatherer.of_epoch(epoch)
        self.reported = len(self.facts)
        self.aggregates = sum(facts.get("aggregate", False) for facts in self.facts)
        self.merged = sum(facts.get("merged", 0) > 0 for facts in self.facts)
        scores = [facts["own_score"] for facts in self.facts if facts.get("own_score") is not None]
        sent = [facts["bytes_sent"] for facts in self.facts if facts.get("bytes_sent") is not None]
        self.mean = sum(scores) / len(scores) if scores else None
        self.scores, self.sent = scores, sum(sent) if sent else None

    def worst(self, is_regression):
        return (max if is_regression else min)(self.scores) if self.scores else None


def number(value, digits=4):
    return "-" if value is None else f"{value:.{digits}f}"


class Live:
    """Knows which epochs every living node has reported and shows each once."""

    def __init__(self, network, gatherer, stream, title, is_plain=False):
        self.network, self.gatherer, self.stream, self.title = network, gatherer, stream, title
        self.is_terminal = stream.isatty() and not is_plain and os.environ.get("TERM", "dumb") != "dumb"
        self.has_colour = self.is_terminal and not os.environ.get("NO_COLOR")
        self.told = None                     # the newest epoch that was shown
        self.drawn = 0                       # lines on the screen that belong to the table
        self.is_regression = network.facts["settings"]["score"] == "rmse"

    def say(self, text=""):
        """A line that stays, above the table."""
        self.erase()
        print(text, file=self.stream, flush=True)
        self.draw()

    def due(self, all_ended=False):
        """The epochs to tell of: all that are older than the newest, and that one when every living node has reported it."""
        first = self.network.facts["first_epoch"] if self.told is None else self.told + 1
        newest = self.gatherer.newest()
        late = [node for node in self.network.running() if node.newest < newest and not self.network.entry(node)["paused"]]
        return range(first, newest if late and not all_ended else newest + 1)

    def tell(self, epochs):
        for epoch in epochs:
            self.told = epoch
            if not self.is_terminal:
                print(self.line(epoch), file=self.stream, flush=True)
        if epochs and self.is_terminal:
            self.erase()
            self.draw()

    def place(self, epoch):
        return epoch - self.network.facts["first_epoch"] + 1

    def line(self, epoch):
        facts, score = Epoch(self.gatherer, epoch), self.network.facts["settings"]["score"]
        total = f"/{self.network.facts['epochs']}" if self.network.facts["epochs"] else ""
        text = (f"epoch {self.place(epoch)}{total}: {facts.reported} of {len(self.network.nodes)} nodes reported, "
                f"{facts.aggregates} with an aggregate, {facts.merged} merged")
        if facts.mean is not None:
            text += f", mean own {score} {facts.mean:.4g}, worst {facts.worst(self.is_regression):.4g}"
        return text + (f", {size_text(facts.sent)} sent" if facts.sent is not None else "")

    # ---- the table on a terminal ----

    def erase(self):
        if self.drawn:
            self.stream.write(f"\x1b[{self.drawn}F\x1b[J")
            self.drawn = 0

    def draw(self):
        if not self.is_terminal or self.told is None:
            return
        width, height = shutil.get_terminal_size()
        lines = [line[:width - 1] for line in self.table(height)]
        if self.has_colour:
            lines[1] = f"\x1b[1;33m{lines[1]}\x1b[0m"
        self.stream.write("\n".join(lines) + "\n")
        self.stream.flush()
        self.drawn = len(lines)

    def table(self, height):
        nodes = self.network.nodes[:NODES_SHOWN]
        with_nodes = height >= ROWS_SHOWN + len(nodes) + 8
        rows = ROWS_SHOWN if with_nodes else max(2, min(ROWS_SHOWN, height - 7))
        first = max(self.network.facts["first_epoch"], self.told - rows + 1)
        lines = [self.title, privacy_text(self.network.facts["settings"]).replace("privacy:", "PRIVACY"), self.progress(),
                 f"  {'epoch':>6} {self.network.facts['settings']['score']:>9} {'worst':>7} {'nodes':>7} {'cohorts':>8} {'merged':>7} {'sent':>10}"]
        lines += [self.row(epoch) for epoch in range(first, self.told + 1)]
        if with_nodes:
            lines += [""] + [self.node_row(node) for node in nodes]
        return lines

    def progress(self):
        total = self.network.facts["epochs"]
        if not total:
            return f"  epoch {self.place(self.told)}"
        full = round(48 * self.place(self.told) / total)
        left = max(0, total - self.place(self.told)) * self.network.epoch_seconds
        return f"  [{'#' * full}{'.' * (48 - full)}] {self.place(self.told)}/{total}, {left:.0f} s left"

    def row(self, epoch):
        facts, n = Epoch(self.gatherer, epoch), len(self.network.nodes)
        return (f"  {self.place(epoch):>6} {number(facts.mean):>9} {number(facts.worst(self.is_regression)):>7} {f'{facts.reported}/{n}':>7} "
                f"{f'{facts.aggregates}/{n}':>8} {f'{facts.merged}/{n}':>7} {size_text(facts.sent) if facts.sent is not None else '-':>10}")

    def node_row(self, node):
        epochs = self.gatherer.of(node)
        score = epochs[node.newest].get("own_score") if node.newest in epochs else None
        state = "" if self.network.is_running(node) else self.network.death(node) or ""
        bar = "" if score is None or self.is_regression else "#" * round(BAR * score)
        rows = (self.network.entry(node).get("data") or {}).get("rows")
        return f"  {node.name} {bar:{BAR}} {number(score)}  {f'{rows} rows' if rows else ''} {state}"


def plot(series, marks, height=PLOT_HEIGHT, width=PLOT_WIDTH):
    """A text plot: each series is a list of numbers or None; marks has a letter for each. Later series lie on top."""
    values = [value for line in series for value in line if value is not None]
    if not values:
        return []
    low, high = min(values), max(values)
    span = (high - low) or 1
    n = max(len(line) for line in series)
    columns = min(width, n)
    grid = [[" "] * columns for _ in range(height)]
    for line, mark in zip(series, marks):
        for column in range(columns):
            part = [value for value in line[column * n // columns:max(column * n // columns + 1, (column + 1) * n // columns)] if value is not None]
            if part:
                grid[height - 1 - round((height - 1) * (sum(part) / len(part) - low) / span)][column] = mark
    lines = []
    for row, cells in enumerate(grid):
        label = f"{high - span * row / (height - 1):7.3f}" if row in (0, height // 2, height - 1) else " " * 7
        lines.append(f"{label} |{''.join(cells).rstrip()}")
    lines.append(" " * 8 + "+" + "-" * columns)
    lines.append(f"{'1':>10}{n:>{max(1, columns - 1)}}  epoch")
    return lines
