# SPDX-License-Identifier: MIT
"""The privacy ledger of real nodes: killed at every step of a round, on a full disk, damaged, taken away. What was spent stays spent, no output leaves without
its record, and nothing is noised twice."""

import hashlib
import os
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from ask import ask
from kit import BUILD, STARLINGD, call, prepare

STARLING = os.path.join(BUILD, "tools", "starling")
BREAK_DISK = os.path.join(BUILD, "tests", "kit", "libbreak_disk.so")
NODES, RECORD, PATIENCE = 4, 256, 40
OPEN, CHARGE, RELEASE, LOWER = range(4)
PRIVACY = {"privacy.unit": "record", "privacy.dataset": "toy data", "privacy.records": 30, "privacy.sampling_rate": 0.5, "privacy.batch": 15,
           "privacy.steps": 2, "privacy.clip": 1, "privacy.noise": 20, "privacy.delta": 1e-3}
NODE_UNIT = {"privacy.unit": "node", "privacy.dataset": "toy data", "privacy.records": 30, "privacy.delta": 1e-3, "privacy.node_clip": 1,
             "privacy.node_noise": 40, "privacy.honest": 1, "privacy.colluders": 0, "privacy.cohort_min_size": 4, "cohort.min_size": 4, "cohort.size": 4,
             "cohort.max_size": 4}
ROUND = ["charge.write", "charge.sync", "job", "release.write", "release.sync", "release.rename", "folder.sync", "record.write", "record.sync"]
NODE_ROUND = ["charge.write", "charge.sync", "job", "record.write", "record.sync"]           # what a cohort gets is kept in no file
FULL, BROKEN = 28, 5                         # ENOSPC, EIO


def blake2b(data, key=b""):
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def read_bytes(*parts):
    try:
        with open(os.path.join(*parts), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def whole(data):
    """A ledger without its torn tail."""
    end = len(data) // RECORD * RECORD
    return data[:end]


class Record:
    def __init__(self, data):
        magic, version, self.type, self.sequence, self.previous = struct.unpack_from("<4sHHQ32s", data)
        assert magic == b"SLPB" and version == 1
        self.numbers, self.round, self.release = data[64:120], struct.unpack_from("<Q", data, 120)[0], data[128:160]
        self.eps_max, self.delta = struct.unpack_from("<dd", data, 160)


def secret_of(node):
    with open(os.path.join(node, "identity.key"), encoding="ascii") as file:
        return bytes.fromhex(next(line.split("=")[1].strip() for line in file if line.startswith("sign")))


def parse(node, data):
    """The records, after everything was checked that a reader with the node's key can check."""
    key, previous, records = blake2b(b"starling.ledger.v1", secret_of(node)[:32]), bytes(32), []
    assert len(data) % RECORD == 0, len(data)
    for at in range(0, len(data), RECORD):
        piece = data[at:at + RECORD]
        assert blake2b(piece[:224], key) == piece[224:], f"record {at // RECORD} has no seal of this node"
        record = Record(piece)
        assert record.previous == previous and record.sequence == len(records)
        records.append(record)
        previous = blake2b(piece)
    return records


def environment(**more):
    options = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, "LD_PRELOAD": BREAK_DISK, "ASAN_OPTIONS": (options + ":" if options else "") + "verify_asan_link_order=0",
            **{f"STARLING_BREAK{name}": value for name, value in more.items()}}


