# SPDX-License-Identifier: MIT
"""Privacy as its users meet it: how a node gets its budget, what the screens say, what a spent node still does, and what nobody is ever told."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from ask import ask
from kit import BUILD, SIMULATOR, STARLINGD, TESTNET, call, write_toy

STARLING = os.path.join(BUILD, "tools", "starling")
ROWS, RECORDS, NODES = 7919, 7000, 5          # a number of rows that nothing else would be by chance
SETTINGS = ["privacy.unit=record", "privacy.dataset=ward 7", f"privacy.records={RECORDS}", "privacy.sampling_rate=0.02", "privacy.batch=140",
            "privacy.steps=3", "privacy.clip=1", "privacy.noise=1.5", "train.lr=0.5"]
SPENT, SHOWN = NODES - 1, 1                   # this one has a budget for three epochs; that one's owner asks for the own accuracy


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def option(text, key):
    """Of node.conf, in the section privacy."""
    section = text[text.index("\nprivacy\n"):]
    return re.search(rf'^    {key} = "(.*)"$', section, re.MULTILINE).group(1)


def wait_until(condition, what, seconds=45):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


class Making(unittest.TestCase):
    """network create and init: what is filled in, said and refused."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-privacy-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        write_toy(self.at("data.csv"), 613, 1)

    def at(self, name):
        return os.path.join(self.folder, name)

    def starling(self, *words, code=0):
        done = call(STARLING, *words, cwd=self.folder, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, f"starling {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done

    def network(self, unit, *more):
        done = self.starling("network", "create", "net", "--unit", unit, "--data", "data.csv", "--epoch-length", "2s", *more)
        self.starling("invite", "net", "--address", f"127.0.0.1:{free_port()}", "--out", "join.star")
        return done.stdout

    def init(self, name, *more, code=0):
        return self.starling("init", name, "--data", "data.csv", "--join", "join.star", *more, code=code)

    def test_a_node_without_wishes_gets_the_usual_budget_and_is_told_so(self):
        self.network("record")
        said = self.init("ward-7").stdout
        for part in ("protects every single example (unit record)", "(add-remove)", "never above 8, at delta 1e-05", "enough for 200 epochs",
                     "--dataset ward-7 --records 600 (rows, rounded down) --epsilon 8 --delta 1e-05 --epochs 200", "Public by your choice: about 600 records"):
            self.assertIn(part, said)
        self.assertNotIn("PRIVACY IS OFF", said)
        text = read(self.folder, "ward-7", "node.conf")
        self.assertEqual([option(text, key) for key in ("dataset", "eps_max", "delta", "records", "clip")], ["ward-7", "8", "1e-05", "600", "1"])
        self.assertGreater(float(option(text, "noise")), 0.3)
        self.starling("config", "check", "ward-7")

    def test_flags_make_a_budget_that_the_accountant_confirms(self):
        self.network("record")
        done = self.starling("--json", "init", "n1", "--data", "data.csv", "--join", "join.star", "--epsilon", "3", "--delta", "1e-6", "--epochs", "50",
                             "--records", "500", "--dataset", "knees 2026")
        answer = json.loads(done.stdout)["data"]["privacy"]
        settings = answer["settings"]
        self.assertEqual((answer["unit"], answer["dataset"], answer["records"], answer["eps_max"]), ("record", "knees 2026", 500, 3.0))
        self.assertEqual(answer["epochs"], 50)
        plain = self.starling("privacy", "epsilon", "--q", repr(settings["sampling_rate"]), "--sigma", repr(settings["noise"]), "--steps",
                              str(50 * settings["steps"]), "--delta", "1e-6", "--plain").stdout
        self.assertLessEqual(float(plain), 3)
        self.assertGreater(float(plain), 2.9)
        self.assertAlmostEqual(float(plain), answer["epsilon_after"], places=6)

    def test_what_set_gives_stays_and_the_noise_is_made_for_it(self):
        self.network("record")
        self.init("n1", "--set", "privacy.sampling_rate=0.01", "--set", "privacy.steps=7", "--epochs", "20")
        text = read(self.folder, "n1", "node.conf")
        self.assertEqual([option(text, key) for key in ("sampling_rate", "steps", "batch")], ["0.01", "7", "6"])
        self.init("n2", "--set", "privacy.noise=4", "--set", "privacy.clip=0.5")
        text = read(self.folder, "n2", "node.conf")
        self.assertEqual([option(text, key) for key in ("noise", "clip")], ["4", "0.5"])

    def test_budgets_that_cannot_be_are_refused_with_a_reason_and_nothing_is_left(self):
        self.network("record")
        for words, part in ((["--delta", "0.005"], "is not below 1 / 600 records"), (["--epsilon", "0"], "--epsilon"), (["--epochs", "2.5"], "--epochs 2.5"),
                            (["--epsilon", "0.001", "--epochs", "1000000"], "more noise than"), (["--records", "many"], "--records"),
                            (["--set", "privacy.noise=0.31", "--epsilon", "0.01"], "not one epoch fits")):
            self.assertIn(part, self.init("n1", *words, code=4).stderr, words)
            self.assertFalse(os.path.exists(self.at("n1")))

    def test_without_privacy_there_is_no_budget_to_set_and_the_screens_are_loud(self):
        self.assertIn("PRIVACY IS OFF", self.network("off"))
        self.assertIn("privacy.unit = off", self.init("n1", "--epsilon", "3", code=4).stderr)
        self.assertIn("PRIVACY IS OFF", self.init("n1").stdout)

    def test_unit_node_has_the_networks_noise_large_cohorts_and_two_epsilons(self):
        said = self.network("node", "--epsilon", "8", "--epochs", "30")
        for part in ("unit node", "(zero-out)", "at most 3 members of a cohort collude", "8 after 30", "If all others collude: epsilon", "delta 1e-05",
                     "10 to 24 members"):
            self.assertIn(part, said)
        self.assertNotIn("PRIVACY IS OFF", said)
        said = self.init("n1").stdout
        for part in ("protects all data of this node together", "after all 30 that fit, never above 8", "if all others collude: epsilon", "delta 1e-05"):
            self.assertIn(part, said)
        self.assertIn("--epochs: with privacy.unit = node", self.init("n2", "--epochs", "9", code=4).stderr)

    def test_nothing_private_is_measured_for_the_descriptor(self):
        base = ["network", "create", "other", "--unit", "record", "--data", "data.csv"]
        refused = self.starling(*base, "--scale", "standard", code=4).stderr
        self.assertIn("--data-is-public", refused)
        self.assertIn("which no budget pays for", refused)
        said = self.starling(*base, "--scale", "standard", "--data-is-public").stdout
        self.assertIn("mean and spread of each column", said)
        self.assertIn("is public, outside of every budget: 4 features, the list of classes, the names of columns", said)
        refused = self.starling("network", "create", "third", "--unit", "record", "--epsilon", "3", "--data", "data.csv", code=4).stderr
        self.assertIn("are for --unit node", refused)


class Running(unittest.TestCase):
    """Five nodes that protect their records; one has a budget for three epochs only."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="starling-privacy-")
        cls.addClassCleanup(cls.folder.cleanup)

        def at(name):
            return os.path.join(cls.folder.name, name)
        write_toy(at("toy.csv"), NODES * ROWS, 1)
        write_toy(at("test.csv"), 120, 2)
        for words in (["split", "--data", at("toy.csv"), "--out", at("parts"), "--nodes", str(NODES)],
                      ["prepare", "--nodes", str(NODES), "--data-dir", at("parts"), "--test", at("test.csv"), "--dir", at("net"), "--epoch-length", "1s",
                       *(word for setting in SETTINGS for word in ("--set", setting))]):
            done = call(SIMULATOR, *words)
            assert done.returncode == 0, done.stderr
        cls.nodes = [at(f"net/n{i:03d}") for i in range(NODES)]
        cls.metrics = f"127.0.0.1:{free_port()}"
        cls.processes = []
        cls.addClassCleanup(cls.end)
        for number in range(NODES):
            more = [f"privacy.eps_max={cls.three_epochs()}"] if number == SPENT else []
            more += ["privacy.show_own_accuracy=yes"] if number == SHOWN else []
            more += [f"node.metrics={cls.metrics}"] if number == 0 else []
            cls.processes.append(cls.start(cls.nodes[number], more))
        wait_until(lambda: cls.status(0)["epoch"]["merged"] >= 6, "six epochs merged")

    @classmethod
    def start(cls, node, settings):
        with open(node + ".log", "w", encoding="utf-8") as log:
            return subprocess.Popen([STARLINGD, node, "--epochs", "1000", "-v", *(word for setting in settings for word in ("--set", setting))],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    @staticmethod
    def three_epochs():
        """Enough for nine steps, and not for twelve."""
        cost = [float(call(STARLING, "privacy", "epsilon", "--q", "0.02", "--sigma", "1.5", "--steps", str(steps), "--delta", "1e-5", "--plain").stdout)
                for steps in (9, 12)]
        return sum(cost) / 2

    @classmethod
    def end(cls):
        for process in cls.processes:
            process.send_signal(signal.SIGTERM)
        for process in cls.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @classmethod
    def status(cls, number):
        try:
            return ask(cls.nodes[number], "status")[0]
        except OSError:
            assert cls.processes[number].poll() is None, read(cls.nodes[number] + ".log")
            return {"epoch": {"merged": 0}}

    def starling(self, number, *words, code=0):
        done = call(STARLING, "-d", self.nodes[number], *words, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, f"starling {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_the_budget_is_counted_as_the_accountant_counts_it(self):
        privacy = ask(self.nodes[0], "privacy")[0]
        steps = 3 * privacy["rounds"]["charged"]
        cost = call(STARLING, "privacy", "epsilon", "--q", "0.02", "--sigma", "1.5", "--steps", str(steps), "--delta", "1e-5", "--plain").stdout
        self.assertGreaterEqual(steps, 18)
        self.assertAlmostEqual(privacy["epsilon"], float(cost), places=6)
        self.assertEqual((privacy["eps_max"], privacy["delta"], privacy["unit"], privacy["adjacency"]), (8.0, 1e-5, "record", "add-remove"))
        self.assertAlmostEqual(privacy["percent"], 100 * privacy["epsilon"] / 8, places=6)
        self.assertEqual(privacy["settings"], {"sampling_rate": 0.02, "batch": 140, "steps": 3, "clip": 1.0, "noise": 1.5})
        self.assertEqual([group["records"] for group in privacy["groups"]], [2, 5, 10])
        self.assertAlmostEqual(privacy["groups"][0]["epsilon"], 2 * privacy["epsilon"], places=6)
        self.assertEqual(privacy["accountant"], "RDP, grid 1")

    def test_the_screen_names_unit_adjacency_epsilon_and_delta_together_and_what_is_not_covered(self):
        screen = self.starling(0, "privacy")
        for part in ("unit      record: protects every single example", "(add-remove)", '"ward 7", about 7000 records', "of at most 8", "at delta 1e-05",
                     "more epochs at these settings", "charged", "no other node is trusted", "2 examples of one person: epsilon", "RDP, grid 1",
                     "not covered by this promise:", "the owner of this machine", "the epsilons add up"):
            self.assertIn(part, screen)
        self.assertEqual(json.loads(self.starling(0, "--json", "privacy"))["data"]["dataset"], "ward 7")
        status = self.starling(0, "status")
        self.assertRegex(status, r"privacy +record, add-remove: epsilon [0-9.]+ of 8 spent at delta 1e-05; enough for \d+ more epochs")
        self.assertIn("own accuracy hidden: privacy", status)
        self.assertIn("learns from about 7000 rows", status)
        self.assertNotIn("privacy is off", status)
        self.assertIn("privacy record, add-remove: epsilon", self.starling(0, "top", "-b"))
        self.assertIn("epsilon", self.starling(0, "epochs", str(ask(self.nodes[0], "epochs")[0]["epochs"][-1]["epoch"])))

    def test_a_node_with_a_spent_budget_learns_no_more_and_goes_on_merging(self):
        wait_until(lambda: self.status(SPENT)["privacy"]["spent"], "the budget is spent")
        before = self.status(SPENT)
        self.assertEqual(before["privacy"]["rounds"]["charged"], 3)
        self.assertEqual(before["privacy"]["rounds"]["left"], 0)
        self.assertLess(before["privacy"]["epsilon"], before["privacy"]["eps_max"])
        wait_until(lambda: self.status(SPENT)["epoch"]["merged"] >= before["epoch"]["merged"] + 2, "it merges what others learn")
        after = self.status(SPENT)
        self.assertEqual(after["privacy"]["rounds"]["charged"], 3)
        self.assertEqual(after["privacy"]["epsilon"], before["privacy"]["epsilon"])
        self.assertEqual(after["epoch"]["trained"], 3)
        self.assertTrue(after["health"]["healthy"])
        self.assertIn("learns no more from its data, goes on merging", self.starling(SPENT, "health"))
        self.assertIn("BUDGET SPENT", self.starling(SPENT, "privacy"))
        self.assertIn("BUDGET SPENT", self.starling(SPENT, "status"))

    def look(self, number):
        """Everything that a node says, by where."""
        said = {command: json.dumps(ask(self.nodes[number], command)[0]) for command in ("status", "health", "model", "epochs", "privacy", "peers")}
        said["events"] = json.dumps(ask(self.nodes[number], "events", n=512)[0])
        said["log"] = read(self.nodes[number] + ".log")
        if number == 0:
            with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10) as answer:
                said["metrics"] = answer.read().decode()
        return said

    def test_nobody_is_told_how_many_rows_there_are_or_how_well_they_are_learned(self):
        for number in range(NODES):
            for where, text in self.look(number).items():
                self.assertNotRegex(text, rf"(?<![\w.]){ROWS}(?![\w.])", f"the number of rows of node {number} in {where}")
                self.assertNotRegex(text, r"\bloss\b", f"a loss of node {number} in {where}")
                self.assertNotRegex(text, r"own (accuracy|rmse) \d|starling_own_score", f"an own score of node {number} in {where}")
                if number != SHOWN:
                    self.assertNotRegex(text, r'"own_score": [^n]', f"an own score of node {number} in {where}")

    def test_an_owner_who_asks_sees_the_own_accuracy_on_the_control_socket_alone(self):
        self.assertGreater(self.status(SHOWN)["model"]["own_score"], 0)
        self.assertIn("own accuracy 0.", self.starling(SHOWN, "status"))
        self.assertNotIn("own accuracy", read(self.nodes[SHOWN] + ".log"))

    def test_metrics_tell_the_budget(self):
        text = self.look(0)["metrics"]
        self.assertIn('starling_privacy_unit{unit="record"} 1', text)
        for name, value in (("epsilon_limit", 8), ("delta", 1e-5), ("spent", 0), ("blocked", 0)):
            self.assertEqual(float(re.search(rf"^starling_privacy_{name} (.*)$", text, re.MULTILINE).group(1)), value)
        self.assertGreater(float(re.search(r"^starling_privacy_epsilon (.*)$", text, re.MULTILINE).group(1)), 0)


class Ending(unittest.TestCase):
    def test_the_report_of_a_network_tells_epsilons_and_no_private_score(self):
        with tempfile.TemporaryDirectory(prefix="starling-privacy-") as folder:
            write_toy(os.path.join(folder, "toy.csv"), 600, 1)
            settings = [word for setting in SETTINGS + ["privacy.records=100", "privacy.batch=2"] for word in ("--set", setting)]
            done = call(TESTNET, "run", "-n", "4", "--data", os.path.join(folder, "toy.csv"), "--epochs", "3", "--epoch-length", "1s", "--dir",
                        os.path.join(folder, "net"), "--build", BUILD, *settings)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("privacy: unit record - protects every single example (add-remove): epsilon at most 8 at delta 1e-5", done.stdout)
            report = json.loads(read(folder, "net", "report.json"))
            self.assertEqual(report["run"]["privacy"], "record")
            for node in report["nodes"]:
                self.assertIsNone(node["own_accuracy"])
                self.assertGreater(node["epsilon"], 0)
                self.assertLessEqual(node["epsilon"], 8)
            self.assertIn("Privacy: on.", read(folder, "net", "report.html"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
