# SPDX-License-Identifier: MIT
"""testnet/testnet with real nodes: they learn, survive a death among them, and stop when told; and what it refuses, it refuses in time."""

import argparse
import glob
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from kit import BUILD, ROOT, SIMULATOR, TESTNET, call, write_toy

sys.path.insert(0, os.path.join(ROOT, "testnet"))
import commands  # noqa: E402
import isolation  # noqa: E402
import live  # noqa: E402
import options  # noqa: E402
import page  # noqa: E402
import report as reports  # noqa: E402
import scenario  # noqa: E402
import state  # noqa: E402
from programs import Refusal  # noqa: E402

REPORT_KEYS = ["schema_version", "accuracy", "nodes", "cohorts", "node_epochs", "wall_s", "epochs", "run"]
NODE_KEYS = ["id", "accuracy", "own_accuracy", "epochs", "bytes_sent", "bytes_received", "cpu_s", "rss_max_bytes", "signature_checks",
             "name", "rows", "classes"]
EPOCHS = 6
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")      # as the kernel writes it: v4, v4 in v6, v6
FASHION = "/usr/share/datasets/fashion-mnist"
SCENARIOS = os.path.join(ROOT, "testnet", "scenarios")


def words_for(folder, name, n_nodes, command, *more):
    train, test = os.path.join(folder, "train.csv"), os.path.join(folder, "test.csv")
    write_toy(train, 60 * n_nodes, 1)
    write_toy(test, 150, 2)
    return [TESTNET, command, "-n", str(n_nodes), "--data", train, "--test", test, "--epoch-length", "1s",
            "--dir", os.path.join(folder, name), "--build", BUILD, *more]


def start(folder, name, n_nodes, *more):
    words = words_for(folder, name, n_nodes, "run", "--epochs", str(EPOCHS), *more)
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_json(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


def pids_of(folder, name):
    return [node["pid"] for node in read_json(folder, name, "testnet.json")["nodes"] if node["pid"]]


def is_alive(pid):
    return state.start_time(pid) is not None


def wait_for_line(process, text):
    for line in process.stdout:
        if text in line:
            return line
    return ""


def wait_until(condition, seconds):
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.1)
    return condition()


def listening_addresses(pid):
    """Of one process: every TCP address at which it accepts connections, in the kernel's hex."""
    inodes = set()
    for descriptor in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            match = re.match(r"socket:\[(\d+)\]", os.readlink(descriptor))
        except OSError:
            continue
        if match:
            inodes.add(match.group(1))
    addresses = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            lines = [line.split() for line in file.readlines()[1:]]
        addresses += [words[1] for words in lines if words[3] == "0A" and words[9] in inodes]
    return addresses


