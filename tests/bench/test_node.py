# SPDX-License-Identifier: MIT
"""Tests of tools/bench/node and tools/bench/many in their small form: real processes for a few epochs. What they measure is not judged: machines differ."""
import json
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]) else os.path.join(ROOT, "build-testnet")
TOOLS = os.path.join(ROOT, "tools", "bench")


def run(tool, *words):
    return subprocess.run([sys.executable, "-B", os.path.join(TOOLS, tool), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=150,
                          check=False)


class Node(unittest.TestCase):
    def test_tells_the_figures_of_every_node(self):
        done = run("node", BUILD, "--load", "toy", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)["toy"][BUILD]
        self.assertEqual(len(figures), 4)
        for one in figures:
            for key in ("cpu_whole_ms", "rss_mib", "ready_ms"):
                self.assertGreater(one[key], 0, key)
        self.assertEqual(len([one for one in figures if one["accuracy"] is not None]), 2, "two nodes score the test table")

    def test_skips_with_a_message_where_the_data_are_absent(self):
        done = run("node", BUILD, "--load", "digits", "--data", "/nonexistent")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith("skipped: "), done.stdout)


class Many(unittest.TestCase):
    def test_samples_every_node_until_all_have_finished(self):
        done = run("many", BUILD, "--nodes", "4", "--epochs", "5", "--epoch-length", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len([line for line in done.stdout.splitlines() if line.startswith("| ") and line[2].isdigit()]), 5, done.stdout)
        self.assertIn("4 of 4 nodes finished", done.stdout)


if __name__ == "__main__":
    unittest.main()
