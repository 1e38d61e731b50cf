# SPDX-License-Identifier: MIT
"""One starlingd: every failure has its sentence and its exit code, and a stop leaves a whole directory."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from ask import ask
from kit import STARLINGD, call, prepare


def run(folder, *more):
    return call(STARLINGD, folder, "--epochs", "1", *more, stdin=subprocess.DEVNULL)


def read_text(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def write_text(text, *parts):
    with open(os.path.join(*parts), "w", encoding="utf-8") as file:
        file.write(text)


def wait_for_log(process, text):
    for line in process.stderr:
        if text in line:
            return line
    return ""


class Starlingd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="starling-node-")
        cls.pristine = prepare(cls.folder.name, 2, "--epoch-length", "200ms")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.node = os.path.join(self.folder.name, "node")
        shutil.copytree(os.path.join(self.pristine, "n000"), self.node)
        self.addCleanup(shutil.rmtree, self.node)

    def expect(self, done, code, *sentences):
        self.assertEqual(done.returncode, code, done.stderr)
        for sentence in sentences:
            self.assertIn(sentence, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_a_taken_port(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            self.expect(run(self.node, "--set", f"node.listen={address}"), 1, address, "is taken by another program", "node.listen")

    def test_a_key_that_others_may_read(self):
        os.chmod(os.path.join(self.node, "identity.key"), 0o644)
        self.expect(run(self.node), 4, "identity.key", "chmod 600")

    def test_a_key_that_was_cut(self):
        path = os.path.join(self.node, "identity.key")
        with open(path, "r+b") as file:
            file.truncate(150)
        self.expect(run(self.node), 4, "identity.key", "150 bytes")

    def test_a_second_process_on_the_same_directory(self):
        first = subprocess.Popen([STARLINGD, self.node, "--hold"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertTrue(wait_for_log(first, "ready"))
        self.expect(run(self.node), 1, "another process runs this node")
        first.communicate(timeout=20)                # the end of its input ends it
        self.assertEqual(first.returncode, 0)

    def test_an_unknown_option_is_named_with_its_line(self):
        kept = read_text(self.node, "node.conf")
        write_text(kept + "\nfrobnicate = 3\n", self.node, "node.conf")
        n_lines = len(read_text(self.node, "node.conf").splitlines())
        self.expect(run(self.node), 4, f"node.conf, line {n_lines}", "frobnicate")
        write_text(kept, self.node, "node.conf")
        self.expect(run(self.node, "--set", "nothing=1"), 4, "nothing")
        self.expect(run(self.node, "--set", "epoch.length=9s"), 4, "network.conf")
        self.expect(run(self.node, "--frobnicate"), 4, "unknown argument --frobnicate")
        self.expect(call(STARLINGD), 4, "no directory is named")

    def test_files_that_are_missing(self):
        for name in ["network.conf", "node.conf", "identity.key", "peers.list"]:
            kept = read_text(self.node, name)
            os.unlink(os.path.join(self.node, name))
            self.expect(run(self.node), 4, name)
            write_text(kept, self.node, name)
            os.chmod(os.path.join(self.node, name), 0o600)
        self.expect(run(os.path.join(self.node, "none")), 4, "is not a directory")
        self.expect(run(self.node, "--set", "data.path=/nowhere.csv"), 4, "data.path", "/nowhere.csv")
        self.expect(run(self.node, "--set", "data.path="), 4, "data.path")

    def test_data_with_other_columns_than_the_descriptor(self):
        path = os.path.join(self.node, "narrow.csv")
        write_text("a,class\n1,0\n2,1\n", path)
        self.expect(run(self.node, "--set", f"data.path={path}"), 4, "1 feature columns", "4 inputs")

    def test_a_descriptor_of_another_network(self):
        text = read_text(self.node, "network.conf").replace("network.seed = 1", "network.seed = 2")
        write_text(text, self.node, "network.conf")
        self.expect(run(self.node), 4, "another network")

    def test_a_key_that_is_not_on_the_list(self):
        shutil.copy(os.path.join(self.pristine, "n001", "identity.key"), self.node)
        lines = read_text(self.node, "peers.list").splitlines(keepends=True)
        write_text("".join(lines[:2]), self.node, "peers.list")
        self.expect(run(self.node), 4, "peers.list", "not on the list")

    def test_a_damaged_state(self):
        write_text("rubbish", self.node, "state")
        self.expect(run(self.node), 4, "state", "damaged", "restore")

    def test_a_terminated_node_leaves_its_state_and_starts_again_as_the_same(self):
        ids = []
        for _ in range(2):
            process = subprocess.Popen([STARLINGD, self.node], stderr=subprocess.PIPE, text=True)
            ids.append(wait_for_log(process, "listens at").split()[3])
            self.assertIn("privacy: OFF", wait_for_log(process, "privacy"))
            self.assertTrue(wait_for_log(process, "epoch"))
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, 0)
            self.assertLess(time.monotonic() - begin, 5)
            self.assertGreater(os.path.getsize(os.path.join(self.node, "state")), 40)
        self.assertEqual(ids[0], ids[1])
        self.assertFalse(os.path.exists(os.path.join(self.node, "state.new")))

    def test_every_signal_that_asks_to_end_ends_it_well(self):
        for number in (signal.SIGINT, signal.SIGHUP):
            process = subprocess.Popen([STARLINGD, self.node], stderr=subprocess.PIPE, text=True)
            self.assertTrue(wait_for_log(process, "ready"))
            process.send_signal(number)
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, 0, number)

    def test_a_supervisor_is_told_when_it_is_ready_and_when_it_stops(self):
        path = os.path.join(self.folder.name, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            self.addCleanup(os.unlink, path)
            notify.settimeout(20)
            process = subprocess.Popen([STARLINGD, self.node], stderr=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": path})
            self.assertEqual(notify.recv(100), b"READY=1")
            self.assertTrue(ask(self.node, "health")[0]["healthy"])
            process.terminate()
            self.assertEqual(notify.recv(100), b"STOPPING=1")
            self.assertEqual(process.wait(timeout=20), 0)

    def test_a_reader_of_the_log_that_goes_does_not_end_the_node(self):
        process = subprocess.Popen([STARLINGD, self.node, "-v"], stderr=subprocess.PIPE, text=True)
        self.assertTrue(wait_for_log(process, "ready"))
        process.stderr.close()
        time.sleep(1)
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(timeout=20), 0)

    def test_ten_kills_at_any_moment_cost_no_identity_and_no_state(self):
        ids, draw, reached = set(), random.Random(7), 0
        for _ in range(10):
            begin = time.monotonic()
            process = subprocess.Popen([STARLINGD, self.node], stderr=subprocess.PIPE, text=True)
            try:
                self.assertTrue(wait_for_log(process, "ready"), "it starts whatever the last kill left")
                self.assertLess(time.monotonic() - begin, 5)
                status, _ = ask(self.node, "status")
                ids.add(status["node"]["id"])
                time.sleep(draw.uniform(0.05, 0.6))
                reached = max(reached, ask(self.node, "status")[0]["epoch"]["trained"])
            finally:
                process.kill()
                process.communicate(timeout=20)
        self.assertEqual(len(ids), 1)
        self.assertGreater(reached, 0)
        self.expect(run(self.node), 0)
        self.assertNotIn("not usable", read_text(self.node, "summary.json"))

    def join_by_files(self):
        """Makes the directory one of a node that joined: a certificate and a seed in place of the prepared list."""
        lines = [line.split() for line in read_text(self.node, "peers.list").splitlines() if not line.startswith("#")]
        own, other = lines[0], lines[1]
        write_text(own[4] + "\n", self.node, "admission.cert")
        write_text(f"# where to knock first\n{other[2]} {other[3]}\n", self.node, "seeds.list")
        os.unlink(os.path.join(self.node, "peers.list"))
        return other

    def test_a_node_that_joined_finds_its_network_by_a_seed_and_comes_back_by_its_book(self):
        self.join_by_files()
        other = os.path.join(self.folder.name, "other")
        shutil.copytree(os.path.join(self.pristine, "n001"), other)
        self.addCleanup(shutil.rmtree, other)
        seed = subprocess.Popen([STARLINGD, other], stderr=subprocess.DEVNULL)
        try:
            for _ in range(2):
                process = subprocess.Popen([STARLINGD, self.node], stderr=subprocess.PIPE, text=True)
                try:
                    self.assertTrue(wait_for_log(process, "ready"))
                    limit = time.monotonic() + 20
                    while ask(self.node, "status")[0]["peers"]["linked"] == 0 and time.monotonic() < limit:
                        time.sleep(0.05)
                    self.assertGreater(ask(self.node, "status")[0]["peers"]["linked"], 0)
                    self.assertEqual(ask(self.node, "checkpoint")[1], None)
                finally:
                    process.terminate()
                    process.communicate(timeout=20)
                write_text("# none\n", self.node, "seeds.list")      # the second time only the book knows
        finally:
            seed.terminate()
            seed.wait(timeout=20)
        self.assertTrue(os.path.exists(os.path.join(self.node, "book")))

    def test_a_damaged_book_is_left_behind(self):
        write_text("rubbish", self.node, "book")
        done = run(self.node)
        self.expect(done, 0, "book is damaged")

    def test_files_of_a_node_that_joined_are_checked(self):
        other = self.join_by_files()
        kept = read_text(self.node, "admission.cert")
        for text, sentence in (("xyz", "hex digits"), (kept.strip() + "\nmore", "hex digits"), ("00" * 600, "hex digits"), (kept[:100], "does not admit")):
            write_text(text, self.node, "admission.cert")
            self.expect(run(self.node), 4, "admission.cert", sentence)
        write_text(other[4], self.node, "admission.cert")
        self.expect(run(self.node), 4, "does not admit the key")
        os.unlink(os.path.join(self.node, "admission.cert"))
        self.expect(run(self.node), 4, "neither admission.cert nor peers.list", "starling init")
        write_text(kept, self.node, "admission.cert")
        for seed in ("nonsense", f"{other[2]} example.org:7400", f"{other[2][:-2]} 127.0.0.1:7400", f"{other[2]} 127.0.0.1:7400 more"):
            write_text(f"\n{seed}\n", self.node, "seeds.list")
            self.expect(run(self.node), 4, "seeds.list, line 2", "numeric address")

    def test_the_secret_of_a_private_network_is_wanted_and_for_its_owner_only(self):
        net = prepare(tempfile.mkdtemp(dir=self.folder.name), 1, "--epoch-length", "200ms", "--set", "network.admission=private")
        node = os.path.join(net, "n000")
        path = os.path.join(node, "network.secret")
        if os.path.exists(path):
            os.unlink(path)
        self.expect(run(node), 4, "network.secret: is missing")
        write_text("ab" * 32 + "\n", path)
        os.chmod(path, 0o644)
        self.expect(run(node), 4, "network.secret", "chmod 600")
        os.chmod(path, 0o600)
        self.expect(run(node), 0)
        write_text("ab" * 31, path)
        self.expect(run(node), 4, "64 hex digits, not 62")

    def test_a_node_that_cannot_be_dialled_says_so(self):
        listen = re.search(r'listen = "\S+:(\d+)"', read_text(self.node, "node.conf")).group(1)
        self.join_by_files()
        self.expect(run(self.node, "--set", f"node.listen=0.0.0.0:{listen}"), 0, "tells no address")
        self.expect(run(self.node, "--set", f"node.listen=0.0.0.0:{listen}", "--set", "node.address=0.0.0.0:7400"), 4, "no address others could dial")
        self.expect(run(self.node, "--set", "node.listen=localhost:7400"), 4, "node.listen", "numeric")

    def test_a_full_disk_is_said_sat_out_and_left_behind(self):
        small = os.path.join(self.folder.name, "small")
        os.mkdir(small)
        mounted = os.geteuid() == 0 and call("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small).returncode == 0
        if not mounted:
            self.skipTest("skipped: no right to mount a small disk")
        self.addCleanup(call, "umount", "-l", small)
        node = os.path.join(small, "n")
        shutil.copytree(self.node, node)
        filler = os.path.join(small, "filler")
        with open(os.path.join(self.folder.name, "full.log"), "w+", encoding="utf-8") as log:
            process = subprocess.Popen([STARLINGD, node], stderr=log)
            try:
                self.wait_for(lambda: os.path.exists(os.path.join(node, "state.bak")))
                for _ in range(20):                  # what the node frees when it replaces a file is taken, too
                    self.fill(filler)
                    time.sleep(0.05)
                self.wait_for(lambda: not ask(node, "health")[0]["healthy"])
                self.assertIn("disk", ask(node, "health")[0]["reason"])
                self.assertEqual(ask(node, "checkpoint")[1], "failed")
                self.wait_for(lambda: "STORE_FAILED" in self.events_since(node, 0))
                self.assertIn("could not store its state", ask(node, "epochs", n=3)[0]["epochs"][-1]["note"])
                os.unlink(filler)
                self.wait_for(lambda: ask(node, "health")[0]["healthy"] or "disk" not in ask(node, "health")[0]["reason"])
                after = ask(node, "events")[0]["next"]
                self.wait_for(lambda: self.events_since(node, after).count("EPOCH") >= 3)
                self.assertNotIn("STORE_FAILED", self.events_since(node, after))
                self.assertEqual(ask(node, "checkpoint")[1], None)
                self.assertNotIn("disk", ask(node, "health")[0]["reason"] or "")
            finally:
                process.terminate()
                self.assertEqual(process.wait(timeout=20), 0)
            log.seek(0)
            text = log.read()
        for sentence in ("DISK: ", "/state cannot be written (no space left", "/state is written again"):
            self.assertIn(sentence, text)
        self.assertLess(text.count("DISK: "), 8, "said when it changes, not for ever")

    def events_since(self, node, after):
        return [event["type"] for event in ask(node, "events", after=after, n=512)[0]["events"]]

    def fill(self, path):
        """Leaves no page."""
        with open(path, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def wait_for(self, condition, seconds=20):
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self.fail("waited in vain")

    def test_help_has_an_example(self):
        self.assertIn("Example:", call(STARLINGD, "--help").stdout)
        self.assertIn("0.4.0", call(STARLINGD, "--version").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