class Testnet(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="starling-testnet-")
        self.addCleanup(self.folder.cleanup)

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

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
        self.assertEqual([node["rows"] for node in report["nodes"]], [60] * 4)
        self.assertTrue(all(node["epochs"] == EPOCHS for node in report["nodes"]), report["nodes"])
        self.assertEqual(report["node_epochs"]["total"], 4 * EPOCHS)
        for i in range(4):
            self.assertGreater(read_json(self.folder.name, "net", f"n{i:03d}", "summary.json")["epochs_with_aggregate"], 0)
        self.assertGreater(report["cohorts"]["completed"], 0)
        self.assertGreater(report["accuracy"]["min"], 0.85)
        self.assertEqual([series["epoch"] for series in report["epochs"]], [list(range(1, EPOCHS + 1))] * 4)
        self.assertTrue(all(score is not None for series in report["epochs"] for score in series["own_score"]))
        self.assertRegex(log, rf"epoch {EPOCHS}/{EPOCHS}: 4 of 4 nodes reported")
        self.assert_is_self_contained(os.path.join(self.folder.name, "net", "report.html"))

    def assert_is_self_contained(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for word in ("http:", "https:", "src=", "<script", "<link", "@import", "url(http"):
            self.assertNotIn(word, text)
        for word in ("Privacy: off", "<svg", "n003", "To repeat it", "--epoch-length 1s"):
            self.assertIn(word, text)

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
        with open(os.path.join(self.folder.name, "net", "report.html"), encoding="utf-8") as file:
            self.assertIn("n002 died: killed by SIGKILL", file.read())

    def test_a_crash_is_told_in_the_exit_code_and_nobody_is_left_behind(self):
        process = start(self.folder.name, "net", 4)
        self.assertTrue(wait_for_line(process, "epoch 1/"))
        pids = pids_of(self.folder.name, "net")
        os.kill(pids[1], signal.SIGABRT)
        output, log = process.communicate(timeout=60)

        self.assertEqual(process.returncode, 1, output + log)
        self.assertIn("n001 died", output)
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])

    def test_an_interrupt_stops_every_node_and_says_so(self):
        process = start(self.folder.name, "net", 3)
        self.assertTrue(wait_for_line(process, "epoch 1/"))
        pids = pids_of(self.folder.name, "net")
        process.send_signal(signal.SIGINT)
        output, log = process.communicate(timeout=30)

        self.assertEqual(process.returncode, 1, output + log)
        self.assertIn("interrupted: stopped 3 nodes", output)
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])

    def test_everything_listens_on_loopback_only(self):
        process = start(self.folder.name, "net", 2)
        self.addCleanup(self.end, process)
        self.assertTrue(wait_for_line(process, "epoch 1/"))

        addresses = [address for pid in pids_of(self.folder.name, "net") for address in listening_addresses(pid)]

        self.assertGreaterEqual(len(addresses), 2)
        self.assertTrue(all(address.split(":")[0] in LOOPBACK for address in addresses), addresses)

    def test_a_network_lives_in_the_background_until_it_is_taken_down(self):
        net = os.path.join(self.folder.name, "net")
        done = call(*words_for(self.folder.name, "net", 4, "up"))
        self.addCleanup(call, TESTNET, "down", "--dir", net)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 nodes learn in the background", done.stdout)
        pids = pids_of(self.folder.name, "net")

        def rows():
            answer = call(TESTNET, "status", "--json", "--dir", net)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            return json.loads(answer.stdout)["data"]["nodes"]

        self.assertTrue(wait_until(lambda: all(row["epoch"] for row in rows()), 20))
        self.assertEqual([row["state"] for row in rows()], ["running"] * 4)
        self.assertIn("4 of 4 nodes are still learning", call(TESTNET, "report", "--dir", net).stdout)
        report = read_json(net, "report.json")
        self.assertEqual(report["running"], 4)
        self.assertGreaterEqual(report["node_epochs"]["total"], 4)
        self.assertEqual(report["cohorts"], {"completed": None, "void": None})
        again = call(*words_for(self.folder.name, "net", 4, "up"))
        self.assertEqual(again.returncode, 4)
        self.assertIn("4 nodes run in it", again.stderr)

        self.assertEqual(call(TESTNET, "pause", "1", "--dir", net).returncode, 0)
        self.assertEqual(rows()[1]["state"], "paused")
        self.assertIn("paused already", call(TESTNET, "pause", "0-1", "--dir", net).stderr)
        self.assertEqual([row["state"] for row in rows()], ["running", "paused", "running", "running"], "all or nothing")
        self.assertEqual(call(TESTNET, "resume", "all", "--dir", net).stdout, "n001 resumed\n")
        self.assertIn("n000 is not paused", call(TESTNET, "resume", "all", "--dir", net).stderr)
        self.assertEqual(call(TESTNET, "kill", "n002", "--dir", net).returncode, 0)
        self.assertFalse(is_alive(pids[2]))
        self.assertEqual([row["state"] for row in rows()], ["running", "running", "killed by testnet", "running"])
        self.assertEqual(call(TESTNET, "restart", "1-2", "--dir", net).returncode, 4)
        self.assertEqual(call(TESTNET, "restart", "all", "--dir", net).stdout, "n002 back\n")
        self.assertEqual(rows()[2]["state"], "running")

        cut = call(TESTNET, "partition", "0-1/2-3", "--dir", net)
        self.assertEqual(cut.returncode, 4)
        self.assertIn("start it with --netns", cut.stderr)
        self.assertIn("epoch", call(TESTNET, "logs", "0", "--dir", net).stdout)
        self.assertIn("names no node", call(TESTNET, "logs", "4", "--dir", net).stderr)
        self.assertIn("ends them first", call(TESTNET, "clean", "--dir", net).stderr)

        down = call(TESTNET, "down", "--dir", net)
        self.assertEqual(down.returncode, 0, down.stderr)
        self.assertIn("stopped 4 nodes", down.stdout)
        self.assertEqual([pid for pid in pids_of(self.folder.name, "net") if is_alive(pid)], [])
        self.assertEqual([deed["text"] for deed in read_json(net, "report.json")["run"]["deeds"]],
                         ["n001 paused", "n001 resumed", "n002 killed", "n002 back"])
        self.assertEqual(call(TESTNET, "clean", "--dir", net).returncode, 0)
        self.assertFalse(os.path.exists(net))

    def test_a_network_can_be_taken_down_as_soon_as_it_is_up(self):
        net = os.path.join(self.folder.name, "net")
        done = call(*words_for(self.folder.name, "net", 2, "up", "--epoch-length", "10s"))
        self.addCleanup(call, TESTNET, "down", "--dir", net)
        self.assertEqual(done.returncode, 0, done.stderr)

        self.assertEqual(call(TESTNET, "report", "--dir", net).returncode, 0)
        down = call(TESTNET, "down", "--dir", net)

        self.assertEqual((down.returncode, down.stderr), (0, ""))
        self.assertIn("stopped 2 nodes", down.stdout)
        self.assertTrue(os.path.exists(os.path.join(net, "report.html")))

    def test_a_start_that_is_refused_leaves_nothing_behind(self):
        net, there = os.path.join(self.folder.name, "net"), os.path.join(self.folder.name, "there")
        os.mkdir(there)
        for name, folder in (("net", net), ("there", there)):
            done = call(*words_for(self.folder.name, name, 2, "up", "--set", "foo=1"))
            self.addCleanup(call, TESTNET, "down", "--dir", folder)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("foo", done.stderr)
        self.assertFalse(os.path.exists(net))
        self.assertEqual(os.listdir(there), [])

    def test_a_demo_shows_its_table_plot_and_page_and_leaves_nothing_running(self):
        if not os.path.isdir(FASHION):
            self.skipTest("Debian's package dataset-fashion-mnist is not installed")
        net = os.path.join(self.folder.name, "demo")
        process = subprocess.Popen([TESTNET, "demo", "--epochs", "3", "--epoch-length", "2s", "--dir", net, "--build", BUILD],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        self.assertIn("no formal promise", wait_for_line(process, "privacy: OFF"))
        self.assertTrue(wait_for_line(process, "epoch 1/3"))
        pids = pids_of(self.folder.name, "demo")
        addresses = [address for pid in pids for address in listening_addresses(pid)]
        output, log = process.communicate(timeout=90)

        self.assertEqual(process.returncode, 0, output + log)
        self.assertTrue(addresses and all(address.split(":")[0] in LOOPBACK for address in addresses), addresses)
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])
        for word in ("n007", "accuracy on the test data: mean", "* mean, . lowest node", f"page:   {net}/report.html"):
            self.assertIn(word, output)

    def test_wires_are_cut_and_joined_and_gone_in_the_end_even_if_testnet_itself_was_killed(self):
        reason = isolation.why_not()
        if reason:
            self.skipTest(f"namespaces are not to be had here: {reason}")
        net = os.path.join(self.folder.name, "net")
        process = start(self.folder.name, "net", 4, "--netns")
        self.addCleanup(self.end, process)
        self.addCleanup(call, TESTNET, "down", "--dir", net)
        self.assertTrue(wait_for_line(process, "epoch 1/"))
        tag, pids = read_json(net, "testnet.json")["tag"], pids_of(self.folder.name, "net")

        cut = call(TESTNET, "partition", "0-1/2-3", "--dir", net)
        self.assertEqual(cut.returncode, 0, cut.stderr)
        self.assertIn("in force: partition 0-1 | 2-3", call(TESTNET, "status", "--dir", net).stdout)
        self.assertEqual(call(TESTNET, "heal", "--dir", net).returncode, 0)
        self.assertNotIn("in force", call(TESTNET, "status", "--dir", net).stdout)
        self.assertEqual(call(TESTNET, "partition", "0/1-3", "--dir", net).returncode, 0)
        process.kill()
        process.communicate(timeout=10)
        self.assertTrue(all(is_alive(pid) for pid in pids))

        down = call(TESTNET, "down", "--dir", net)

        self.assertIn("stopped 4 nodes", down.stdout, down.stderr)
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])
        self.assertNotIn(tag, call("ip", "netns", "list").stdout)
        self.assertNotIn("in force", call(TESTNET, "status", "--dir", net).stdout)

    def test_a_network_in_the_background_has_somebody_who_carries_its_scenario_out(self):
        net, path = os.path.join(self.folder.name, "net"), os.path.join(self.folder.name, "faults.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("at 2e crash 1\nat 4e restart 1\n")
        done = call(*words_for(self.folder.name, "net", 4, "up", "--scenario", path))
        self.addCleanup(call, TESTNET, "down", "--dir", net)
        self.assertEqual(done.returncode, 0, done.stderr)

        self.assertTrue(wait_until(lambda: len(read_json(net, "testnet.json")["deeds"]) == 2, 20), read_json(net, "testnet.json"))
        facts = read_json(net, "testnet.json")
        self.assertEqual([deed["text"] for deed in facts["deeds"]], ["n001 killed", "n001 back"])
        self.assertTrue(is_alive(facts["keeper"]["pid"]))
        self.assertIn("stopped 4 nodes", call(TESTNET, "down", "--dir", net).stdout)
        self.assertFalse(is_alive(facts["keeper"]["pid"]))

    def test_a_reused_process_number_is_never_killed(self):
        bystander = subprocess.Popen(["sleep", "60"])
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        entry = {"name": "n000", "address": "127.0.0.1:1", "pid": bystander.pid, "started": state.start_time(bystander.pid) - 1,
                 "boot": state.boot_id(), "paused": False, "ended": None, "starts": 1, "data": None}
        net = os.path.join(self.folder.name, "net")
        state.State(net).create({"nodes": [entry], "stopped": None, "tag": None, "faults": {}, "deeds": [], "begin": 0, "first_epoch": 0,
                                 "epoch_seconds": 1.0, "build": BUILD, "epochs": 0, "settings": {"score": "accuracy"}})

        killed, down = call(TESTNET, "kill", "0", "--dir", net), call(TESTNET, "down", "--dir", net)

        self.assertEqual(killed.returncode, 4)
        self.assertIn("not running", killed.stderr)
        self.assertIn("stopped 0 nodes", down.stdout)
        self.assertIsNone(bystander.poll())

    def test_bad_arguments_get_a_sentence_and_exit_code_4(self):
        none = ["--dir", os.path.join(self.folder.name, "none")]
        network = ["-n", "2", "--data", "x", "--epochs", "1", *none]
        for words, sentence in [(["upp"], "there is: demo, run, up"), ([], "a command is needed"), (["run", "-n", "2"], "required"),
                                (["run", "-n", "0", "--data", "x", "--epochs", "1", *none], "-n must be"),
                                (["run", "-n", "2", "--data", "/nowhere.csv", "--epochs", "1", "--build", BUILD, *none], "/nowhere.csv"),
                                (["run", *network, "--epoch-length", "2 parsecs"], "--epoch-length"),
                                (["run", *network, "--attack", "vanish-open:2"], "at least one must be honest"),
                                (["run", *network, "--attack", "vanish-open"], "must be NAME:COUNT"),
                                (["run", *network, "--drop", "2"], "a share from 0 to 1"),
                                (["run", *network, "--set", "foo"], "must be KEY=VALUE"), (["run", *network, "--test", "y"], "there is no file x"),
                                (["up", *network, "--scenario", "/nowhere.conf"], "cannot read the scenario"),
                                (["status", *none], "holds no testnet"), (["kill", "1", *none], "holds no testnet")]:
            done = call(TESTNET, *words)
            self.assertEqual(done.returncode, 4, words)
            self.assertIn(sentence, done.stderr)
        for command in [""] + "demo run up status logs kill restart pause resume add partition heal report down clean".split():
            self.assertIn("example:", call(TESTNET, *command.split(), "--help").stdout, command)

    def test_what_only_the_simulator_can_do_is_refused_with_its_line(self):
        path = os.path.join(self.folder.name, "bad.conf")
        for line, reason in [("at 1s store-fail 0.1", "a disk that fails on demand"), ("at 0s clock 0 +3s", "share this machine's clock"),
                             ("at 1s duplicate 0.1", "TCP"), ("at 1s reorder 0.1", "TCP"), ("at 1s slow 0 x3", "pause it"),
                             ("at 1s crash 0 for 1s with torn state", "whole or not at all")]:
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"# a comment\nat 1s crash 1\n{line}\n")
            done = call(*words_for(self.folder.name, "none", 2, "run", "--epochs", "3", "--scenario", path))
            self.assertEqual(done.returncode, 4, line)
            self.assertIn(f"{path}:3: ", done.stderr)
            self.assertIn(reason, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.folder.name, "none")))


