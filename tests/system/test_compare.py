# SPDX-License-Identifier: MIT
"""The simulator tells what a real network does: with the same seed, data and options both end at the same accuracy, within a point."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from kit import BUILD, ROOT, SIMULATOR, TESTNET

DATA = os.path.join(os.environ.get("STARLING_DATA", os.path.join(ROOT, "..", "shared", "data")), "optdigits", "train.csv.gz")
NODES, EPOCHS, ONE_POINT = 4, 40, 0.01
COMMON = ["-n", str(NODES), "--data", DATA, "--model", "mlp:32", "--set", "train.steps=20", "--epochs", str(EPOCHS), "--scale", "divide:16",
          "--split", "dirichlet:0.5", "--seed", "1", "--json"]


def report_of(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Compare(unittest.TestCase):
    def test_a_real_network_and_a_simulated_one_learn_the_same(self):
        simulated = report_of(SIMULATOR, "run", "--set", "epoch.length=1s", *COMMON)
        with tempfile.TemporaryDirectory(prefix="starling-compare-") as folder:
            real = report_of(TESTNET, "run", "--epoch-length", "1s", "--dir", os.path.join(folder, "net"), "--build", BUILD, *COMMON)

        print(f"mean accuracy: simulated {simulated['accuracy']['mean']:.4f}, real {real['accuracy']['mean']:.4f}", file=sys.stderr)
        self.assertLess(abs(simulated["accuracy"]["mean"] - real["accuracy"]["mean"]), ONE_POINT)
        self.assertGreater(real["accuracy"]["mean"], 0.85)


if __name__ == "__main__":
    if not os.path.isfile(DATA):
        print(f"skipped: {DATA} is not there; STARLING_DATA names the folder of the data sets")
        sys.exit(77)
    unittest.main(verbosity=2)
