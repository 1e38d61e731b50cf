# SPDX-License-Identifier: MIT
"""Tests of tools/bench/learning on made-up reports: no data and no simulator needed."""
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "bench", "learning")


def load():
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_loader("learning", importlib.machinery.SourceFileLoader("learning", TOOL))
    module = importlib.util.module_from_spec(spec)
    sys.modules["learning"] = module         # a data class looks its module up
    spec.loader.exec_module(module)
    return module


learning = load()


def report(mean, key="accuracy", worst_tenth=.5, worst=.4, n_bytes=3000, epochs=2):
    return {key: {"mean": mean, "worst_tenth": worst_tenth, "min" if key == "accuracy" else "max": worst}, "cpu_s": 1.5,
            "nodes": [{"epochs": epochs, "bytes_sent": n_bytes}, {"epochs": epochs, "bytes_sent": n_bytes}]}


class Figures(unittest.TestCase):
    def test_are_means_over_runs(self):
        figures = learning.figures_of([report(.8, worst_tenth=.6), report(.9, worst_tenth=.4)])
        self.assertAlmostEqual(figures.mean, .85)
        self.assertAlmostEqual(figures.worst_tenth, .5)
        self.assertAlmostEqual(figures.kb_per_node_epoch, 1.5)
        self.assertAlmostEqual(figures.cpu_s, 1.5)

    def test_of_a_regression_take_the_highest_error_as_the_worst(self):
        self.assertAlmostEqual(learning.figures_of([report(17, "rmse", worst=21)]).worst, 21)

    def test_stand_a_run_that_sent_nothing(self):
        self.assertEqual(learning.figures_of([report(.8, n_bytes=0, epochs=0)]).kb_per_node_epoch, 0)

    def test_the_centralised_side_gets_its_best_rate(self):
        self.assertEqual(learning.best([[report(.8)], [report(.9)]])[0]["accuracy"]["mean"], .9)
        self.assertEqual(learning.best([[report(18, "rmse")], [report(17, "rmse")]])[0]["rmse"]["mean"], 17)

    def test_differences_pair_runs_of_the_same_fold_and_seed(self):
        mean, error = learning.paired_difference([report(.5), report(.9)], [report(.6), report(1.0)])
        self.assertAlmostEqual(mean, -.1)
        self.assertAlmostEqual(error, 0, msg="the folds differ, the differences do not")


class Arguments(unittest.TestCase):
    def test_keep_every_row_for_training_in_all_three_kinds_of_run(self):
        for row in learning.ROWS.values():
            self.assertEqual(learning.settings_of(row)["data.holdback"], "0")

    def test_a_change_wins_over_the_settings_of_the_task(self):
        self.assertEqual(learning.settings_of(learning.ROWS["optdigits"], {"train.lr": .5})["train.lr"], .5)

    def test_name_the_file_of_writers_in_the_folder_of_the_data(self):
        words = learning.arguments_of(learning.ROWS["mnist"], "/data/mnist", [], {}, 30, 1)
        self.assertIn("by:/data/mnist/train-writers.csv.gz:writer", words)


class Tables(unittest.TestCase):
    def test_are_markdown_with_one_cell_for_each_column(self):
        figures, row = learning.Figures(.9, .8, .7), learning.ROWS["optdigits"]
        result = learning.Result("optdigits", row, figures, figures, figures, (-.001, .002))
        for table in (learning.result_table([result]), learning.gains_table([result])):
            lines = table.splitlines()
            self.assertEqual(len(lines), 3)
            self.assertEqual(len({line.count("|") for line in lines}), 1)
        self.assertIn("**missed**", learning.result_table([result]))


class Program(unittest.TestCase):
    def test_skips_with_a_sentence_where_the_data_are_absent(self):
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run([sys.executable, TOOL, "--sim", "/bin/false"], env=dict(os.environ, STARLING_DATA=empty), capture_output=True, text=True)
        self.assertEqual(done.returncode, 77)
        self.assertIn("STARLING_DATA", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
