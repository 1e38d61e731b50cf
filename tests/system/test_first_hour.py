# SPDX-License-Identifier: MIT
"""The first hour of a newcomer: a network is made, devices join by invitation, learn together; and what is said when something goes wrong.

With STARLING_SCREENS=FILE every sentence that a newcomer would see is appended to that file, to be read by people.
"""

import csv
import json
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from kit import BUILD, STARLINGD, call, write_toy

STARLING = os.path.join(BUILD, "tools", "starling")
SHIFT_CLOCK = os.path.join(BUILD, "tests", "kit", "libshift_clock.so")
SCREENS = os.environ.get("STARLING_SCREENS")
NODES = 5


def show(title, words, done):
    if SCREENS:
        with open(SCREENS, "a", encoding="utf-8") as file:
            file.write(f"--- {title}\n$ {' '.join(words)}\n{done.stdout}{done.stderr}=> {done.returncode}\n\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def with_shifted_clock(seconds):
    """The environment of a process whose clock is wrong; the sanitizers of a test build do not mind."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, "LD_PRELOAD": SHIFT_CLOCK, "STARLING_CLOCK_SHIFT": str(seconds),
            "ASAN_OPTIONS": (options + ":" if options else "") + "verify_asan_link_order=0"}


class Node:
    """A running starlingd and what it said."""

    def __init__(self, folder, before=(), env=None, more=()):
        self.lines = []
        self.process = subprocess.Popen([*before, STARLINGD, folder, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env=env)
        self.reader = threading.Thread(target=self._listen, daemon=True)
        self.reader.start()

    def _listen(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def wait_for(self, pattern, seconds):
        """The first line that matches, or "" when it does not come in time."""
        end, seen = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            alive = self.process.poll() is None
            while seen < len(self.lines):
                if re.search(pattern, self.lines[seen]):
                    return self.lines[seen]
                seen += 1
            if not alive and not self.reader.is_alive():
                return ""
            time.sleep(0.05)
        return ""

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=5)
        self.process.stderr.close()

    def said(self):
        return "\n".join(self.lines)


class Scene(unittest.TestCase):
    """A folder of its own with data for some devices, and a network in it where a test asks for one."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-hour-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        write_toy(self.at("sample.csv"), 30, 1)
        for node in range(NODES):
            write_toy(self.at(f"data{node}.csv"), 150, 10 + node)

    def at(self, name):
        return os.path.join(self.folder, name)

    def starling(self, *words, title=None, **more):
        done = call(STARLING, *words, cwd=self.folder, stdin=subprocess.DEVNULL, **more)
        if title:
            show(title, ["starling", *words], done)
        return done

    def works(self, *words, **more):
        done = self.starling(*words, **more)
        self.assertEqual(done.returncode, 0, f"starling {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done

    def fails(self, title, code, parts, *words, **more):
        done = self.starling(*words, title=title, **more)
        self.assertEqual(done.returncode, code, f"starling {' '.join(words)}\n{done.stdout}{done.stderr}")
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")

    def create(self, *more):
        self.works("network", "create", "net", "--unit", "off", "--model", "softmax", "--data", "sample.csv", "--label", "last", "--epoch-length", "2s", *more)

    def invite(self, name, *more):
        self.works("invite", "net", "--out", name, *more)

    def first(self):
        """The first node of a network on loopback; its port."""
        port = free_port()
        self.invite("first.star", "--address", f"127.0.0.1:{port}")
        self.works("init", "n0", "--data", "data0.csv", "--label", "last", "--join", "first.star")
        return port

    def start(self, folder, **more):
        node = Node(self.at(folder), **more)
        self.addCleanup(node.stop)
        return node


class Create(Scene):
    def test_a_network_has_its_secrets_closed_and_says_what_it_gives_away(self):
        self.works("network", "create", "net", "--unit", "off", "--data", "sample.csv", "--scale", "standard", "--admission", "private", "--name", "birds")
        self.assertEqual(mode_of(self.at("net")), 0o700)
        for secret in ("operator.key", "network.secret"):
            self.assertEqual(mode_of(self.at("net/" + secret)), 0o600)
        text = read(self.folder, "net", "network.conf")
        for line in ("network.name = birds", "model.features = 4", "model.classes = 3", "columns = a,b,c,d", "network.admission = private"):
            self.assertIn(line + "\n", text)
        done = self.works("network", "create", "other", "--unit", "off", "--data", "sample.csv", "--scale", "standard")
        for part in ("operator.key    SECRET", "mean and spread of each column", "PRIVACY IS OFF", "starling invite other --address"):
            self.assertIn(part, done.stdout)

    def test_every_sentence_about_what_is_public_stands_on_its_own(self):
        done = self.works("network", "create", "net", "--unit", "off", "--data", "sample.csv")
        self.assertIn("the names of the columns of sample.csv stand in it and go to everybody who is invited", done.stdout)
        self.assertNotIn("so do", done.stdout)
        done = self.works("network", "create", "measured", "--unit", "off", "--data", "sample.csv", "--scale", "standard")
        self.assertRegex(done.stdout, r"go to everybody who is invited\n +so do the names of its columns \(")

    def test_names_of_columns_may_be_kept_back(self):
        self.create("--no-columns")
        self.assertNotIn("columns", read(self.folder, "net", "network.conf"))

    def test_nothing_is_ever_overwritten(self):
        self.create()
        before = read(self.folder, "net", "operator.key")
        self.fails("a network where there is one", 4, ["net: is not empty", "operator.key"], "network", "create", "net", "--unit", "off",
                   "--data", "sample.csv")
        self.assertEqual(read(self.folder, "net", "operator.key"), before)
        self.invite("a.star", "--address", "127.0.0.1:7411")
        self.fails("an invite over another", 4, ["a.star: exists already"], "invite", "net", "--out", "a.star")

    def test_values_of_an_odd_size_are_doubted(self):
        with open(self.at("large.csv"), "w", encoding="utf-8") as file:
            file.write("height,class\n" + "".join(f"{150 + row},{row % 2}\n" for row in range(20)))
        self.assertIn("DOUBTFUL: large.csv: column 1, 'height', has a mean of",
                      self.works("network", "create", "net", "--unit", "off", "--data", "large.csv").stdout)
        self.assertNotIn("DOUBTFUL", self.works("network", "create", "scaled", "--unit", "off", "--data", "large.csv", "--scale", "standard").stdout)

    def test_answers_in_json(self):
        data = json.loads(self.works("--json", "network", "create", "net", "--unit", "off", "--data", "sample.csv").stdout)
        self.assertEqual((data["status"], data["data"]["features"], data["data"]["classes"]), ("ok", 4, 3))

    def test_wrong_words(self):
        base = ["network", "create", "net", "--unit", "off", "--data", "sample.csv"]
        for title, parts, words in (
                ("no sample", ["--data SAMPLE is needed"], ["network", "create", "net"]),
                ("a sample that is not there", ["nothing.csv"], ["network", "create", "net", "--unit", "off", "--data", "nothing.csv"]),
                ("a model that nobody knows", ["'mpl:8' is not known", "mlp:H1"], [*base, "--model", "mpl:8"]),
                ("a label that is not there", ['no column "klass"', "a, b, c, d, class"], [*base, "--label", "klass"]),
                ("a number without its unit", ["--epoch-length: '60'", "with a unit"], [*base, "--epoch-length", "60"]),
                ("an option of a node", ["--set train.lr", "each node's own"], [*base, "--set", "train.lr=0.1"]),
                ("a cohort of three", ["cohort.min_size"], [*base, "--set", "cohort.size=3"]),
                ("a flag that nobody knows", ["'--frobnicate'", "--epoch-length"], [*base, "--frobnicate"])):
            self.fails(title, 4, parts, *words)
            self.assertFalse(os.path.exists(self.at("net")), title)


class Invite(Scene):
    def test_an_invite_is_closed_to_others_even_when_the_shell_made_the_file(self):
        self.create()
        with open(self.at("join.star"), "wb") as file:
            os.chmod(self.at("join.star"), 0o644)
            done = subprocess.run([STARLING, "invite", "net", "--address", "10.0.0.7:7400"], cwd=self.folder, stdout=file, stderr=subprocess.PIPE, text=True,
                                  timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(mode_of(self.at("join.star")), 0o600)
        self.assertTrue(read(self.folder, "join.star").startswith("starling-invite 1\n"))
        self.assertIn("first node", done.stderr)
        self.assertIn("10.0.0.7:7400", done.stderr)

    def test_an_invite_does_not_go_to_a_screen(self):
        self.create()
        ours, theirs = os.openpty()
        done = subprocess.run([STARLING, "invite", "net", "--address", "10.0.0.7:7400"], cwd=self.folder, stdout=theirs, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        os.close(theirs)
        os.close(ours)
        self.assertEqual(done.returncode, 4)
        self.assertIn("does not belong on a screen", done.stderr)

    def test_the_second_invite_leads_to_the_first_node_before_it_ever_ran(self):
        self.create()
        self.first()
        self.invite("second.star")
        key = re.search(r"^transport key +(\w+)", self.works("key", "show", "n0").stdout, re.M).group(1)
        self.assertIn(f"seed {key} 127.0.0.1:", read(self.folder, "second.star"))

    def test_a_member_invites_three_guests_and_a_guest_nobody(self):
        self.create()
        self.first()
        for slot in range(3):
            self.works("-d", "n0", "invite", "--out", f"guest{slot}.star")
        self.fails("a fourth guest", 4, ["has given its 3 invites", "--slot"], "-d", "n0", "invite", "--out", "guest3.star")
        self.works("init", "n1", "--data", "data1.csv", "--join", "guest0.star")
        member = re.search(r"^id +(\w+)", self.works("key", "show", "n0").stdout, re.M).group(1)
        self.assertIn(f"admitted by    member {member}", self.works("key", "show", "n1").stdout)
        self.fails("a guest invites", 4, ["such a guest invites nobody"], "-d", "n1", "invite", "--out", "more.star")

    def test_wrong_words(self):
        self.create()
        self.fails("the first invite without an address", 4, ["first invite", "--address IP:PORT"], "invite", "net", "--out", "a.star")
        self.first()
        for missing in ("n7", "net"):
            self.fails("an invite from where no node is", 4, [f"--from {missing}", "holds no node", "starling init"],
                       "invite", "net", "--from", missing, "--out", "a.star")
        self.fails("an address of a stranger", 4, ["key of a node there is not known", "--from DIR"],
                   "invite", "net", "--address", "10.0.0.9:7400", "--out", "a.star")
        self.fails("a name instead of an address", 4, ["must be numeric"], "invite", "net", "--address", "host.example:7400", "--out", "a.star")
        self.fails("an expiry without a unit", 4, ["like 30d"], "invite", "net", "--expires", "30", "--out", "a.star")
        self.fails("no network there", 4, ["holds neither a network"], "invite", "nothing", "--out", "a.star")
        os.chmod(self.at("net/operator.key"), 0o644)
        self.fails("an operator's key that others may read", 4, ["operator.key", "chmod 600"], "invite", "net", "--out", "a.star")


class Init(Scene):
    def setUp(self):
        super().setUp()
        self.create()
        self.port = self.first()
        self.invite("join.star")

    def refuse(self, title, parts, *words, name="n1", **more):
        self.fails(title, 4, parts, "init", name, *words, **more)
        self.assertFalse(os.path.exists(self.at(name)), "a failed init leaves nothing behind")

    def test_a_directory_is_closed_and_whole(self):
        done = self.works("init", "n1", "--data", "data1.csv", "--label", "last", "--join", "join.star", "--name", "ward 7", "--listen", "127.0.0.1:7999")
        self.assertEqual(mode_of(self.at("n1")), 0o700)
        self.assertEqual(mode_of(self.at("n1/identity.key")), 0o600)
        self.assertEqual(read(self.folder, "n1", "network.conf"), read(self.folder, "net", "network.conf"))
        settings = read(self.folder, "n1", "node.conf")
        for part in (f'path = "{self.at("data1.csv")}"', 'listen = "127.0.0.1:7999"', 'name = "ward 7"', "# training data"):
            self.assertIn(part, settings)
        for part in ("150 rows", "3 of the 3 classes", "PRIVACY IS OFF", "4 members", "delete it", "starlingd n1"):
            self.assertIn(part, done.stdout)
        self.assertIn("can start", self.works("config", "check", "n1").stdout)
        self.assertIn("ward 7", self.works("config", "get", "node.name", "n1").stdout)
        self.assertIn("node.listen", self.works("-d", "n1", "config", "list", "--changed").stdout)
        shown = self.works("key", "show", "n1").stdout
        self.assertIn("(hidden)", shown)
        secret = re.search(r"sign = (\w{128})", read(self.folder, "n1", "identity.key")).group(1)
        self.assertNotIn(secret[:64], shown)
        self.assertEqual(json.loads(self.works("--json", "key", "show", "n1").stdout)["data"]["name"], "ward 7")

    def test_what_a_node_does_not_have_is_null(self):
        self.works("init", "n1", "--data", "data1.csv", "--join", "first.star")
        data = json.loads(self.works("--json", "key", "show", "n1").stdout)["data"]
        self.assertEqual((data["name"], data["host"]), (None, None))

    def test_the_first_column_that_differs_is_named_with_both_sides(self):
        shutil.copy(self.at("data1.csv"), self.at("wrong.csv"))
        for title, header, parts in (("a column of another name", "a,b,px16,d,class", ["column 3 is 'px16' here and 'c' in the network"]),
                                     ("columns in another order", "b,a,c,d,class", ["column 1 is 'b' here and 'a' in the network", "another order"])):
            rows = read(self.folder, "data1.csv").splitlines()
            with open(self.at("wrong.csv"), "w", encoding="utf-8") as file:
                file.write("\n".join([header, *rows[1:]]) + "\n")
            self.refuse(title, parts, "--data", "wrong.csv", "--join", "join.star")
        with open(self.at("wrong.csv"), "w", encoding="utf-8") as file:
            file.write("id,a,b,c,d,class\n" + "".join(f"{i},1,2,3,4,{i % 3}\n" for i in range(9)))
        self.refuse("a column too many", ["5 feature columns here, 4 in the network", "a row number?"], "--data", "wrong.csv", "--join", "join.star")
        with open(self.at("wrong.csv"), "w", encoding="utf-8") as file:
            file.write("a,b,c,d,class\n" + "".join(f"1,2,3,4,{i % 7}\n" for i in range(9)))
        self.refuse("more classes than the network has", ["labels up to 6 here, 3 classes in the network (0 to 2)"],
                    "--data", "wrong.csv", "--join", "join.star")

    def test_wrong_data_and_labels(self):
        self.refuse("data that are not there", ["nothing.csv"], "--data", "nothing.csv", "--join", "join.star")
        self.refuse("a label that is a feature", ['column "a"', "is no class number"], "--data", "data1.csv", "--label", "a", "--join", "join.star")
        self.refuse("a label that is not there", ['no column "klass"', "a, b, c, d, class"], "--data", "data1.csv", "--label", "klass", "--join", "join.star")
        os.mkdir(self.at("folder"))
        self.refuse("a folder instead of a table", ["folder"], "--data", "folder", "--join", "join.star")

    def test_wrong_invites(self):
        data = ["--data", "data1.csv", "--join"]
        self.refuse("an invite that is not there", ["other.star"], *data, "other.star")
        self.refuse("a table instead of an invite", ["is not an invite", "starling invite"], *data, "sample.csv")
        self.refuse("a descriptor instead of an invite", ["ask its operator for an invite"], *data, "net/network.conf")
        text = read(self.folder, "join.star")
        for title, name, content in (("an invite that was cut", "cut.star", text[:600]),
                                     ("an invite that was changed", "changed.star", text.replace("seed = 1", "seed = 2")),
                                     ("an invite with Windows' line ends", "windows.star", text.replace("\n", "\r\n"))):
            with open(self.at(name), "w", encoding="utf-8", newline="") as file:
                file.write(content)
            self.refuse(title, [name], *data, name)
        self.works("invite", "net", "--expires", "1s", "--out", "short.star")
        time.sleep(2.1)
        self.refuse("an invite that expired", ["short.star: expired", "seconds ago", "clock"], *data, "short.star")

    def test_an_invite_of_another_network(self):
        with open(self.at("other.csv"), "w", encoding="utf-8") as file:
            file.write("age,height,class\n1,2,0\n2,3,1\n")
        self.works("network", "create", "other", "--unit", "off", "--data", "other.csv")
        self.works("invite", "other", "--address", "127.0.0.1:7411", "--out", "other.star")
        self.refuse("an invite of another network", ["4 feature columns here, 2 in the network", "'a' here and 'age' in the network"],
                    "--data", "data1.csv", "--join", "other.star")

    def test_a_clock_that_is_wrong(self):
        if not os.path.exists(SHIFT_CLOCK):
            self.skipTest("skipped: the library that shifts the clock was not built")
        self.works("invite", "net", "--expires", "30d", "--out", "month.star")
        self.refuse("a clock that is a year ahead", ["expired 33", "days ago", "set the clock if it is wrong"], "--data", "data1.csv", "--join", "month.star",
                    env=with_shifted_clock(366 * 86400))

    def test_a_folder_in_use_is_left_alone(self):
        before = read(self.folder, "n0", "identity.key")
        self.fails("a node where there is one", 4, ["n0: is not empty", "identity.key"], "init", "n0", "--data", "data1.csv", "--join", "join.star")
        self.assertEqual(read(self.folder, "n0", "identity.key"), before)

    def test_a_full_disk_leaves_nothing_behind(self):
        if os.geteuid() != 0:
            self.skipTest("skipped: only root can mount a tiny disk")
        os.mkdir(self.at("disk"))
        if call("mount", "-t", "tmpfs", "-o", "size=8k", "none", self.at("disk")).returncode != 0:
            self.skipTest("skipped: this machine mounts no tmpfs")
        self.addCleanup(call, "umount", self.at("disk"))
        self.fails("a disk that is full", 1, ["no space left on the device", "nothing was left behind"],
                   "init", "disk/n1", "--data", "data1.csv", "--join", "join.star")
        self.assertEqual(os.listdir(self.at("disk")), [])

    def test_a_port_that_is_taken_is_told_before(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            done = self.works("init", "n1", "--data", "data1.csv", "--join", "join.star", "--listen", address, title="a port that is taken")
            self.assertIn(f"another program uses {address}", done.stdout)

    def test_classes_that_are_words_are_numbered_as_the_network_does(self):
        with open(self.at("words.csv"), "w", encoding="utf-8") as file:
            file.write("a,b,kind\n" + "".join(f"{i},{i % 5},{('bird', 'cat', 'dog')[i % 3]}\n" for i in range(9)))
        with open(self.at("few.csv"), "w", encoding="utf-8") as file:
            file.write("a,b,kind\n" + "".join(f"{i},{i % 5},{('cat', 'dog')[i % 2]}\n" for i in range(9)))
        with open(self.at("strange.csv"), "w", encoding="utf-8") as file:
            file.write("a,b,kind\n" + "".join(f"{i},{i % 5},{('cat', 'dgo')[i % 2]}\n" for i in range(9)))
        self.works("network", "create", "pets", "--unit", "off", "--data", "words.csv")
        self.assertIn("classes = bird,cat,dog\n", read(self.folder, "pets", "network.conf"))
        self.works("invite", "pets", "--address", "127.0.0.1:7411", "--out", "pets.star")
        self.refuse("a class that is misspelled", ["the class 'dgo' here is none"], "--data", "strange.csv", "--join", "pets.star")
        self.assertIn("2 of the 3 classes", self.works("init", "p1", "--data", "few.csv", "--join", "pets.star").stdout)
        self.assertIn("can start", self.works("config", "check", "p1").stdout)

    def test_an_open_network_needs_a_puzzle_and_no_invite(self):
        self.works("network", "create", "free", "--unit", "off", "--data", "sample.csv", "--admission", "open", "--set", "network.puzzle_bits=10")
        self.fails("an invite before there is a first node", 4, ["--join free/network.conf"], "invite", "free", "--out", "free.star")
        self.works("init", "f1", "--data", "data1.csv", "--join", "free/network.conf", "--listen", "127.0.0.1:7411")
        self.works("invite", "free", "--from", "f1", "--out", "free.star")
        self.works("init", "f2", "--data", "data2.csv", "--join", "free.star")
        self.assertIn("127.0.0.1:7411", read(self.folder, "f2", "seeds.list"))
        self.assertIn("a puzzle", self.works("key", "show", "f2").stdout)


class Wire:
    """Two machines on one cable, where root may make network namespaces; else one machine, on loopback."""

    def __init__(self, scene):
        tag = "starling-" + secrets.token_hex(4)
        self.names = [f"{tag}-a", f"{tag}-b"]
        self.is_real = os.geteuid() == 0 and shutil.which("ip") is not None and self._make(scene)

    def _make(self, scene):
        for name in self.names:
            if call("ip", "netns", "add", name).returncode != 0:
                return False
            scene.addCleanup(call, "ip", "netns", "del", name)
        a, b = self.names
        steps = [f"ip -n {a} link add eth0 type veth peer name eth0 netns {b}"]
        for name, address in ((a, "10.98.0.1/24"), (b, "10.98.0.2/24")):
            steps += [f"ip -n {name} addr add {address} dev eth0", f"ip -n {name} link set eth0 up", f"ip -n {name} link set lo up"]
        return all(call(*step.split()).returncode == 0 for step in steps)

    def before(self, node):
        """The words in front of a program that shall run on a node's machine: the first node's is another than most."""
        return ["ip", "netns", "exec", self.names[self._machine(node)]] if self.is_real else []

    def address(self, node):
        return f"10.98.0.{self._machine(node) + 1}:{7400 + node}" if self.is_real else f"127.0.0.1:{free_port()}"

    @staticmethod
    def _machine(node):
        return 0 if node == 0 else node % 2


class Together(Scene):
    def setUp(self):
        super().setUp()
        self.create()
        self.wire = Wire(self)
        self.addresses = [self.wire.address(node) for node in range(NODES)]

    def join(self, node, invite, *more):
        self.works("init", f"n{node}", "--data", f"data{node}.csv", "--label", "last", "--join", invite, *more)

    def run_node(self, node, **more):
        return self.start(f"n{node}", before=self.wire.before(node), **more)

    def test_four_devices_learn_together_and_a_guest_joins_them(self):
        self.invite("join0.star", "--address", self.addresses[0])
        self.join(0, "join0.star")
        nodes = [self.run_node(0)]
        self.assertTrue(nodes[0].wait_for("listens at " + re.escape(self.addresses[0]), 20), nodes[0].said())
        for node in (1, 2):
            self.invite(f"join{node}.star")
            self.join(node, f"join{node}.star", "--listen", self.addresses[node])
            nodes.append(self.run_node(node))
        stalled = nodes[0].wait_for("STALLED", 40)
        self.assertIn("3 needed for a cohort", stalled, nodes[0].said())
        status = self.works("-d", "n0", "status", title="three nodes, where four are needed").stdout
        self.assertIn("3 needed", status)

        self.invite("join3.star")
        self.join(3, "join3.star", "--listen", self.addresses[3])
        nodes.append(self.run_node(3))
        for node in nodes:
            self.assertTrue(node.wait_for("aggregate of 4 members", 40), node.said())

        self.works("-d", "n1", "invite", "--out", "guest.star")
        self.join(4, "guest.star", "--listen", self.addresses[4])
        nodes.append(self.run_node(4))
        self.assertTrue(nodes[4].wait_for(r"aggregate of [45] members", 40), nodes[4].said())
        for node in nodes:
            node.stop()
            self.assertEqual(node.process.returncode, 0, node.said())
        self.look_at_the_model()

    def look_at_the_model(self):
        self.works("-d", "n3", "model", "export", "model.safetensors")
        with open(self.at("model.safetensors"), "rb") as file:
            content = file.read()
        size = struct.unpack("<Q", content[:8])[0]
        head = json.loads(content[8:8 + size])
        self.assertEqual(head["weight"]["shape"], [3, 4])
        self.assertEqual(head["__metadata__"]["columns"], "a,b,c,d")
        self.assertEqual(len(content), 8 + size + head["bias"]["data_offsets"][1])
        self.assertIn("softmax", self.works("-d", "n3", "model", "info").stdout)
        self.fails("a model over another", 4, ["exists already"], "-d", "n3", "model", "export", "model.safetensors")

        data = json.loads(self.works("--json", "-d", "n3", "predict", "--data", "data2.csv", "--out", "predicted.csv").stdout)["data"]
        self.assertGreater(data["accuracy"], 0.8)
        with open(self.at("predicted.csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with open(self.at("data2.csv"), encoding="utf-8", newline="") as file:
            right = [row["class"] for row in csv.DictReader(file)]
        n_right = sum(row["class"] == label for row, label in zip(rows, right, strict=True))
        self.assertAlmostEqual(n_right / len(right), data["accuracy"])
        with open(self.at("bare.csv"), "w", encoding="utf-8") as file:
            file.write("a,b,c,d\n2,0,0,1\n0,2,0,-1\n")
        self.assertEqual([line.split(",")[1] for line in self.works("-d", "n3", "predict", "--data", "bare.csv").stdout.splitlines()], ["class", "0", "1"])


class WrongStarts(Scene):
    """What starlingd says of a directory that was all right when it was made."""

    def setUp(self):
        super().setUp()
        self.create("--set", "epoch.length=500ms")
        self.port = self.first()

    def refuse(self, title, code, parts, folder, **more):
        words = [STARLINGD, self.at(folder)]
        done = call(*words, stdin=subprocess.DEVNULL, **more)
        show(title, ["starlingd", folder], done)
        self.assertEqual(done.returncode, code, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_a_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            self.refuse("a port that is taken", 1, [f"127.0.0.1:{self.port}", "node.listen"], "n0")

    def test_keys_and_files_that_are_wrong(self):
        key = self.at("n0/identity.key")
        os.chmod(key, 0o644)
        self.refuse("a key that others may read", 4, ["chmod 600"], "n0")
        os.chmod(key, 0o600)
        kept = read(key)
        with open(key, "w", encoding="utf-8") as file:
            file.write("rubbish\n")
        self.refuse("a key that is rubbish", 4, ["identity.key", "restore it from a copy"], "n0")
        with open(key, "w", encoding="utf-8") as file:
            file.write(kept)
        self.refuse("the folder of a network", 4, ["folder of a network", "starling init"], "net")
        self.assertFalse(os.path.exists(self.at("net/node.lock")))
        os.rename(self.at("n0/admission.cert"), self.at("kept.cert"))
        self.refuse("a certificate that is missing", 4, ["admission.cert", "starling init"], "n0")

    def test_a_membership_that_expired_is_renewed_by_a_new_invite(self):
        self.invite("short.star", "--expires", "3s")
        self.works("init", "n1", "--data", "data1.csv", "--join", "short.star", "--listen", f"127.0.0.1:{free_port()}")
        time.sleep(4.1)
        self.refuse("a membership that expired", 4, ["expired", "new invite"], "n1")
        self.invite("new.star")
        self.works("key", "renew", "n1", "--join", "new.star")
        self.assertTrue(self.start("n1").wait_for("ready", 20))

    def test_an_invite_that_somebody_used_before(self):
        self.start("n0")
        self.invite("once.star")
        for node in (1, 2):
            self.works("init", f"n{node}", "--data", f"data{node}.csv", "--join", "once.star", "--listen", f"127.0.0.1:{free_port()}")
        self.assertTrue(self.start("n1").wait_for("1 peer reachable", 20))
        late = self.start("n2")
        self.assertIn("is the invite still unused", late.wait_for("STALLED", 20), late.said())
        if SCREENS:
            with open(SCREENS, "a", encoding="utf-8") as file:
                file.write(f"--- an invite that somebody used before\n{late.said()}\n\n")

    def test_a_clock_that_is_wrong(self):
        if not os.path.exists(SHIFT_CLOCK):
            self.skipTest("skipped: the library that shifts the clock was not built")
        self.start("n0")
        for node in (1, 2, 3):                       # fewer than three others cannot tell whose clock is wrong
            self.invite(f"join{node}.star")
            self.works("init", f"n{node}", "--data", f"data{node}.csv", "--join", f"join{node}.star", "--listen", f"127.0.0.1:{free_port()}")
        self.start("n1")
        self.start("n2")
        node = self.start("n3", env=with_shifted_clock(-3 * 3600))
        line = node.wait_for("the clock is", 25)
        self.assertRegex(line, r"the clock is [23] h behind 3 peers", node.said())
        if SCREENS:
            with open(SCREENS, "a", encoding="utf-8") as file:
                file.write(f"--- a clock that is three hours behind\n{node.said()}\n\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