class Node:
    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.log, self.trace, self.fault = (folder + ending for ending in (".log", ".trace", ".fault"))

    def id(self):
        """By the line of the prepared list that has the public half of its key."""
        public = secret_of(self.folder)[32:].hex()
        with open(os.path.join(self.folder, "peers.list"), encoding="ascii") as file:
            return next(words[0] for words in map(str.split, file) if words[1:2] == [public])

    def start(self, plan=""):
        more = {"_TRACE": self.trace, "_FAULT": self.fault, "_SELF": self.id()}
        if plan:
            more[""] = plan
        with open(self.trace, "a", encoding="ascii") as file:
            file.write("start\n")
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([STARLINGD, self.folder, "-v"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(**more))

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        self.process = None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self.process = None

    def ledger(self):
        return read_bytes(self.folder, "privacy.ledger")

    def records(self):
        return parse(self.folder, whole(self.ledger()))

    def count(self, kind):
        return sum(1 for record in self.records() if record.type == kind)

    def text(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def points(self):
        return read_bytes(self.trace).decode().split()

    def output(self):
        """The release file: (sequence of its CHARGE, its hash), or None."""
        data = read_bytes(self.folder, "privacy.release")
        return (struct.unpack_from("<8sQ", data)[1], blake2b(data)) if data else None


def wait_until(node, condition, what):
    """A condition of the node, or of its process."""
    end = time.monotonic() + PATIENCE
    while not condition(node):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}: {node.text()[-3000:]}"
        time.sleep(0.05)


def has_ended(node):
    return node.process.poll() is not None


def starling(*words):
    return call(STARLING, *words)


class Network(unittest.TestCase):
    """Four nodes; a test stops those that it starts."""

    settings, round = PRIVACY, ROUND

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="starling-ledger-")
        settings = [word for key, value in cls.settings.items() for word in ("--set", f"{key}={value}")]
        cls.net = prepare(cls.scratch.name, NODES, "--epoch-length", "1s", *settings)
        cls.nodes = [Node(os.path.join(cls.net, f"n{i:03d}")) for i in range(NODES)]

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def tearDown(self):
        for node in self.nodes:
            node.kill()

    def clear(self, node):
        """As if it had never run."""
        names = [os.path.join(node.folder, name) for name in ("privacy.ledger", "privacy.release", "state", "state.bak")]
        for path in names + [node.log, node.trace]:
            if os.path.exists(path):
                os.unlink(path)

    def check_ledger(self, node):
        """What holds of every ledger at any time; the records, and {sequence of a CHARGE: hash of its release}."""
        records, releases, charge = node.records(), {}, None
        rounds = [record.round for record in records if record.type == CHARGE]
        self.assertEqual(len(rounds), len(set(rounds)), "an epoch was charged twice: noise was drawn twice")
        for record in records:
            if record.type == CHARGE:
                charge = record
            if record.type == RELEASE:
                self.assertEqual((charge.numbers, charge.round), (record.numbers, record.round))
                self.assertNotIn(charge.sequence, releases)
                releases[charge.sequence] = record.release
        return records, releases

    def check_order(self, node):
        """Every step follows the one that must be durable before it, and no vector is committed to while a round is under way."""
        before = None
        for point in node.points():
            if point == "commit":
                self.assertEqual(before, "record.sync", "a vector left before its release was durable")
                continue
            is_recovered = before == "start" and point == "record.write"
            if point in self.round[1:] and not is_recovered:
                self.assertEqual(before, self.round[self.round.index(point) - 1], point)
            before = point


class Crashes(Network):
    # Where a second round ends, and whether its output is whole on disk then.
    plans = [("charge.write:before", False), ("charge.write:half", False), ("charge.write:after", False), ("charge.sync:after", False),
             ("job:before", False), ("release.write:half", False), ("release.sync:after", False), ("release.rename:after", True),
             ("folder.sync:after", True), ("record.write:half", True), ("record.write:after", True), ("record.sync:after", True)]

    def wait_for_crash(self, node, plan):
        wait_until(node, has_ended, f"{plan} ends it")
        self.assertEqual(node.process.returncode, -signal.SIGKILL, node.text()[-2000:])

    def check_after_crash(self, node, plan, is_whole):
        records, releases = self.check_ledger(node)
        self.check_order(node)
        output, points, charges = node.output(), node.points(), [record for record in records if record.type == CHARGE]
        self.assertEqual(len(charges), points.count("charge.write"), f"{plan}: whatever was written counts")
        self.assertEqual(len(releases), points.count("record.write"), plan)
        was_charged = plan not in ("charge.write:before", "charge.write:half")
        self.assertEqual(output[0] == charges[-1].sequence, is_whole or not was_charged, f"{plan}: which output is on disk?")
        return whole(node.ledger()), charges[-1], output

    def check_after_restart(self, node, plan, before, is_whole):
        ledger, charge, output = before
        _, releases = self.check_ledger(node)
        self.check_order(node)
        self.assertTrue(node.ledger().startswith(ledger), f"{plan}: what was spent is not what it was")
        self.assertEqual(releases[output[0]], output[1], f"{plan}: the output is not the one that was saved")
        if is_whole:
            self.assertIn("goes on from the output of its last round", node.text(), plan)
        if output[0] != charge.sequence:
            self.assertNotIn(charge.sequence, releases, f"{plan}: a round without an output was released")
        is_torn = plan in ("charge.write:half", "record.write:half")
        self.assertEqual("was not written to the end" in node.text(), is_torn, plan)

    def test_a_node_that_is_killed_at_any_step_spends_no_less_and_noises_nothing_twice(self):
        for first in range(0, len(self.plans), NODES):
            batch, before = list(zip(self.nodes, self.plans[first:first + NODES])), {}
            for node, (plan, _) in batch:
                self.clear(node)
                node.start(plan + ":2")
            for node, (plan, is_whole) in batch:
                self.wait_for_crash(node, plan)
                before[plan] = self.check_after_crash(node, plan, is_whole)
            for node, _ in batch:
                node.start()
            for node, (plan, is_whole) in batch:
                n_before = before[plan][1].sequence + 3
                wait_until(node, lambda n, at=n_before: any(record.type == RELEASE for record in n.records()[at:]), f"{plan}: it learns again")
                node.stop()
                self.check_after_restart(node, plan, before[plan], is_whole)


