# SPDX-License-Identifier: MIT
"""The control socket and /metrics of real nodes: every command of docs/control.md, and clients that do not behave."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from ask import Client, ask, frame
from kit import ROOT, STARLINGD, call, prepare

NODES, EPOCH = 5, "500ms"
STATUS = ["node", "network", "health", "epoch", "model", "cohorts", "peers", "privacy", "traffic", "resources"]
PEER = ["id", "name", "address", "direction", "state", "heard_ago_s", "linked_s", "rtt_ms", "epoch", "reputation", "bytes_sent", "bytes_received",
        "refused", "expires"]
EPOCH_KEYS = ["epoch", "begin", "steps", "cohort", "initiator", "aggregate", "void", "pulled", "merged", "merged_members", "own_score", "epsilon", "bytes_sent",
              "bytes_received", "cpu_ms", "seconds", "note", "proposer", "roster", "lost"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, *more):
    """A node that is ready; its log goes to a file beside its directory."""
    with open(folder + ".log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([STARLINGD, folder, *more], stdin=subprocess.PIPE, stderr=log)
    wait_until(lambda: process.poll() is not None or answers(folder), folder)
    assert process.poll() is None, read_log(folder)
    return process


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def answers(folder):
    try:
        return ask(folder, "health")[0] is not None
    except OSError:
        return False


def read_log(folder):
    with open(folder + ".log", encoding="utf-8") as file:
        return file.read()


def wait_until(condition, what, seconds=30):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


class Network(unittest.TestCase):
    """One network for all tests that look, so that it has something to tell."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="starling-control-")
        net = prepare(cls.folder.name, NODES, "--epoch-length", EPOCH)
        cls.metrics = f"127.0.0.1:{free_port()}"
        cls.nodes = [os.path.join(net, f"n{i:03d}") for i in range(NODES)]
        cls.processes = [start(node, *(["--set", f"node.metrics={cls.metrics}"] if i == 0 else [])) for i, node in enumerate(cls.nodes)]
        cls.node = cls.nodes[0]
        wait_until(lambda: ask(cls.node, "status")[0]["epoch"]["merged"] > 3, "four epochs merged")

    @classmethod
    def tearDownClass(cls):
        for process in cls.processes:
            if process.poll() is None:
                stop(process)
        cls.folder.cleanup()

    def test_status_has_its_parts_and_they_agree_with_the_process(self):
        data, error = ask(self.node, "status")
        self.assertIsNone(error)
        self.assertEqual(list(data), STATUS)
        self.assertEqual(data["node"]["pid"], self.processes[0].pid)
        self.assertEqual(data["node"]["directory"], os.path.realpath(self.node))
        self.assertEqual(data["network"]["epoch_length_s"], 0.5)
        self.assertEqual(data["peers"]["known"], NODES - 1)
        self.assertGreater(data["peers"]["linked"], 0)
        self.assertGreater(data["traffic"]["bytes_sent"], 0)
        self.assertGreater(data["resources"]["rss_bytes"], 1 << 20)
        self.assertGreater(data["resources"]["open_files"], 5)
        self.assertTrue(0 <= data["cohorts"]["success"] <= 1)
        self.assertEqual(data["model"]["score_name"], "accuracy")
        self.assertTrue(data["health"]["healthy"], data["health"])
        self.assertIn("privacy", " ".join(data["health"]["warnings"]))

    def test_peers_are_listed_and_found_by_a_prefix(self):
        peers = ask(self.node, "peers")[0]["peers"]
        self.assertEqual(len(peers), NODES - 1)
        self.assertEqual(list(peers[0]), PEER)
        linked = [peer for peer in peers if peer["state"] == "linked"][0]
        self.assertIn(linked["direction"], ("in", "out"))
        one = ask(self.node, "peers", peer=linked["id"][:10].upper())[0]["peers"]
        self.assertEqual([peer["id"] for peer in one], [linked["id"]])
        self.assertIn("HELLO", [entry["type"] for entry in one[0]["types"]])
        self.assertEqual(ask(self.node, "peers", peer="f" * 63)[1], "not_found")
        self.assertEqual(ask(self.node, "peers", peer="f" * 64)[1], "not_found")
        for wrong in ("", "xyz", 7, "f" * 65):
            self.assertEqual(ask(self.node, "peers", peer=wrong)[1], "bad_request")

    def test_epochs_tell_what_was_done_and_when(self):
        epochs = ask(self.node, "epochs", n=3)[0]["epochs"]
        self.assertEqual(len(epochs), 3)
        self.assertEqual(list(epochs[0]), EPOCH_KEYS)
        numbers = [epoch["epoch"] for epoch in epochs]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 3)))
        self.assertEqual(list(epochs[0]["seconds"]), ["form", "train", "share", "commit", "open", "audit", "unmask", "result", "pull"])
        merged = [epoch for epoch in ask(self.node, "epochs", n=256)[0]["epochs"] if epoch["merged"]]
        self.assertTrue(merged)
        self.assertTrue(0 < merged[0]["seconds"]["pull"] <= 0.6)
        self.assertGreater(merged[0]["bytes_sent"], 0)
        shared = [epoch for epoch in ask(self.node, "epochs", n=256)[0]["epochs"] if epoch["aggregate"]]
        self.assertRegex(shared[0]["proposer"], "^[0-9a-f]{64}$")
        self.assertEqual(shared[0]["roster"], shared[0]["cohort"] + len({loss["peer"] for loss in shared[0]["lost"]}))
        for wrong in (0, 257, -1, "3", 1.5):
            self.assertEqual(ask(self.node, "epochs", n=wrong)[1], "bad_request")

    def test_events_can_be_followed_without_a_gap_while_it_trains(self):
        seen, after = [], ask(self.node, "events", n=1)[0]["next"]
        limit = time.monotonic() + 20
        while len(seen) < 40 and time.monotonic() < limit:
            data = ask(self.node, "events", after=after, n=7)[0]
            self.assertEqual(data["lost"], 0)
            seen += data["events"]
            after = data["next"]
            time.sleep(0.02)
        numbers = [event["sequence"] for event in seen]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        self.assertIn("TRAINED", {event["type"] for event in seen})
        self.assertTrue(all(event["text"] for event in seen))
        beyond = ask(self.node, "events", after=10 ** 12)[0]
        self.assertEqual(beyond["events"], [])
        self.assertLess(beyond["next"], 10 ** 12)
        self.assertEqual(ask(self.node, "events", n=513)[1], "bad_request")

    def test_config_and_model_are_those_of_the_files(self):
        options = {option["key"]: option for option in ask(self.node, "config")[0]["options"]}
        self.assertEqual(options["epoch.length"]["value"], EPOCH)
        self.assertEqual(options["epoch.length"]["scope"], "network")
        self.assertEqual(options["node.metrics"]["value"], self.metrics)
        self.assertEqual(ask(self.node, "model")[0]["spec"], "softmax")

    def test_a_checkpoint_is_answered_when_the_state_is_on_the_disk(self):
        path = os.path.join(self.node, "state")
        before = os.stat(path).st_ino
        with Client(self.node) as client:
            self.assertGreater(client.ask("checkpoint")["data"]["epoch"], 0)
        self.assertNotEqual(os.stat(path).st_ino, before, "the file must be a new one")

    def test_requests_that_are_none_get_a_sentence(self):
        with Client(self.node) as client:
            for wrong in (b"", b"rubbish", b"[]", b"7", b'{"command": 3}', b'{"commands": "status"}', b'{"command": "status", "arguments": []}',
                          b'{"command": "status", "command": "health"}', b"[" * 100 + b"]" * 100, b'{"command": "\xff\xfe"}', b"\0" * 8, b" " * 4097):
                client.send(wrong)
                answer = client.receive()
                self.assertEqual((answer["status"], answer["error"]), ("error", "bad_request"), wrong)
                self.assertGreater(len(answer["message"]), 10)
            self.assertEqual(client.ask("frobnicate")["error"], "unknown_command")
            client.send(b'{"command": "health"' + b" " * 4000 + b"}")
            self.assertEqual(client.receive()["status"], "ok", "4096 bytes are allowed")

    def test_a_huge_request_and_endless_frames_end_the_client_and_not_the_node(self):
        with Client(self.node) as client, self.assertRaises(OSError):
            client.send(b"x" * 100000)
            client.receive()
        with Client(self.node) as client:
            for _ in range(200):
                client.socket.sendall(frame(b"y", 1))
            client.socket.sendall(frame(b'{"command": "status"}'))
            client.socket.settimeout(0.3)
            with self.assertRaises(OSError):
                client.receive()
        self.assertTrue(answers(self.node))

    def test_whoever_asks_like_a_req_is_answered_like_one(self):
        with Client(self.node, "REQ") as client:
            for _ in range(3):
                self.assertEqual(client.ask("health")["status"], "ok")

    def test_whoever_asks_without_a_pause_gets_every_answer(self):
        for _ in range(3):
            with Client(self.node) as client:
                for _ in range(400):
                    self.assertEqual(client.ask("status")["status"], "ok")

    def test_a_fifth_client_is_told_busy_until_one_of_the_four_goes(self):
        clients = [Client(self.node) for _ in range(4)]
        try:
            for client in clients:
                self.assertEqual(client.ask("health")["status"], "ok")
            with Client(self.node) as fifth:
                self.assertEqual(fifth.ask("health").get("error"), "busy")
                self.assertEqual(clients[2].ask("health")["status"], "ok", "the four are served on")
                clients.pop(0).close()
                wait_until(lambda: fifth.ask("health")["status"] == "ok", "the fifth is served")
        finally:
            for client in clients:
                client.close()
        for _ in range(12):
            self.assertTrue(answers(self.node), "those that came and went take no places")

    def test_only_the_owner_may_connect(self):
        mode = os.stat(os.path.join(self.node, "control.sock")).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o777, 0o600)

    def test_metrics_are_whole_and_the_dashboard_names_none_that_is_missing(self):
        code, kind, text = get(f"http://{self.metrics}/metrics")
        self.assertEqual((code, kind), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        self.assertTrue(text.endswith("# EOF\n"))
        samples, families = self.parse(text)
        self.assertGreater(samples["starling_epochs_merged_total"], 0)
        self.assertEqual(samples["starling_stalled"], 0)
        self.assertEqual(samples["starling_peers_known"], NODES - 1)
        self.assertGreater(samples['starling_traffic_bytes_total{direction="sent"}'], 0)
        self.assertIn("starling_own_score", families)
        self.assertIn('starling_members_dropped_total{step="commit"}', samples)
        self.assertEqual(samples['starling_members_excluded_total{cause="bad_audit"}'], 0)
        self.assertEqual(samples["starling_evidence_made_total"], 0)
        with open(os.path.join(ROOT, "docs", "grafana.json"), encoding="utf-8") as file:
            dashboard = json.load(file)
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
        self.assertGreater(len(expressions), 8)
        there = {re.split(r"[{ ]", name)[0] for name in samples}
        for name in re.findall(r"\b(?:starling|process)_\w+", " ".join(expressions)):
            self.assertIn(name, there)

    def parse(self, text):
        """Samples and families of OpenMetrics text; fails on what a scraper would refuse."""
        samples, families, family = {}, {}, None
        for line in text.splitlines()[:-1]:
            if line.startswith("# TYPE "):
                family, kind = line.split()[2:]
                self.assertNotIn(family, families, "one family, one place")
                families[family] = kind
            elif line.startswith("# UNIT "):
                self.assertEqual(line.split()[2], family)
                self.assertTrue(family.endswith("_" + line.split()[3]))
            elif line.startswith("# HELP "):
                self.assertEqual(line.split()[2], family)
            else:
                match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)', line)
                self.assertTrue(match, line)
                ending = {"counter": "_total", "gauge": "", "info": "_info"}[families[family]]
                self.assertEqual(match.group(1), family + ending)
                self.assertNotIn(line.rsplit(" ", 1)[0], samples)
                samples[line.rsplit(" ", 1)[0]] = float(match.group(3))
        return samples, families

    def test_health_is_a_page_and_nothing_else_is_there(self):
        self.assertEqual(get(f"http://{self.metrics}/health")[0], 200)
        self.assertEqual(get(f"http://{self.metrics}/")[0], 404)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{self.metrics}/metrics", data=b"x" * 100, timeout=10)
        self.assertEqual(caught.exception.code, 405)
        caught.exception.close()

    def test_idle_web_clients_are_bounded_and_the_node_goes_on(self):
        address = self.metrics.rsplit(":", 1)
        idle = [socket.create_connection((address[0], int(address[1])), timeout=10) for _ in range(12)]
        for connection in idle:
            connection.sendall(b"GET /metr")
        before = ask(self.node, "status")[0]["epoch"]["number"]
        time.sleep(1.2)
        data = ask(self.node, "status")[0]
        self.assertGreater(data["epoch"]["number"], before)
        self.assertLess(data["resources"]["cpu_s"], 60)
        for connection in idle:
            connection.close()
        wait_until(lambda: get(f"http://{self.metrics}/health")[0] == 200, "the page is served again")


