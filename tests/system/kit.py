# SPDX-License-Identifier: MIT
"""What the tests of real processes share: programs, toy data, prepared networks."""

import os
import random
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]) else os.path.join(ROOT, "build-testnet")
STARLINGD = os.path.join(BUILD, "src", "starlingd")
SIMULATOR = os.path.join(BUILD, "tools", "starling-sim")
TESTNET = os.path.join(ROOT, "testnet", "testnet")


def write_toy(path, n_rows, seed):
    """Three classes around three corners, told apart by a linear model."""
    draw = random.Random(seed)
    corners = [(2, 0, 0, 1), (0, 2, 0, -1), (0, 0, 2, 0)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("a,b,c,d,class\n")
        for row in range(n_rows):
            features = [f"{center + draw.gauss(0, 0.6):.5f}" for center in corners[row % 3]]
            file.write(",".join(features) + f",{row % 3}\n")


def call(*words, **more):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False, **more)


def prepare(folder, n_nodes, *more):
    """A network of n_nodes directories under folder/net."""
    toy, parts, net = (os.path.join(folder, name) for name in ("toy.csv", "parts", "net"))
    write_toy(toy, 120, 1)
    done = call(SIMULATOR, "split", "--data", toy, "--out", parts, "--nodes", str(n_nodes))
    assert done.returncode == 0, done.stderr
    done = call(SIMULATOR, "prepare", "--nodes", str(n_nodes), "--data-dir", parts, "--test", toy, "--dir", net, *more)
    assert done.returncode == 0, done.stderr
    return net
