# SPDX-License-Identifier: MIT
"""The command line beside a node: exit codes, forms of output, names that try to harm a terminal, help for every command."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from kit import BUILD, STARLINGD, call, prepare

STARLING = os.path.join(BUILD, "tools", "starling")
DOCS = os.path.join(BUILD, "tools", "cli_docs")
FAKE_NODE = os.path.join(BUILD, "tests", "system", "fake_node")
A, B = "3f2a" + "0" * 60, "3f2b" + "1" * 60


def peer(identity, **more):
    return {"id": identity, "name": None, "address": "127.0.0.1:7400", "direction": "out", "state": "linked", "heard_ago_s": 3.5, "linked_s": 60.0,
            "rtt_ms": 1.25, "epoch": 12, "reputation": None, "bytes_sent": 4300, "bytes_received": 2 << 20, "refused": 1, "expires": 1900000000, **more}


EPOCH = {"epoch": 12, "begin": 1700000000.5, "steps": 50, "cohort": 8, "initiator": False, "aggregate": True, "void": False, "pulled": 1, "merged": 2,
         "merged_members": 16, "own_score": 0.875, "bytes_sent": 2048, "bytes_received": 1024, "cpu_ms": 10.5,
         "seconds": {"form": 0.1, "train": 1.0, "commit": 1.1, "open": 1.2, "result": 1.3, "pull": None, "share": 1.05, "audit": None, "unmask": 1.25},
         "note": "",
         "proposer": B, "roster": 9, "lost": [{"peer": A, "how": "DROPPED", "text": "dropped 3f2a0000: silent at committing"}]}
STATUS = {"node": {"id": A, "name": "ward 7", "address": None, "listen": "0.0.0.0:7400", "directory": "/n1", "version": "0.2.0", "pid": 7, "uptime_s": 200.0},
          "network": {"id": B, "name": "birds", "admission": "invite", "epoch_length_s": 60.0},
          "health": {"healthy": True, "reason": None, "warnings": []},
          "epoch": {"number": 448884214, "elapsed_s": 4.0, "first": 2, "seen": 1100, "trained": 1100, "with_aggregate": 909,
                    "merged": 1010, "last_merge": 448884213},
          "model": {"spec": "mlp:64", "task": "classify", "parameters": 50890, "features": 784, "outputs": 10, "epoch": 12, "score_name": "accuracy",
                    "own_score": 0.875, "rows": 300},
          "cohorts": {"completed": 9, "void": 1, "success": 0.8},
          "peers": {"known": 2, "live": 2, "banned": 0, "linked": 2, "outbound": 1, "inbound": 1, "view_covers": True, "book_new": 0, "book_tried": 2},
          "privacy": {"unit": "off", "text": "off: no formal promise beyond the masks"},
          "traffic": {"messages_sent": 5, "messages_received": 6, "bytes_sent": 4300, "bytes_received": 5000, "refused": 0, "dropped": 0},
          "resources": {"cpu_s": 1.5, "rss_bytes": 30 << 20, "rss_max_bytes": 31 << 20, "open_files": 30, "signature_checks": 9, "signatures_made": 5}}


class Stage(unittest.TestCase):
    """A folder in which a node is played."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.answers("status", STATUS)
        self.answers("health", STATUS["health"])
        self.answers("peers", {"peers": [peer(B, heard_ago_s=9.0), peer(A, name="ward 7")]})
        self.answers("epochs", {"epochs": [EPOCH]})

    def answers(self, command, data=None, **error):
        answer = {"schema_version": 1, "status": "error", **error} if error else {"schema_version": 1, "status": "ok", "data": data}
        with open(os.path.join(self.folder, command + ".json"), "w", encoding="utf-8") as file:
            json.dump(answer, file)

    def play(self):
        node = subprocess.Popen([FAKE_NODE, self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end():
            node.send_signal(signal.SIGCONT)
            node.kill()
            node.wait()
            node.stdin.close()
            node.stdout.close()
        self.addCleanup(end)
        self.assertEqual(node.stdout.readline(), b"ready\n")
        return node

    def starling(self, *words, code=0, **more):
        done = call(STARLING, "-d", self.folder, *words, stdin=subprocess.DEVNULL, **more)
        self.assertEqual(done.returncode, code, f"starling {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done


def budget(unit, **more):
    """What a node of this unit answers to `privacy`."""
    settings = {"record": {"sampling_rate": 0.2, "batch": 120, "steps": 1, "clip": 1.0, "noise": 3.84},
                "node": {"clip": 1.0, "noise": 4.5, "own_noise": 2.01, "honest": 5, "colluders": 3, "cohort_min_size": 10, "audit_factor": 1.03}}
    return {"unit": unit, "text": "", "adjacency": "add-remove" if unit == "record" else "zero-out", "epsilon": 1.25, "epsilon_floor": 3.5,
            "eps_max": 8.0, "floor_max": None, "delta": 1e-5, "percent": 15.6, "spent": False, "blocked": False,
            "rounds": {"charged": 9, "released": 8, "wasted": 1, "left": 40},
            "protects": "what it protects", "adjacency_text": "one case, or another", "dataset": "ward\x1b[2J 7", "records": 600, "settings": settings[unit],
            "groups": [{"records": 2, "epsilon": 2.5, "delta": 4.5e-5}, {"records": 10, "epsilon": None, "delta": None}] if unit == "record" else [],
            "accountant": "RDP, grid 1", "ledger_records": 18, "reason": None, "not_covered": ["whoever breaks in"], **more}


class Privacy(Stage):
    def screen(self, data):
        self.answers("privacy", data)
        return self.starling("privacy").stdout

    def test_a_screen_never_shows_epsilon_without_delta_unit_and_adjacency(self):
        self.play()
        screen = self.screen(budget("record"))
        for part in ("unit      record: protects what it protects", "one case, or another (add-remove)", "epsilon 1.25 of at most 8 (15.6 %) at delta 1e-05\n",
                     "by a factor of 3.49", "40 more epochs", "9 charged, 8 released; 1 charged since the start without an aggregate",
                     "2 examples of one person: epsilon 2.5 at delta 4.5e-05", "10 examples of one person: no bound", "1 step an epoch", "- whoever breaks in"):
            self.assertIn(part, screen)
        self.assertNotIn("\x1b", screen)

    def test_unit_node_shows_both_epsilons_and_what_they_rest_on(self):
        self.play()
        screen = self.screen(budget("node"))
        for part in ("at delta 1e-05, while at most 3 of a cohort collude", "epsilon 3.5 at the same delta if all others collude, without a limit of its own",
                     "of 10 or more", "5 honest shares", "audit factor 1.03", "of which this\n"):
            self.assertIn(part, screen)
        self.assertNotIn("of one person", screen)
        self.assertIn("if all others collude, of at most 20", self.screen(budget("node", floor_max=20.0)))

    def test_what_ends_the_learning_is_said_loudly(self):
        self.play()
        self.assertIn("BUDGET SPENT", self.screen(budget("record", spent=True)))
        self.assertIn("BLOCKED, it does not learn from its data: the ledger is old", self.screen(budget("record", blocked=True, reason="the ledger is old")))
        self.assertTrue(self.screen({"unit": "off", "text": "off", "protects": "nothing"}).startswith("PRIVACY IS OFF"))
        self.answers("privacy", budget("record"))
        self.assertIn("rounds.left\t40\n", self.starling("--dump", "privacy").stdout)


class Codes(Stage):
    def test_without_a_node_it_says_how_to_start_one(self):
        done = self.starling("status", code=2)
        self.assertIn("cannot reach the node in", done.stderr)
        self.assertIn("starlingd " + self.folder, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(json.loads(self.starling("--json", "status", code=2).stdout)["error"], "unreachable")

    def test_a_node_that_died_left_its_socket_behind(self):
        node = self.play()
        node.kill()
        node.wait()
        self.assertIn("any more", self.starling("status", code=2).stderr)

    def test_a_node_that_hangs_is_given_up(self):
        self.play().send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        done = self.starling("status", "--timeout", "0.5", code=3)
        self.assertIn("did not answer within 0.5 s", done.stderr)
        self.assertLess(time.monotonic() - begin, 20)

    def test_wrong_words_are_bad_arguments(self):
        for words in (["frobnicate"], ["status", "more"], ["peers", "--frobnicate"], ["epochs", "-n", "0"], ["epochs", "-n", "many"], ["ban"], ["network"],
                      ["top", "-b", "--sort", "colour"], ["--timeout", "soon", "status"], ["--watch", "ban", "3f2a"], ["--dump", "version"],
                      ["--json", "--dump", "peers"]):
            self.assertNotEqual(self.starling(*words, code=4).stderr, "", words)

    def test_an_unhealthy_node_has_a_code_of_its_own(self):
        self.answers("health", {"healthy": False, "reason": "1 peer reachable, 3 needed", "warnings": []})
        self.answers("status", {**STATUS, "health": {"healthy": False, "reason": "1 peer reachable, 3 needed", "warnings": []}})
        self.play()
        self.assertIn("1 peer reachable", self.starling("health", code=6).stdout)
        self.assertFalse(json.loads(self.starling("--json", "health", code=6).stdout)["data"]["healthy"])
        self.assertTrue(self.starling("status").stdout.startswith("NOT HEALTHY: 1 peer reachable, 3 needed\n"))

    def test_without_a_command_the_help_is_an_error(self):
        done = self.starling(code=4)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("starling - "))
        self.assertIn("a command is needed", json.loads(self.starling("--json", code=4).stdout)["message"])
        done = self.starling("network", code=4)
        self.assertEqual(done.stdout, "")
        self.assertIn("network create", done.stderr)

    def test_what_is_for_people_says_what_is_for_programs(self):
        for option in ("--dump", "--json"):
            error = self.starling("top", option, code=4).stderr
            self.assertIn("for people", error)
            self.assertIn(f"starling {option} status", error)

    def test_the_folder_of_a_network_is_no_node(self):
        with open(os.path.join(self.folder, "operator.key"), "w", encoding="ascii"):
            pass
        error = self.starling("status", code=2).stderr
        self.assertIn("the folder of a network", error)
        self.assertNotIn("start it with", error)

    def test_a_prefix_of_two_peers_is_refused(self):
        self.answers("peers", error="ambiguous", message="more than one peer has an id that begins so; give more digits")
        self.play()
        self.assertIn("give more digits", self.starling("peers", "3f2", code=4).stderr)
        self.assertEqual(json.loads(self.starling("--json", "peers", "3f2", code=4).stdout)["error"], "ambiguous")

    def test_an_answer_that_makes_no_sense_is_a_failure(self):
        self.play()
        for nonsense in ("", "{", "[]", '{"schema_version":2,"status":"ok","data":{}}', '{"schema_version":1,"status":"ok"}'):
            with open(os.path.join(self.folder, "status.json"), "w", encoding="utf-8") as file:
                file.write(nonsense)
            self.starling("status", code=1)
        self.answers("status", {})
        self.assertIn("NOT HEALTHY", self.starling("status").stdout)


class Forms(Stage):
    def test_a_status_fits_a_screen(self):
        self.play()
        lines = self.starling("status").stdout.splitlines()
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(max(map(len, lines)), 80 + len(self.folder))
        for part in ("ward 7", "mlp:64", "own accuracy 0.875", "80 %", "4.2 KiB"):
            self.assertIn(part, "\n".join(lines))

    def test_an_epoch_that_is_trained_already_is_one_that_was_seen(self):
        self.play()
        self.assertIn("1100 epochs seen, 1100 trained", self.starling("status").stdout)
        self.answers("status", {**STATUS, "epoch": {**STATUS["epoch"], "seen": 5, "trained": 6}})
        self.assertIn("6 epochs seen with this one, 6 trained", self.starling("status").stdout)

    def test_lifting_a_ban_claims_no_more_than_is_known(self):
        self.answers("unban", {"peer": A})
        self.play()
        self.assertEqual(self.starling("unban", "3f2a").stdout, f"{A[:8]} is not banned now and may take part\n")

    def test_peers_stand_by_contact_with_short_ids(self):
        self.play()
        head, *rows = self.starling("peers").stdout.splitlines()
        self.assertEqual(head.split(), "PEER NAME ADDRESS DIR STATE AGE RTT EPOCH REPUTATION TX RX REJECTED".split())
        self.assertEqual([row.split()[0] for row in rows], [A[:8], B[:8]])
        self.assertIn(A, self.starling("peers", "--full-ids").stdout)

    def test_a_dump_has_fixed_columns_and_plain_numbers(self):
        self.play()
        rows = [line.split("\t") for line in self.starling("--dump", "peers").stdout.splitlines()]
        self.assertEqual(rows[0], [A, "ward 7", "127.0.0.1:7400", "out", "linked", "3.5", "1.25", "12", "-", "4300", str(2 << 20), "1"])
        self.assertEqual(len(rows), 2)
        epoch = self.starling("--dump", "epochs").stdout.rstrip("\n").split("\t")
        self.assertEqual(epoch, ["12", "1700000000.5", "50", "8", "yes", "no", "1", "2", "16", "0.875",
                                 "0.1", "1", "1.1", "1.2", "1.3", "-", "2048", "1024", "10.5", "-", "1.05", "-", "1.25", B, "9"])
        values = dict(line.split("\t") for line in self.starling("--dump", "status").stdout.splitlines())
        self.assertEqual((values["node.id"], values["cohorts.success"], values["peers.view_covers"]), (A, "0.8", "yes"))

    def test_an_epoch_tells_its_cohort_in_words(self):
        self.play()
        self.assertIn(" 8 of 9 ", self.starling("epochs").stdout)
        text = self.starling("epochs", "12").stdout
        for words in ("proposed by   " + B[:8], "9 at the beginning, 8 in the sum", "lost          dropped 3f2a0000: silent at committing", "share 1.05"):
            self.assertIn(words, text)
        self.assertEqual(json.loads(self.starling("--json", "epochs", "12").stdout)["data"], EPOCH)
        self.assertIn("remembers no such epoch", self.starling("epochs", "13", code=4).stderr)

    def test_json_is_one_object_in_a_line(self):
        self.play()
        text = self.starling("--json", "status").stdout
        self.assertEqual(text.count("\n"), 1)
        self.assertEqual(json.loads(text), {"schema_version": 1, "status": "ok", "data": STATUS})

    def test_top_in_batches_is_plain_text(self):
        self.play()
        text = self.starling("top", "-b", "-n", "2", "--watch=0.1").stdout
        self.assertEqual(text.count("REPUTATION"), 2)
        self.assertIn("cohorts 9 (80 %), void 1\n", text)
        self.assertNotIn("\033", text)

    def test_names_of_peers_cannot_speak_to_the_terminal(self):
        self.answers("peers", {"peers": [peer(A, name="\033[2J\u202egood\x9b1m\n\tx")]})
        self.play()
        for words in (["peers"], ["peers", "3f2a"], ["--dump", "peers"], ["top", "-b"], ["--json", "peers"]):
            for locale in ("C", "C.UTF-8"):
                text = self.starling(*words, env={**os.environ, "LC_ALL": locale}).stdout
                for harmful in ("\033", "\u202e", "\x9b", "\tx"):
                    self.assertNotIn(harmful, text, words)
                self.assertIn("good", text)


class Screen(Stage):
    """On a terminal of its own."""

    def on_terminal(self, *words, keys=b"", env=None, interrupt=False, columns=0):
        """(exit code, what was written); keys are typed once the screen is there."""
        process, terminal = pty.fork()
        if process == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(STARLING, [STARLING, "-d", self.folder, *words], {**os.environ, "TERM": "xterm", **(env or {})})
        text, typed, end = b"", False, time.monotonic() + 30
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:
                    break
                if not piece:
                    break
                text += piece
            elif text and not typed:
                typed = True
                if interrupt:
                    os.kill(process, signal.SIGTERM)
                elif keys:
                    os.write(terminal, keys)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        os.close(terminal)
        return code, text.decode("utf-8", "replace")

    def test_colours_are_for_terminals_that_want_them(self):
        self.answers("status", {**STATUS, "health": {"healthy": False, "reason": "alone", "warnings": []}})
        self.play()
        self.assertIn("\033[1;31m", self.on_terminal("status")[1])
        self.assertNotIn("\033", self.on_terminal("status", env={"NO_COLOR": "1"})[1])
        self.assertNotIn("\033", self.on_terminal("status", env={"TERM": "dumb"})[1])

    def test_help_is_as_wide_as_the_terminal(self):
        for columns, widest in ((50, 50), (120, 120), (0, 80)):
            lines = self.on_terminal("help", "peers", columns=columns)[1].splitlines()
            self.assertLessEqual(max(map(len, lines)), widest, columns)
            self.assertGreater(max(map(len, lines)), widest - 16, columns)

    def test_the_live_view_gives_the_terminal_back(self):
        self.play()
        for how in ({"keys": b"srq"}, {"interrupt": True}):
            code, text = self.on_terminal("top", **how)
            self.assertEqual(code, 0, text)
            self.assertIn("\033[?1049h", text)
            self.assertTrue(text.endswith("\033[?25h\033[?1049l"), repr(text[-60:]))


class Documents(unittest.TestCase):
    def test_every_command_has_help_with_an_example_a_man_entry_and_completion(self):
        listed = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", call(STARLING, "help").stdout.split("Options of every")[0], re.M)
        self.assertGreater(len(listed), 20)
        manual, completion = call(DOCS, "man").stdout, call(DOCS, "completion").stdout
        for command in listed:
            done = call(STARLING, *command.split(), "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80, command)
            self.assertTrue(done.stdout.startswith("usage: starling"), command)
            self.assertRegex(done.stdout, r"\nexamples?:\n  starling ", command)
            self.assertEqual(done.stdout, call(STARLING, "help", *command.split()).stdout)
            self.assertIn(f"\n.SS {command} ", manual)
            self.assertIn(f"'{command}' |", completion)

    def test_the_lists_of_commands_fit_80_columns(self):
        for program, words in ((STARLING, ["help"]), (STARLING, ["help", "network"]), (STARLING, ["help", "config"]), (STARLINGD, ["--help"])):
            lines = call(program, *words).stdout.splitlines()
            self.assertGreater(len(lines), 3)
            self.assertLessEqual(max(map(len, lines)), 80, words)

    def test_bash_completes_commands_and_options(self):
        script = call(DOCS, "completion").stdout + '\nCOMP_WORDS=(starling -d x network create --sc); COMP_CWORD=5; _starling; echo "${COMPREPLY[@]}"\n'
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, text=True, timeout=20, check=True)
        self.assertEqual(done.stdout, "--scale\n")


class Real(unittest.TestCase):
    def test_a_real_node_shows_itself(self):
        with tempfile.TemporaryDirectory(prefix="starling-cli-") as folder:
            node_folder = os.path.join(prepare(folder, 4), "n000")
            with open(os.path.join(folder, "log"), "wb") as log:
                node = subprocess.Popen([STARLINGD, node_folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                end = time.monotonic() + 20
                while call(STARLING, "-d", node_folder, "status").returncode == 2 and time.monotonic() < end:
                    time.sleep(0.1)
                for words in (["status"], ["peers"], ["epochs"], ["events"], ["top", "-b"], ["--dump", "status"], ["checkpoint"], ["leave"]):
                    done = call(STARLING, "-d", node_folder, *words)
                    self.assertEqual((done.returncode, done.stderr), (0, ""), words)
                first = call(STARLING, "-d", node_folder, "--dump", "peers").stdout.split("\t")[0]
                self.assertIn("is banned", call(STARLING, "-d", node_folder, "ban", first[:10]).stdout)
                self.assertIn("banned", call(STARLING, "-d", node_folder, "peers", first[:10]).stdout)
                self.assertEqual(call(STARLING, "-d", node_folder, "unban", first[:10]).returncode, 0)
            finally:
                node.terminate()
                node.wait(timeout=20)


if __name__ == "__main__":
    unittest.main()
