# SPDX-License-Identifier: MIT
"""Charts as inline SVG: classes instead of colours, so that the page's style decides how they look by day, by night and on paper."""

import html
import math

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 34
LABEL_SPACE = 92                             # at the right end of curves


def nice_ticks(low, high, wanted=5):
    """Round numbers that span low to high."""
    span = (high - low) or abs(high) or 1
    step = 10 ** math.floor(math.log10(span / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def figure_text(value, step):
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:.{digits}f}"


class Plot:
    """A frame with a vertical scale and a column for each epoch."""

    def __init__(self, width, height, low, high, n_columns, unit="", right=RIGHT):
        self.width, self.height, self.right, self.n = width, height, right, max(1, n_columns)
        self.ticks = nice_ticks(low, high)
        self.low, self.high = self.ticks[0], self.ticks[-1] if len(self.ticks) > 1 else self.ticks[0] + 1
        self.unit, self.parts = unit, []
        self.is_clipped = False              # do curves leave the frame?

    def x(self, column):
        """The middle of a column, the first being 0."""
        return LEFT + (column + 0.5) * (self.width - LEFT - self.right) / self.n

    def y(self, value):
        return TOP + (self.high - value) * (self.height - TOP - BOTTOM) / (self.high - self.low)

    @property
    def column_width(self):
        return (self.width - LEFT - self.right) / self.n

    def frame(self, caption="epoch"):
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1
        for tick in self.ticks:
            self.parts.append(f'<line class="grid" x1="{LEFT}" x2="{self.width - self.right}" y1="{self.y(tick):.1f}" y2="{self.y(tick):.1f}"/>')
            self.parts.append(f'<text class="tick" text-anchor="end" x="{LEFT - 8}" y="{self.y(tick) + 4:.1f}">{figure_text(tick, step)}{self.unit}</text>')
        for column in self.marked_columns():
            self.parts.append(f'<text class="tick" text-anchor="middle" x="{self.x(column):.1f}" y="{self.height - BOTTOM + 18}">{column + 1}</text>')
        middle = (LEFT + self.width - self.right) / 2
        self.parts.append(f'<text class="tick" text-anchor="middle" x="{middle:.1f}" y="{self.height - 3}">{caption}</text>')

    def marked_columns(self):
        """1 and round numbers."""
        step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10 ** 9) if self.n / step <= self.width / 70)
        columns = [0] + [number - 1 for number in range(step, self.n + 1, step) if number > 1]
        return columns if step < 3 or len(columns) < 2 or columns[1] - columns[0] > step / 2 else [0] + columns[2:]

    def line(self, values, style, title=""):
        """A curve; a gap where a value is missing."""
        runs, run = [], []
        for column, value in enumerate(values):
            if value is None:
                runs, run = runs + [run], []
            else:
                run.append(f"{self.x(column):.1f},{self.y(value):.1f}")
        for points in runs + [run]:
            clip = ' clip-path="url(#frame)"' if self.is_clipped else ""
            if len(points) == 1:
                x, y = points[0].split(",")
                self.parts.append(f'<circle class="{style}"{clip} cx="{x}" cy="{y}" r="2"><title>{html.escape(title)}</title></circle>')
            elif points:
                self.parts.append(f'<polyline class="{style}"{clip} points="{" ".join(points)}"><title>{html.escape(title)}</title></polyline>')

    def clip(self):
        """Curves that go lower than the frame end at its edge. One plot on a page may have this."""
        self.is_clipped = True
        width, height = self.width - LEFT - self.right, self.height - BOTTOM + 1
        self.parts.append(f'<clipPath id="frame"><rect x="{LEFT}" y="0" width="{width}" height="{height}"/></clipPath>')

    def end_labels(self, labels):
        """Names at the right end of curves, (value, text, style), moved apart where they would cover each other."""
        last = -1e9
        for value, text, style in sorted(labels, key=lambda label: self.y(label[0])):
            last = max(min(self.y(value), self.height - BOTTOM), last + 15)
            self.parts.append(f'<text class="label {style}" x="{self.width - self.right + 6}" y="{last + 4:.1f}">{html.escape(text)}</text>')

    def bar(self, column, value, style, title, base=0.0):
        top, bottom = self.y(base + value), self.y(base)
        gap = min(2.0, self.column_width * 0.2)
        self.parts.append(f'<rect class="{style}" x="{self.x(column) - self.column_width / 2 + gap / 2:.1f}" y="{top:.1f}" '
                          f'width="{self.column_width - gap:.1f}" height="{max(0, bottom - top):.1f}"><title>{html.escape(title)}</title></rect>')

    def mark(self, place, number, title):
        """A moment, in columns from the left edge: something was done to the network."""
        x = self.x(place - 0.5)
        if LEFT <= x <= self.width - self.right:
            self.parts.append(f'<g class="deed"><title>{html.escape(title)}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
                              f'<circle cx="{x:.1f}" cy="{TOP}" r="8"/><text text-anchor="middle" x="{x:.1f}" y="{TOP + 4}">{number}</text></g>')

    def svg(self, name):
        return (f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{html.escape(name)}">' + "".join(self.parts) + "</svg>")


def strip(parts, width=150, height=12):
    """Shares of a whole, side by side: (share, style, title)."""
    x, drawn = 0.0, []
    for share, style, title in parts:
        drawn.append(f'<rect class="{style}" x="{x:.2f}" y="0" width="{max(0, share * width - 0.6):.2f}" height="{height}">'
                     f"<title>{html.escape(title)}</title></rect>")
        x += share * width
    return f'<svg class="strip" viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(drawn)}</svg>'


def dot(place, middle, title, width=150, height=14):
    """A value on a short scale, place and the mean of all in 0 .. 1."""
    x, at = 5 + place * (width - 10), 5 + middle * (width - 10)
    return (f'<svg class="strip" viewBox="0 0 {width} {height}" width="{width}" height="{height}"><title>{html.escape(title)}</title>'
            f'<line class="grid" x1="0" x2="{width}" y1="{height / 2}" y2="{height / 2}"/>'
            f'<line class="middle" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}"/>'
            f'<circle class="mean" cx="{x:.1f}" cy="{height / 2}" r="4.5"/></svg>')
