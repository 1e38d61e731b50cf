# SPDX-License-Identifier: MIT
"""starling privacy epsilon and plan: numbers of other accountants, the way back, and what bad input is answered."""

import csv
import json
import math
import os
import unittest

from kit import BUILD, call

STARLING = os.path.join(BUILD, "tools", "starling")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit", "tables", "privacy_epsilons.csv")
# Of these our number is theirs; the true loss bounds it from below.
OURS = {"poisson_gaussian", "poisson_gaussian_het", "gaussian", "gaussian_replace_one", "discrete_gaussian_1d"}


def starling(*words):
    return call(STARLING, "privacy", *map(str, words))


def epsilon(q, sigma, steps, delta):
    done = starling("epsilon", "--q", q, "--sigma", sigma, "--steps", steps, "--delta", delta, "--plain")
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


class Epsilon(unittest.TestCase):
    def test_it_reproduces_what_other_accountants_say(self):
        n_rows = 0
        with open(TABLE, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["mechanism"] not in OURS:
                    continue
                sigma = float(row["sigma"]) / 2 if row["mechanism"] == "gaussian_replace_one" else row["sigma"]
                found = epsilon(row["q"], sigma, row["steps"], row["delta"])
                self.assertAlmostEqual(found / float(row["eps_rdp"]), 1, delta=1e-6, msg=row)
                if row["mechanism"] != "discrete_gaussian_1d":
                    self.assertGreaterEqual(found, float(row["eps_pld"]) * (1 - 1e-3), row)
                n_rows += 1
        self.assertEqual(n_rows, 48)

    def test_a_line_for_people_an_object_for_programs(self):
        words = ["epsilon", "--q", 1, "--sigma", 1, "--steps", 1, "--delta", "1e-5"]
        self.assertEqual(starling(*words).stdout, "eps=4.752728337 order=5\n")
        data = json.loads(starling(*words, "--json").stdout)["data"]
        self.assertAlmostEqual(data["epsilon"], 4.752728337, places=8)
        self.assertEqual((data["order"], data["grid"]), (5, 1))

    def test_lists_may_be_long_and_numbers_extreme(self):
        n = 300
        whole = epsilon("|".join(["0.01"] * n), "|".join(["1.25"] * n), "|".join(["7"] * n), 1e-6)
        self.assertAlmostEqual(whole, epsilon(0.01, 1.25, 7 * n, 1e-6), delta=1e-8)
        self.assertEqual(epsilon(0, 1, 5, 1e-5), 0)
        self.assertTrue(0 < epsilon(1e-9, 0.3, 2 ** 32, 1e-12) < math.inf)
        self.assertTrue(1e10 < epsilon(1, 0.3, 2 ** 32, 1e-2) < math.inf)
        self.assertLess(epsilon(0.001, 1e4, 1, 1e-5), 1e-3)

    def test_what_has_no_answer_is_refused_in_a_sentence(self):
        good = {"--q": "0.1", "--sigma": "1", "--steps": "10", "--delta": "1e-5"}
        for flag, values in {"--q": ["nan", "-0.1", "1.5", "1e400", "", "x", "0.1|0.2", "0.1|", "|0.1"],
                             "--sigma": ["0.29", "0", "-1", "inf", "nan", "10001", "0x1"],
                             "--steps": ["0", "-1", "1.5", "4294967297", "nan", "10|10"],
                             "--delta": ["0", "1e-13", "0.02", "nan", "-1e-5", "1e-5|1e-5"]}.items():
            for value in values:
                done = starling("epsilon", *[f"{name}={value if name == flag else number}" for name, number in good.items()])
                self.assertEqual((done.returncode, done.stdout), (4, ""), (flag, value))
                self.assertRegex(done.stderr, r"^starling: .*--(q|sigma|steps|delta).*\n$", (flag, value))
        for words in ([], ["--q", "0.1"], ["--bad", "1"], ["more"], ["--q"]):
            done = starling("epsilon", *words)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (4, "", 1), words)