class Orders:
    """Of either unit."""

    def setUp(self):
        for node in self.nodes:
            self.clear(node)

    def test_a_charge_is_durable_before_the_job_and_a_release_before_its_output_leaves(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_until(node, lambda n: n.points().count("record.sync") >= 3 and "commit" in n.points(), "three rounds, one in a cohort")
        for node in self.nodes:
            node.stop()
            self.assertEqual(node.points()[:3], ["start", "open.write", "open.sync"])
            self.check_order(node)
            self.check_ledger(node)
            self.assertEqual(node.points().count("job"), node.count(CHARGE), "one draw of noise for each charge")


class OrderOfRecord(Orders, Network):
    def test_a_commit_that_was_cut_short_has_its_record(self):
        victim = self.nodes[0]
        for node in self.nodes:
            node.start("commit:before:1" if node is victim else "")
        wait_until(victim, has_ended, "its first commit ends it")
        _, releases = self.check_ledger(victim)
        self.assertEqual(victim.records()[-1].type, RELEASE)
        self.assertEqual(releases[victim.output()[0]], victim.output()[1])


class OrderOfNode(Orders, Network):
    settings, round = NODE_UNIT, NODE_ROUND

    def test_a_charge_whose_noise_was_lost_in_a_crash_stays_and_is_never_noised_again(self):
        for node, plan in zip(self.nodes, ("charge.sync:after:1", "record.write:half:1")):
            node.stop()
            node.start(plan)
            for other in self.nodes:
                if not other.process:
                    other.start()
            self.check_crash(node, plan)

    def check_crash(self, node, plan):
        wait_until(node, has_ended, f"{plan} ends it")
        before, lost, n_releases = whole(node.ledger()), node.records()[-1], node.count(RELEASE)
        self.assertEqual(lost.type, CHARGE, plan)
        node.start()
        wait_until(node, lambda n: n.count(RELEASE) > n_releases, "it learns again")
        node.stop()
        _, releases = self.check_ledger(node)
        self.check_order(node)
        self.assertTrue(node.ledger().startswith(before), plan)
        self.assertNotIn(lost.sequence, releases, f"{plan}: the output of a round before a crash cannot come back")

    def test_a_node_whose_disk_was_set_back_is_told_by_its_peers_and_learns_no_more(self):
        for node in self.nodes:
            node.start()
        victim = self.nodes[0]
        wait_until(victim, lambda n: n.count(RELEASE) >= 2, "two rounds")
        victim.stop()
        for name in ("privacy.ledger", "state", "state.bak"):
            os.unlink(os.path.join(victim.folder, name))
        victim.start()
        wait_until(victim, lambda n: "its privacy ledger allows no training" in n.text(), "its peers show it what it said before")
        n_records, epoch = len(victim.records()), ask(victim.folder, "status")[0]["epoch"]["number"]
        wait_until(victim, lambda n: ask(n.folder, "status")[0]["epoch"]["number"] >= epoch + 2, "it lives on")
        self.assertEqual(len(victim.records()), n_records)


class Disks(Network):
    def set_fault(self, node, point, number):
        with open(node.fault + ".new", "w", encoding="ascii") as file:
            file.write(f"{point} {number}")
        os.rename(node.fault + ".new", node.fault)

    def test_a_full_or_broken_disk_stops_learning_and_sending_and_nothing_else(self):
        for node in self.nodes:
            node.start()
        victim = self.nodes[0]
        wait_until(victim, lambda n: n.count(RELEASE) >= 1, "a first round")
        more = (("charge.sync", BROKEN), ("release.sync", BROKEN), ("record.sync", BROKEN)) if os.environ.get("STARLING_LONG") else ()
        for point, number in (("charge.write", FULL), ("release.write", FULL), ("record.write", FULL)) + more:
            with self.subTest(point=point):
                self.disturb(victim, point, number)
        self.check_ledger(victim)
        self.assertIn("DISK: ", victim.text())
        self.assertIn("is written again", victim.text())

    def disturb(self, node, point, number):
        self.set_fault(node, point, number)
        failing = "privacy.release cannot be written" if point.startswith("release") else "privacy.ledger cannot be written"
        seen = node.text().count(failing)
        wait_until(node, lambda n: n.text().count(failing) > seen, f"{point} fails")
        charges, releases, jobs, ledger = node.count(CHARGE), node.count(RELEASE), node.points().count("job"), whole(node.ledger())
        epoch = ask(node.folder, "status")[0]["epoch"]["number"]
        wait_until(node, lambda n: ask(n.folder, "status")[0]["epoch"]["number"] > epoch, "it lives on")
        if point != "record.sync":                           # it stands there until it is cut off
            self.assertEqual(node.count(RELEASE), releases, "an output was released that is not whole on disk")
        if point.startswith("charge"):
            self.assertEqual(node.points().count("job"), jobs, "it learned without a charge")
        if point == "charge.write":
            self.assertEqual((node.count(CHARGE), whole(node.ledger())), (charges, ledger), "nothing was charged")
        else:
            self.assertGreaterEqual(node.count(CHARGE), charges, "a charge was taken back")
        self.check_order(node)
        os.unlink(node.fault)
        wait_until(node, lambda n: n.count(RELEASE) > releases, f"after {point} it learns again")


class Doors(Network):
    """What a node refuses to start with, and what its owner can do then."""

    def setUp(self):
        self.node = self.after_a_round(self.nodes[0])

    def after_a_round(self, node):
        if not node.ledger():
            node.start()
            wait_until(node, lambda n: n.count(RELEASE) >= 1 and read_bytes(n.folder, "state"), "a first round")
            node.stop()
        return node

    def refused(self, *sentences, more=(), code=4):
        done = call(STARLINGD, self.node.folder, "--epochs", "1", *more, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stderr)
        for sentence in sentences:
            self.assertIn(sentence, done.stderr)

    def with_ledger(self, data, *sentences, **more):
        path, before = os.path.join(self.node.folder, "privacy.ledger"), self.node.ledger()
        with open(path, "wb") as file:
            file.write(data)
        try:
            self.refused(*sentences, **more)
            self.assertEqual(self.node.ledger(), data, "a ledger that is refused stays as it is")
        finally:
            with open(path, "wb") as file:
                file.write(before)

    def test_a_second_process_is_locked_out_by_the_ledger_itself(self):
        self.node.start()
        wait_until(self.node, lambda n: os.path.exists(os.path.join(n.folder, "control.sock")), "it runs")
        self.refused("another process runs this node", code=1)
        os.unlink(os.path.join(self.node.folder, "node.lock"))
        self.refused("privacy.ledger: is in use by another process", "privacy budget", code=1)
        self.node.stop()

    def test_a_flipped_bit_is_refused_with_what_to_do(self):
        ledger = self.node.ledger()
        for at in (5, RECORD - 1, RECORD + 80, len(ledger) - 1):
            flipped = bytearray(ledger)
            flipped[at] ^= 0x10
            self.with_ledger(bytes(flipped), f"record {at // RECORD} ", "Restore the file", "starling privacy reset")

    def test_a_ledger_that_is_gone_or_older_than_the_output_is_refused(self):
        ledger = self.node.ledger()
        self.with_ledger(b"", "is empty, but this node has run before", "starling privacy reset")
        self.with_ledger(ledger[:RECORD], "is older than privacy.release", code=1)
        os.rename(os.path.join(self.node.folder, "privacy.ledger"), os.path.join(self.node.folder, "away"))
        self.refused("is missing, but this node has run before", "starling privacy reset")
        os.rename(os.path.join(self.node.folder, "away"), os.path.join(self.node.folder, "privacy.ledger"))

    def test_other_data_and_higher_limits_are_refused_and_a_lower_one_is_recorded(self):
        self.node = self.after_a_round(self.nodes[2])
        self.refused("privacy.dataset", "under another name", "starling privacy reset", more=("--set", "privacy.dataset=other data"))
        self.refused("privacy.eps_max is 9", "never raised", more=("--set", "privacy.eps_max=9"))
        self.refused("privacy.delta", "never raised", more=("--set", "privacy.delta=0.002"))
        done = call(STARLINGD, self.node.folder, "--epochs", "1", "--set", "privacy.eps_max=5", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([r.eps_max for r in self.node.records() if r.type == LOWER], [5])
        self.refused("privacy.eps_max is 8", "holds this node to 5")

    def test_reset_begins_with_other_data_and_takes_no_name_back(self):
        node = self.after_a_round(self.nodes[1])
        folder, ledger = node.folder, node.ledger()

        same = starling("privacy", "reset", folder, "--dataset", "toy data")
        self.assertNotEqual(same.returncode, 0)
        self.assertIn("stays spent", same.stderr)
        done = starling("privacy", "reset", folder, "--dataset", "new data")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("must not be used again", done.stdout)
        self.assertEqual(read_bytes(folder, "privacy.ledger.1"), ledger)
        self.assertEqual([record.type for record in node.records()], [OPEN])
        self.assertFalse(os.path.exists(os.path.join(folder, "privacy.release")))
        for name in ("toy data", "new data"):
            self.assertNotEqual(starling("privacy", "reset", folder, "--dataset", name).returncode, 0, name)

        node.start()
        wait_until(node, lambda n: n.count(RELEASE) >= 1, "it learns from the new data")
        self.assertIn("its node runs", starling("privacy", "reset", folder, "--dataset", "newer data").stderr)
        node.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
