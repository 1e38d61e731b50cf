# SPDX-License-Identifier: MIT
"""One starlingd: every failure has its sentence and its exit code, and a stop leaves a whole directory."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

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
        address = re.search(r'listen = "(\S+):(\d+)"', read_text(self.node, "node.conf"))
        with socket.socket() as other:
            other.bind((address.group(1), int(address.group(2))))
            other.listen()
            self.expect(run(self.node), 1, address.group(2), "is taken by another program", "node.listen")

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
        self.expect(run(self.node, "--frobnicate"), 4, "unknown argument")

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

    def test_help_has_an_example(self):
        self.assertIn("Example:", call(STARLINGD, "--help").stdout)
        self.assertIn("0.1.0", call(STARLINGD, "--version").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