class Plan(unittest.TestCase):
    def plan(self, *words, code=0):
        done = starling("plan", *words, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout).get("data")

    def test_the_noise_of_a_plan_is_enough_and_hardly_more(self):
        for records, batch, steps, epochs, wanted, z in ((600, 120, 5, 30, 8, 1.80), (600, 120, 5, 30, 3, 3.84), (600, 120, 15, 10, 1, 10.06),
                                                         (6000, 300, 10, 30, 3, 1.56), (60000, 1200, 5, 100, 1, 2.02), (1000, 100, 2, 100, 8, 1.22)):
            plan = self.plan("--records", records, "--batch", batch, "--steps", steps, "--epochs", epochs, "--epsilon", wanted)
            noise, q = plan["noise"], batch / records
            self.assertAlmostEqual(noise, z, delta=0.006)
            self.assertEqual((plan["sampling_rate"], plan["warnings"]), (q, []))
            self.assertLessEqual(epsilon(q, noise, steps * epochs, 1e-5), wanted)
            self.assertGreater(epsilon(q, noise * (1 - 1e-6), steps * epochs, 1e-5), wanted)
            self.assertAlmostEqual(plan["epsilon"], wanted, delta=1e-5)

    def test_unit_node_names_the_floor_and_the_price_of_audits(self):
        for epochs, wanted, z in ((20, 8, 2.85), (20, 3, 6.69), (20, 1, 18.1), (100, 8, 6.38), (100, 3, 15.0), (100, 1, 40.5)):
            plan = self.plan("--unit", "node", "--records", 600, "--epochs", epochs, "--epsilon", wanted, "--honest", 16, "--cohort", 32, "--colluders", 10)
            self.assertAlmostEqual(plan["noise"] / z, 1, delta=0.004)
            self.assertEqual((plan["audit_factor"], plan["warnings"]), (1, []))
            self.assertAlmostEqual(plan["eps_floor"], epsilon(1, plan["noise"] / 4, epochs, 1e-5), delta=1e-6 * plan["eps_floor"])
            self.assertAlmostEqual(plan["noise_of_mean"], plan["noise"] / math.sqrt(16 * 32))

        audited = self.plan("--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16, "--block", 8192)
        self.assertGreater(audited["audit_factor"], 1.09)
        self.assertGreater(audited["noise"], 2.854)
        scale = math.sqrt(audited["audit_factor"])              # so much more variance for so much more loss
        self.assertAlmostEqual(epsilon(1, audited["noise"] / scale, 20, 1e-5 - 20e-9), 8, delta=1e-5)
        small = self.plan("--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16, "--block", 4095)
        self.assertEqual(small["audit_factor"], 1)
        replaced = self.plan("--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16, "--adjacency", "replace")
        self.assertAlmostEqual(replaced["noise"] / 2 / small["noise"], 1, delta=1e-6)

    def test_it_warns_of_what_no_node_would_take(self):
        some = ["--records", 600, "--batch", 600, "--steps", 100, "--epochs", 100]
        self.assertIn("more noise than", self.plan(*some, "--epsilon", 0.5)["warnings"][0])
        self.assertIn("below 1 / records", " ".join(self.plan(*some, "--epsilon", 8, "--delta", 0.005)["warnings"]))
        self.assertIn("less noise than this", self.plan("--records", 600, "--batch", 1, "--steps", 1, "--epochs", 1, "--epsilon", 1000)["warnings"][0])
        tight = self.plan("--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16, "--cohort", 16)
        self.assertIn("privacy.honest = 16", " ".join(tight["warnings"]))
        alone = self.plan("--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 1)
        self.assertIn("many hundreds of nodes", " ".join(alone["warnings"]))
        self.assertAlmostEqual(alone["eps_floor"], alone["epsilon"])

    def test_the_text_names_what_to_set(self):
        text = starling("plan", "--records", 600, "--batch", 120, "--steps", 5, "--epochs", 30, "--epsilon", 3).stdout
        for line in ("privacy.unit=record", "privacy.records=600", "privacy.sampling_rate=0.2", "privacy.batch=120", "privacy.steps=5", "privacy.noise=3.84161",
                     "privacy.eps_max=3", "privacy.delta=1e-05", "protects one record"):
            self.assertIn(line, text)
        text = starling("plan", "--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16, "--cohort", 32, "--colluders", 10).stdout
        for line in ("privacy.unit=node", "privacy.honest=16", "privacy.colluders=10", "privacy.cohort_min_size=32", "privacy.node_noise=2.853",
                     "eps_floor = 49.4"):
            self.assertIn(line, text)

    def test_bad_input_is_refused_in_a_sentence(self):
        record = ["--records", 600, "--batch", 120, "--steps", 5, "--epochs", 30, "--epsilon", 3]
        node = ["--unit", "node", "--records", 600, "--epochs", 20, "--epsilon", 8, "--honest", 16]
        for words, part in ((record[2:], "--records N"), (record[:2] + record[4:], "--batch B"), (record[:-2], "--epsilon X"), (node[:-2], "--honest H"),
                            (record + ["--honest", 3], "--honest is for"), (node + ["--batch", 3], "--batch is for"),
                            (record + ["--unit", "off"], "--unit is"), (record + ["--batch", 601], "between 1 and 600"),
                            (record + ["--epsilon", "nan"], "--epsilon"), (record + ["--epsilon", 0], "--epsilon"),
                            (record + ["--steps", 1.5], "whole number"), (record + ["--delta", 1], "--delta"), (node + ["--cohort", 65], "--cohort"),
                            (node + ["--adjacency", "add-remove"], "zero-out or replace"),
                            (record + ["--epochs", 1e6, "--epsilon", 0.001], "cannot be reached"),
                            (node + ["--block", 8192, "--epochs", 9000], "every audit takes"), (record + ["more"], "one word too many")):
            done = starling("plan", *words)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (4, "", 1), (words, done.stderr))
            self.assertIn(part, done.stderr, words)


if __name__ == "__main__":
    unittest.main()