class OneNode(unittest.TestCase):
    """Nodes that are changed by the test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-control-")
        self.addCleanup(folder.cleanup)
        self.net = prepare(folder.name, 3, "--epoch-length", "200ms")
        self.node = os.path.join(self.net, "n000")

    def start(self, *more):
        process = start(self.node, *more)
        self.addCleanup(lambda: process.poll() is None and stop(process))
        return process

    def peer_ids(self):
        return [peer["id"] for peer in ask(self.node, "peers")[0]["peers"]]

    def state_of(self, peer):
        return ask(self.node, "peers", peer=peer)[0]["peers"][0]["state"]

    def test_ban_and_unban_by_prefix_and_by_an_id_never_met(self):
        self.start()
        peer = self.peer_ids()[0]
        self.assertEqual(ask(self.node, "ban", peer=peer[:12])[0], {"peer": peer})
        self.assertEqual(self.state_of(peer), "banned")
        self.assertEqual(ask(self.node, "status")[0]["peers"]["banned"], 1)
        self.assertEqual(ask(self.node, "unban", peer=peer)[0], {"peer": peer})
        self.assertNotEqual(self.state_of(peer), "banned")
        self.assertEqual(ask(self.node, "ban", peer="ab" * 32)[0], {"peer": "ab" * 32})
        self.assertEqual(ask(self.node, "ban", peer=ask(self.node, "status")[0]["node"]["id"])[1], "bad_request")
        self.assertEqual(ask(self.node, "ban")[1], "bad_request")

    def test_a_node_that_left_takes_part_no_more_and_goes_on_answering(self):
        process = self.start()
        wait_until(lambda: ask(self.node, "status")[0]["epoch"]["trained"] > 0, "it trained")
        self.assertEqual(ask(self.node, "leave")[0], {})
        self.assertEqual(ask(self.node, "leave")[0], {})
        time.sleep(0.3)
        trained = ask(self.node, "status")[0]["epoch"]["trained"]
        time.sleep(0.8)
        self.assertEqual(ask(self.node, "status")[0]["epoch"]["trained"], trained)
        self.assertIn("left", " ".join(ask(self.node, "health")[0]["warnings"]))
        self.assertFalse(ask(self.node, "health")[0]["healthy"])
        self.assertIn("leave", ask(self.node, "health")[0]["reason"])
        stop(process)
        self.assertEqual(process.returncode, 0)
        self.assertFalse(os.path.exists(os.path.join(self.node, "control.sock")))

    def test_a_lonely_node_says_everywhere_that_it_is_stalled(self):
        metrics = f"127.0.0.1:{free_port()}"
        process = self.start("--set", f"node.metrics={metrics}")
        self.assertEqual(ask(self.node, "health")[0]["reason"], "starting")
        wait_until(lambda: not ask(self.node, "health")[0]["healthy"], "it is stalled")
        self.assertRegex(ask(self.node, "health")[0]["reason"], r"peer|merged")
        code, _, text = get(f"http://{metrics}/health")
        self.assertEqual(code, 503)
        self.assertIn(ask(self.node, "health")[0]["reason"][:20], text)
        self.assertIn("\nstarling_stalled 1\n", get(f"http://{metrics}/metrics")[2])
        stop(process)
        self.assertIn("STALLED: ", read_log(self.node))

    def test_a_held_node_can_be_looked_at(self):
        process = self.start("--hold")
        data, _ = ask(self.node, "status")
        self.assertIn("held", data["health"]["reason"])
        self.assertEqual(data["epoch"]["trained"], 0)
        self.assertEqual(ask(self.node, "ban", peer="ab" * 32)[1], "busy")
        process.stdin.write(b"go\n")
        process.stdin.flush()
        wait_until(lambda: ask(self.node, "status")[0]["epoch"]["trained"] > 0, "it trains")

    def test_a_socket_left_by_a_crash_is_replaced(self):
        process = self.start()
        process.kill()
        process.communicate(timeout=20)
        self.assertTrue(os.path.exists(os.path.join(self.node, "control.sock")))
        self.start()
        self.assertTrue(answers(self.node))

    def test_a_directory_with_too_long_a_name_is_refused(self):
        long = os.path.join(self.net, "x" * 120)
        shutil.copytree(self.node, long)
        done = call(STARLINGD, long, "--epochs", "1", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("shorter directory", done.stderr)

    def test_a_taken_or_wrong_metrics_address_is_refused(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            done = call(STARLINGD, self.node, "--set", f"node.metrics=127.0.0.1:{other.getsockname()[1]}", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("node.metrics", done.stderr)
        done = call(STARLINGD, self.node, "--set", "node.metrics=localhost:9464", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("numeric", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
