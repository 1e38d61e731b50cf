# SPDX-License-Identifier: MIT
"""
Real networks that lose nodes and wires, and get over it. Each test is one run of testnet/testnet with a scenario, judged by its report.
STARLING_LONG=1 makes the partition last the full minute; without it, 12 seconds.
"""

import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

from kit import BUILD, ROOT, TESTNET, write_toy

sys.path.insert(0, os.path.join(ROOT, "testnet"))
import isolation  # noqa: E402

STARLING = os.path.join(BUILD, "tools", "starling")
N_NODES = 8
EPOCH = 1.5                                  # seconds: long enough for eight nodes with sanitizers on two busy cores
PATIENCE = "phase.formation=0.3"             # cohorts need not be found in a fifth of a second
ATTEMPTS = 3                                 # where other programs take the processor
RETURN_EPOCHS_MAX, HEAL_EPOCHS_MAX = 3, 5
LEARNED_SCORE = 0.75                         # three classes: a third by chance
SCENARIO_PARTITION = 60 if os.environ.get("STARLING_LONG") else 12


class Churn(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-churn-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_scenario(self, name, text, n_epochs, *more):
        """The report of a run, and its log."""
        train, test, path, net = (os.path.join(self.folder, part) for part in ("train.csv", "test.csv", "faults.conf", name))
        write_toy(train, 100 * N_NODES, 1)
        write_toy(test, 150, 2)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([TESTNET, "run", "-n", str(N_NODES), "--data", train, "--test", test, "--epochs", str(n_epochs), "--epoch-length", f"{EPOCH}s",
                               "--set", PATIENCE,
                               "--dir", net, "--build", BUILD, "--scenario", path, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=n_epochs * EPOCH + 90, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + self.last_words(net))
        with open(os.path.join(net, "report.json"), encoding="utf-8") as file:
            return json.load(file), done.stdout + "\n" + text

    @staticmethod
    def last_words(net):
        words = ""
        for path in sorted(glob.glob(os.path.join(net, "n*", "log"))):
            with open(path, encoding="utf-8", errors="replace") as file:
                words += f"\n{path}\n" + "".join(file.readlines()[-12:])
        return words

    @staticmethod
    def by_epoch(report, number, key):
        """Epoch -> what node `number` reported."""
        series = report["epochs"][number]
        return dict(zip(series["epoch"], series.get(key, [None] * len(series["epoch"]))))

    def test_a_killed_node_costs_the_others_one_epoch_at_most_and_comes_back_with_its_state(self):
        for attempt in range(ATTEMPTS):
            draw = random.Random()
            victim, falls, stays = draw.randrange(N_NODES), EPOCH * draw.uniform(5, 6), EPOCH * draw.uniform(3.2, 4)
            report, log = self.run_scenario(f"net{attempt}", f"at {falls:.3f}s crash {victim} for {stays:.3f}s\n", 14)
            died, back = (int(deed["at_s"] // EPOCH) for deed in report["run"]["deeds"])
            merged = [self.by_epoch(report, number, "merged") for number in range(N_NODES) if number != victim]
            missed = {epoch for epoch in range(1, 15) if not all(epochs.get(epoch) for epochs in merged)}
            after = missed & {died + 1, died + 2, died + 3}
            is_busy = bool(missed - after - {died, back})        # epochs that were lost though nobody had died: the machine has no time for this test
            if not after or not is_busy:
                break
        self.assertFalse(after, f"n{victim:03d} died in {died}, was back in {back}; others merged nothing in {sorted(missed)}\n{log}")

        with_aggregate = [epoch for epoch, has in self.by_epoch(report, victim, "aggregate").items() if has and epoch > back]
        self.assertTrue(with_aggregate and min(with_aggregate) <= back + RETURN_EPOCHS_MAX,
                        f"n{victim:03d}, back in epoch {back}, had aggregates in {with_aggregate}\n{log}")
        scores = self.by_epoch(report, victim, "own_score")
        first = min(epoch for epoch in scores if epoch > back)
        self.assertLess(scores[1], LEARNED_SCORE, "the test needs a task that a new model cannot do")
        self.assertGreater(scores[first], LEARNED_SCORE, f"n{victim:03d} began anew: {scores}\n{log}")

    def test_a_network_learns_on_while_a_tenth_of_it_falls_and_returns_every_epoch(self):
        report, log = self.run_scenario("net", "at 2e churn 0.1\nat 12e calm\n", 16)

        self.assertGreater(report["accuracy"]["min"], 0.85, log)
        last = [self.by_epoch(report, number, "merged").get(16) for number in range(N_NODES)]
        self.assertTrue(all(last), f"merged in the last epoch: {last}\n{log}")

    def test_a_new_node_joins_through_another_when_the_first_door_is_dead(self):
        if not os.path.exists(STARLING):
            self.skipTest(f"{STARLING} is not built, and it writes the invites")
        net, train = os.path.join(self.folder, "net"), os.path.join(self.folder, "train.csv")
        write_toy(train, 100 * 5, 1)
        self.command("up", "-n", "5", "--data", train, "--epoch-length", f"{EPOCH}s", "--set", PATIENCE, "--dir", net, "--build", BUILD)
        self.addCleanup(self.command, "down", "--dir", net)
        self.command("add", "1", "--dir", net)                       # from now on the network's door is n000
        self.wait_for_aggregate(net, 5)
        self.command("kill", "0", "--dir", net)

        self.command("add", "1", "--dir", net)

        self.wait_for_aggregate(net, 6)

    def command(self, *words):
        done = subprocess.run([TESTNET, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def wait_for_aggregate(self, net, number):
        limit = time.monotonic() + 20 * EPOCH
        while time.monotonic() < limit:
            rows = json.loads(self.command("status", "--json", "--dir", net))["data"]["nodes"]
            if rows[number]["with_aggregate"]:
                return
            time.sleep(EPOCH / 2)
        self.fail(f"n{number:03d} had no aggregate in 20 epochs: {rows}{self.last_words(net)}")

    def test_two_halves_learn_apart_and_are_one_network_again_soon_after(self):
        reason = isolation.why_not()
        if reason:
            self.skipTest(f"a partition is not to be had here: {reason}")
        begins, ends = 4, 4 + round(SCENARIO_PARTITION / EPOCH)

        report, log = self.run_scenario("net", f"at {begins}e partition 0-3/4-7\nat {ends}e heal\n", ends + 8)

        apart = range(begins + 2, ends)
        for number in range(N_NODES):
            cohorts = self.by_epoch(report, number, "cohort")
            self.assertTrue(any(cohorts.get(epoch) for epoch in apart), f"n{number:03d} learned with nobody during the partition: {cohorts}\n{log}")
            self.assertTrue(all((cohorts.get(epoch) or 0) <= N_NODES // 2 for epoch in apart), f"n{number:03d} met the other half: {cohorts}\n{log}")
        members = [self.by_epoch(report, number, "merged_members") for number in range(N_NODES)]
        joined = [min((epoch for epoch, count in epochs.items() if epoch >= ends and count > N_NODES // 2), default=None) for epochs in members]
        self.assertTrue(all(epoch is not None and epoch <= ends + HEAL_EPOCHS_MAX for epoch in joined),
                        f"healed in {ends}; each node's first merge with members of the other half: {joined}\n{log}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