class Scenarios(unittest.TestCase):
    """One language, two readers: what the simulator takes, testnet takes, and the other way round."""

    def simulate(self, path, n_nodes=8):
        return call(SIMULATOR, "run", "--stub", "8", "-n", str(n_nodes), "--epochs", "3", "--scenario", path)

    def test_every_scenario_that_is_shipped_is_read_by_both(self):
        paths = sorted(glob.glob(os.path.join(SCENARIOS, "*.conf")))
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            faults = scenario.read(path, 8, 1.0)
            scenario.refuse_impossible(faults, path)
            self.assertTrue(faults, path)
            self.assertNotIn("does not fit", self.simulate(path).stderr, path)

    def test_both_refuse_the_same_lines_in_the_same_words(self):
        for line in ("on 1s heal", "at 1 heal", "at 1s explode", "at 1s crash 8", "at 1s crash 3-1", "at 1s crash 1 during 3s", "at 1s loss 1.5",
                     "at 1s partition 0-3/4-8", "at 1s partition 0/0", "at 1s partition 0-4/4-7",
                     "at 1s partition 2", "at 1s one-way 1", "at 1s heal now", "at 1s restart 1 for 2s",
                     "at 1s crash 1 with new state", "at 1s delay 5"):
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(f"\n{line}\n")
                file.flush()
                simulated = self.simulate(file.name)
                self.assertEqual(simulated.returncode, 4, line)
                with self.assertRaises(Refusal, msg=line) as refused:
                    scenario.read(file.name, 8, 60.0)
                self.assertIn(str(refused.exception), simulated.stderr, line)

    def test_times_groups_and_kills_mean_the_same_everywhere(self):
        faults = scenario.parse("at 3e partition 0.5\nat 500ms crash 1,5-6 for 2m with old state\n", "x", 8, 2.0)

        self.assertEqual([(fault.at, fault.verb) for fault in faults], [(0.5, "crash"), (6.0, "partition")])
        self.assertEqual((faults[0].nodes, faults[0].value, faults[0].state), ([1, 5, 6], 120.0, "old"))
        self.assertEqual(faults[1].groups, [0] * 4 + [1] * 4)
        first, second = (scenario.kills(5.0, 8, 40.0, 2.0, 7) for _ in range(2))
        self.assertEqual([(fault.at, fault.nodes) for fault in first], [(fault.at, fault.nodes) for fault in second])
        self.assertEqual([fault.at for fault in first], [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0])


