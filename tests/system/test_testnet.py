# SPDX-License-Identifier: MIT
"""testnet/testnet with real nodes: they learn, survive a death among them, and stop when told."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

from kit import BUILD, TESTNET, call, write_toy

REPORT_KEYS = ["schema_version", "accuracy", "nodes", "cohorts", "node_epochs", "wall_s", "epochs", "run"]
NODE_KEYS = ["id", "accuracy", "own_accuracy", "epochs", "bytes_sent", "bytes_received", "cpu_s", "rss_max_bytes", "signature_checks",
             "name", "rows", "classes"]
EPOCHS = 6


def start(folder, name, n_nodes, *more):
    train, test = os.path.join(folder, "train.csv"), os.path.join(folder, "test.csv")
    write_toy(train, 60 * n_nodes, 1)
    write_toy(test, 150, 2)
    words = [TESTNET, "run", "-n", str(n_nodes), "--data", train, "--test", test, "--epochs", str(EPOCHS), "--epoch-length", "1s",
             "--dir", os.path.join(folder, name), "--build", BUILD, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_json(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


def pids_of(folder, name):
    pids = []
    for node in sorted(os.listdir(os.path.join(folder, name))):
        path = os.path.join(folder, name, node, "pid")
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                pids.append(int(file.read()))
    return pids


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for_line(process, text):
    for line in process.stdout:
        if text in line:
            return line
    return ""


class Testnet(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="starling-testnet-")
        self.addCleanup(self.folder.cleanup)

    def test_four_nodes_learn_together_and_the_report_has_its_schema(self):
        process = start(self.folder.name, "net", 4, "--json")
        output, log = process.communicate(timeout=60)

        self.assertEqual(process.returncode, 0, log)
        report = json.loads(output)
        self.assertEqual(report, read_json(self.folder.name, "net", "report.json"))
        self.assertEqual(list(report), REPORT_KEYS)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(list(report["accuracy"]), ["mean", "worst_tenth", "min", "std"])
        self.assertEqual(list(report["cohorts"]), ["completed", "void"])
        self.assertEqual(list(report["node_epochs"]), ["with_aggregate", "total"])
        self.assertEqual([list(node) for node in report["nodes"]], [NODE_KEYS] * 4)
        self.assertEqual(len({node["id"] for node in report["nodes"]}), 4)
        self.assertTrue(all(node["epochs"] == EPOCHS for node in report["nodes"]), report["nodes"])
        self.assertEqual(report["node_epochs"]["total"], 4 * EPOCHS)
        for i in range(4):
            self.assertGreater(read_json(self.folder.name, "net", f"n{i:03d}", "summary.json")["epochs_with_aggregate"], 0)
        self.assertGreater(report["cohorts"]["completed"], 0)
        self.assertGreater(report["accuracy"]["min"], 0.85)
        self.assertRegex(log, rf"epoch {EPOCHS}/{EPOCHS}: 4 of 4 nodes reported")

    def test_a_killed_node_is_reported_and_the_others_finish(self):
        process = start(self.folder.name, "net", 5)
        self.assertTrue(wait_for_line(process, "epoch 1/"))
        os.kill(pids_of(self.folder.name, "net")[2], signal.SIGKILL)
        output, log = process.communicate(timeout=60)

        self.assertEqual(process.returncode, 0, output + log)
        self.assertIn("n002 died: killed by SIGKILL", output)
        self.assertIn("its last words", output)
        report = read_json(self.folder.name, "net", "report.json")
        self.assertEqual([death["node"] for death in report["died"]], ["n002"])
        self.assertEqual([node["epochs"] for node in report["nodes"]], [EPOCHS] * 4)

    def test_an_interrupt_stops_every_node_and_says_so(self):
        process = start(self.folder.name, "net", 3)
        self.assertTrue(wait_for_line(process, "epoch 1/"))
        pids = pids_of(self.folder.name, "net")
        process.send_signal(signal.SIGINT)
        output, log = process.communicate(timeout=30)

        self.assertEqual(process.returncode, 1, output + log)
        self.assertIn("interrupted: stopped 3 nodes", output)
        limit = time.monotonic() + 5
        while any(map(is_alive, pids)) and time.monotonic() < limit:
            time.sleep(0.05)
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])

    def test_everything_listens_on_loopback_only(self):
        process = start(self.folder.name, "net", 2)
        self.assertTrue(wait_for_line(process, "2 nodes in"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

        with open(os.path.join(self.folder.name, "net", "n000", "peers.list"), encoding="utf-8") as file:
            addresses = re.findall(r" (\S+:\d+) ", file.read())
        self.assertEqual(len(addresses), 2)
        self.assertTrue(all(address.startswith("127.0.0.1:") for address in addresses), addresses)

    def test_bad_arguments_get_a_sentence_and_exit_code_4(self):
        for words, sentence in [(["upp"], "there is: demo, run, up"), ([], "a command is needed"), (["run", "-n", "2"], "required"),
                                (["run", "-n", "0", "--data", "x", "--epochs", "1", "--dir", "/tmp/none"], "-n must be"),
                                (["run", "-n", "2", "--data", "/nowhere.csv", "--epochs", "1", "--build", BUILD,
                                  "--dir", os.path.join(self.folder.name, "none")], "/nowhere.csv"),
                                (["run", "-n", "2", "--data", "x", "--epochs", "1", "--epoch-length", "2 parsecs",
                                  "--dir", os.path.join(self.folder.name, "none")], "--epoch-length")]:
            done = call(TESTNET, *words)
            self.assertEqual(done.returncode, 4, words)
            self.assertIn(sentence, done.stderr)
        self.assertIn("example:", call(TESTNET, "--help").stdout)
        self.assertIn("example:", call(TESTNET, "run", "--help").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
