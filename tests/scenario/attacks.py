# SPDX-License-Identifier: MIT
"""Liars among simulated nodes: what can be proven is proven, what cannot costs little, and no honest node is ever banned."""

import json
import subprocess
import sys
import tempfile
import unittest

SIMULATOR = sys.argv.pop(1)
NODES, LIARS, EPOCHS, WEIGHTS = 8, 2, 10, 4096       # with fewer weights nobody would be audited
KINDS = {"two bodies": "1", "bad share": "2", "bad mask tag": "3", "bad box tag": "4", "bad self": "5", "bad self sketch": "7", "bad pair sketch": "8"}


def simulate(*words):
    command = [SIMULATOR, "run", "-n", str(NODES), "--epochs", str(EPOCHS), "--stub", str(WEIGHTS), "--json", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


class Attacks(unittest.TestCase):
    def attack(self, name):
        """What came out; whatever the attack, it struck, and nobody honest was hurt by proof or ban."""
        outcome = simulate("--attack", f"{name}:{LIARS}")["attack"]
        self.assertGreater(outcome["liars"][0]["strikes"], 0, f"{name} never happened")
        self.assertEqual((outcome["honest_banned"], outcome["proofs_against_honest"], outcome["proofs_that_fail"]), (0, 0, 0), outcome)
        return outcome

    def check_proven(self, name, *kinds):
        outcome = self.attack(name)
        for kind in kinds:
            self.assertIn(KINDS[kind], outcome["proofs"], f"{name}: nobody has proof of a {kind}")
        self.assertEqual(outcome["liars_banned"], LIARS, outcome)

    def check_harmless(self, name, percent):
        outcome = self.attack(name)
        self.assertEqual(outcome["liars_banned"], 0, f"{name} proves nothing, so nobody may be banned for it")
        self.assertGreaterEqual(100 * outcome["honest"]["with_aggregate"], percent * outcome["honest"]["total"], outcome)

    def test_shares_that_do_not_open_are_proven(self):
        self.check_proven("bad-shares", "bad share")

    def test_a_secret_that_is_not_the_signed_one_is_proven(self):
        self.check_proven("bad-secret", "bad self")

    def test_a_false_tag_is_proven(self):
        self.check_proven("tag-mismatch")

    def test_a_sketch_that_hides_a_large_input_is_proven(self):
        self.check_proven("false-sketch", "bad self sketch")

    def test_a_sketch_that_frames_a_partner_is_proven(self):
        self.check_proven("framing-sketch", "bad pair sketch")

    def test_two_commits_are_proven(self):
        self.check_proven("two-commits", "two bodies")

    def test_members_that_fall_silent_stop_no_cohort_of_the_others(self):
        for name in ("vanish-commit", "vanish-audit", "vanish-unmask"):
            with self.subTest(name):
                self.check_harmless(name, 60)

    def test_large_inputs_and_halves_of_the_ring_are_left_out(self):
        for name in ("huge-input", "half-ring"):
            with self.subTest(name):
                self.check_harmless(name, 60)

    def test_old_and_foreign_messages_change_nothing(self):
        for name in ("replay-epoch", "replay-cohort"):
            with self.subTest(name):
                self.check_harmless(name, 80)

    def test_four_of_five_cohorts_survive_churn_and_loss(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as scenario:
            scenario.write("at 0s churn 0.3\nat 0s loss 0.02\n")
            scenario.flush()
            runs = [simulate("--scenario", scenario.name, "-n", "30", "--epochs", "40", "--stub", "16", "--seed", seed)["cohorts"] for seed in "123"]
        completed, void = (sum(run[word] for run in runs) for word in ("completed", "void"))
        self.assertGreaterEqual(completed, 0.8 * (completed + void), runs)

    def test_a_name_that_no_attack_has_is_refused_with_the_names_that_are(self):
        done = subprocess.run([SIMULATOR, "run", "--stub", "16", "--attack", "sign-flip:1"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("vanish-shares", done.stderr)


if __name__ == "__main__":
    unittest.main()