class Isolation(unittest.TestCase):
    def test_what_needs_wires_is_refused_with_the_reason(self):
        for asked, words in [({"drop": 0.02}, "--drop 0.02 is refused"), ({"delay": "40ms"}, "--delay 40ms is refused"),
                             ({"netns": True}, "--netns is refused"),
                             ({"plan": scenario.parse("\nat 1s partition 0.5", "x", 2, 1.0), "scenario": "x"}, "x:2: partition is refused")]:
            arguments = argparse.Namespace(**dict({"drop": 0, "delay": None, "netns": False, "plan": [], "scenario": None, "nodes": 2}, **asked))
            with mock.patch.object(os, "geteuid", lambda: 1000), self.assertRaises(Refusal) as refused:
                options.check_isolation(arguments)
            self.assertIn(words, str(refused.exception))
            self.assertIn("only root", str(refused.exception))

    def test_rules_cut_what_they_should_and_nothing_else(self):
        rules = isolation.rules_for(1, {"groups": [0, 0, 1], "one_way": [[0, 1], [1, 0]], "loss": 0.02}, 3)

        self.assertIn("ip saddr { 10.97.0.3, 10.97.0.1 } drop", rules)
        self.assertIn("numgen random mod 10000 < 200 drop", rules)
        self.assertNotIn("drop", isolation.rules_for(1, {}, 3))
        self.assertEqual(isolation.describe({"groups": [0, 0, 1, 1, 0]}), "partition 0-1,4 | 2-3")


class Report(unittest.TestCase):
    def test_the_same_trouble_of_many_nodes_is_one_line(self):
        for reasons, lines in [(["starting"] * 3, "all nodes: starting\n"), (["a", None, "a", "b"], "nodes 0,2: a\nn003: b\n"), ([None], "")]:
            with mock.patch("sys.stdout", new_callable=io.StringIO) as output:
                commands.tell_health([{"node": f"n{i:03d}", "health": reason} for i, reason in enumerate(reasons)])
            self.assertEqual(output.getvalue(), lines)

    def report(self):
        nodes = [{"id": "00" * 32, "accuracy": 0.9, "own_accuracy": None, "epochs": 2, "bytes_sent": 10, "bytes_received": 20, "cpu_s": 0.1,
                  "rss_max_bytes": 1000, "signature_checks": 3, "name": "<n000>", "rows": 3, "classes": {"0": 1, "<b>": 2}}]
        settings = {"data": "/tmp/<x>.csv", "split": "iid", "model": "softmax", "scale": "none", "aggregator": "mean", "epoch_length": "1s", "seed": 1,
                    "set": [], "score": "accuracy"}
        return {"accuracy": reports.spread([0.9], True), "nodes": nodes, "cohorts": {"completed": 1, "void": 0},
                "node_epochs": {"with_aggregate": 1, "total": 2}, "wall_s": 2.0, "stalled": [{"node": "n000", "reason": "no <peers>"}],
                "epochs": [{"node": "n000", "epoch": [1, 2], "own_score": [None, 0.5], "aggregate": [True, False]}, {"node": "n001", "epoch": []}],
                "run": {"command": "testnet run <y>", "began": 0, "epoch_s": 1.0, "n_nodes": 2, "privacy": "off", "isolation": "loopback", "machine": "",
                        "settings": settings, "deeds": [{"at_s": 1.5, "text": "<deed>"}]}}

    def test_the_page_shows_gaps_as_gaps_and_no_markup_from_outside(self):
        text = page.render(self.report())

        for word in ("<x>", "<y>", "<b>", "<n000>", "<peers>", "<deed>"):
            self.assertNotIn(word, text)
        self.assertIn("is stalled: no &lt;peers&gt;", text)

    def test_the_page_counts_a_loss_once_that_several_members_tell(self):
        report, loss = self.report(), {"peer": "aa", "how": "DROPPED", "text": "dropped aa: silent at committing"}
        self.assertNotIn("Whom cohorts lost", page.render(report))
        report["epochs"] = [{"node": name, "epoch": [1, 2], "lost": [[loss], [loss, {"peer": "<bb>", "how": "DISPUTED"}]]} for name in ("n000", "n001")]
        text = page.render(report)
        self.assertIn("<td>fell silent</td><td>2</td><td>1</td>", text)
        self.assertIn("<td>disagreed with a partner on a key</td><td>1</td><td>1</td>", text)

    def test_the_page_of_a_network_that_has_not_ended_says_so(self):
        report = dict(self.report(), nodes=[], accuracy=reports.spread([], True), node_epochs={"with_aggregate": 0, "total": 0})
        self.assertIn("No node has ended yet", page.render(report))

    def test_the_spread_tells_of_the_worst_tenth(self):
        self.assertEqual(reports.spread([0.1, 0.9, 0.8] + [0.9] * 17, True)["worst_tenth"], (0.1 + 0.8) / 2)
        self.assertEqual(reports.spread([1.0, 3.0], False)["worst_tenth"], 3.0)

    def test_a_text_plot_has_its_extremes_at_the_edges(self):
        lines = live.plot([[0.0, 0.5, 1.0]], "*", height=3)
        self.assertEqual([line.split("|")[1] for line in lines[:3]], ["  *", " *", "*"])
        self.assertEqual(live.plot([[None]], "*"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
