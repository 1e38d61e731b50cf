# SPDX-License-Identifier: MIT
"""Runs a network of real starlingd processes on this machine and reports what they learned."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMANDS = {"run": "run a network for some epochs and report"}
READY_SECONDS = 120
SPARE_EPOCHS, SPARE_SECONDS = 10, 60
STOP_SECONDS = 15
LOG_LINES_SHOWN = 8
EPOCH_LINE = re.compile(r"^\[ *[0-9.]+s\] epoch (\d+): (?!- )(.*)$")
OWN_SCORE = re.compile(r"own (accuracy|rmse) ([0-9.e+-]+)")
DURATION = re.compile(r"^(\d+(?:\.\d+)?)(us|ms|s|m|h)$")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Refusal(Exception):
    """A sentence for the user, and the exit code."""

    def __init__(self, sentence, code=4):
        super().__init__(sentence)
        self.code = code


class Node:
    """One child process and what its log has said so far."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.log_path = os.path.join(folder, "log")
        self.process, self.log, self.rest, self.ready = None, None, "", False
        self.lines = {}                      # epoch -> the line's words

    def start(self, program, arguments):
        words = [program, self.folder, "--epochs", str(arguments.epochs), "--hold"] + (["-v"] if arguments.verbose else [])
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True)
        self.log = open(self.log_path, encoding="utf-8", errors="replace")
        with open(os.path.join(self.folder, "pid"), "w", encoding="ascii") as file:
            file.write(f"{self.process.pid}\n")

    def release(self):
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.close()
        except OSError:
            pass                             # it has ended: noticed when its exit code is read

    def read_log(self):
        *lines, self.rest = (self.rest + self.log.read()).split("\n")
        for line in lines:
            self.ready = self.ready or "ready; waits" in line
            match = EPOCH_LINE.match(line)
            if match:
                self.lines[int(match.group(1))] = match.group(2)

    def has_ended(self):
        return self.process.poll() is not None

    def death(self):
        """None, or how it ended without having finished."""
        code = self.process.poll()
        if code == 0 and os.path.exists(os.path.join(self.folder, "summary.json")):
            return None
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}" if code else "ended without a summary"

    def was_killed(self):
        """From outside: a signal that a program does not raise against itself."""
        return self.process.poll() in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return [line.rstrip("\n") for line in log.readlines()[-LOG_LINES_SHOWN:]]


class Network:
    """The processes this script started, and nothing else."""

    def __init__(self, arguments, say):
        self.arguments, self.say, self.nodes = arguments, say, []
        self.epoch_seconds = seconds_of(arguments.epoch_length)
        self.reported = None                 # newest epoch with a live line
        self.first_epoch = None

    def start(self, program):
        for i in range(self.arguments.nodes):
            name = f"n{i:03d}"
            node = Node(name, os.path.join(self.arguments.dir, name))
            self.nodes.append(node)
            node.start(program, self.arguments)

    def wait_until_ready(self):
        limit = time.monotonic() + READY_SECONDS
        while True:
            for node in self.nodes:
                node.read_log()
                if node.has_ended():
                    raise Refusal(f"{node.name} did not start:\n  " + "\n  ".join(node.last_words()), 1)
            waiting = [node.name for node in self.nodes if not node.ready]
            if not waiting:
                return
            if time.monotonic() > limit:
                raise Refusal(f"{len(waiting)} nodes were not ready after {READY_SECONDS} s, {waiting[0]} among them: see its log", 1)
            time.sleep(0.05)

    def release(self):
        """Lets all nodes begin within one epoch: a node acts from the epoch after the one in which it began."""
        now = time.time()
        place = now % self.epoch_seconds
        if place > 0.5 * self.epoch_seconds:
            time.sleep(self.epoch_seconds - place + 0.02 * self.epoch_seconds)
        self.first_epoch = int(time.time() // self.epoch_seconds) + 1
        for node in self.nodes:
            node.release()

    def watch(self):
        """Until every node has ended; False when the deadline came first."""
        limit = time.monotonic() + (self.arguments.epochs + SPARE_EPOCHS) * self.epoch_seconds + SPARE_SECONDS
        told = set()
        while True:
            ended = [node for node in self.nodes if node.has_ended()]
            for node in self.nodes:
                node.read_log()
            self.tell_epochs(all_ended=len(ended) == len(self.nodes))
            for node in ended:
                if node.name not in told and node.death():
                    self.say(f"{node.name} died: {node.death()}")
                told.add(node.name)
            if len(ended) == len(self.nodes):
                return True
            if time.monotonic() > limit:
                return False
            time.sleep(min(0.1, self.epoch_seconds / 4))

    def tell_epochs(self, all_ended):
        """A live line for each epoch that every living node has reported."""
        epoch = self.first_epoch if self.reported is None else self.reported + 1
        newest = max((max(node.lines) for node in self.nodes if node.lines), default=0)
        while epoch <= newest:
            missing = [node for node in self.nodes if epoch not in node.lines and not node.has_ended()
                       and max(node.lines, default=0) < epoch]
            if missing and not all_ended and epoch == newest:
                return
            self.tell_epoch(epoch)
            self.reported = epoch
            epoch += 1

    def tell_epoch(self, epoch):
        lines = [node.lines[epoch] for node in self.nodes if epoch in node.lines]
        aggregates = sum(", aggregate of" in line for line in lines)
        merged = sum("nothing merged" not in line for line in lines)
        scores = [match for match in map(OWN_SCORE.search, lines) if match]
        score = ""
        if scores:
            mean = sum(float(match.group(2)) for match in scores) / len(scores)
            score = f", mean own {scores[0].group(1)} {mean:.4g}"
        number = epoch - self.first_epoch + 1
        self.say(f"epoch {number}/{self.arguments.epochs}: {len(lines)} of {len(self.nodes)} nodes reported, "
                 f"{aggregates} with an aggregate, {merged} merged{score}")

    def stop(self):
        """Ends what is still running: politely, then not. A second signal must not leave anything behind."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        running = [node for node in self.nodes if node.process and not node.has_ended()]
        for node in running:
            node.process.terminate()
        limit = time.monotonic() + STOP_SECONDS
        for node in running:
            try:
                node.process.wait(max(0.1, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
        return len(running)


def seconds_of(text):
    match = DURATION.match(text)
    if not match or float(match.group(1)) == 0:
        raise Refusal(f"--epoch-length {text}: must be a number and a unit (us, ms, s, m, h), like 2s or 500ms")
    return float(match.group(1)) * UNITS[match.group(2)]


# ---- programs and data ----

def find_programs(build):
    """Paths of starlingd and starling-sim, built when they are not there."""
    folder = os.path.abspath(build or os.path.join(ROOT, "build-testnet"))
    programs = [os.path.join(folder, "src", "starlingd"), os.path.join(folder, "tools", "starling-sim")]
    if build and all(os.path.exists(program) for program in programs):
        return programs
    install("build")
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        # A warning that only another compiler knows must not stop somebody's first run.
        call(["meson", "setup", folder, ROOT, "--buildtype=release", "-Dwerror=false"], "meson setup")
    call(["ninja", "-C", folder, "src/starlingd", "tools/starling-sim"], "the build")
    return programs


def install(word):
    """Debian packages that are missing; elsewhere nothing happens, and what comes next says what it lacks."""
    done = subprocess.run([os.path.join(ROOT, "tools", "packages.sh"), word], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Refusal("some Debian packages are missing and could not be installed", 1)


def call(command, what):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        raise Refusal(f"{what} cannot run: {error}; the README lists what must be installed", 1) from error
    if done.returncode != 0:
        raise Refusal(f"{what} failed:\n{done.stdout.strip()}", done.returncode if done.returncode in (1, 4) else 1)
    return done.stdout


def test_part(arguments, parts):
    """The public test data, its label column, and how to split it off: as given, the test part of a set that has one, or rows that are kept back."""
    if arguments.test:
        return arguments.test, arguments.label, []
    if arguments.data == "fashion-mnist" or os.path.isdir(arguments.data):
        return arguments.data.rstrip("/") + ":test", "last", []
    test = os.path.join(parts, "test.csv")
    return test, "last", ["--keep-test", test]


def prepare(arguments, simulator, say):
    parts = os.path.join(arguments.dir, "data")
    os.makedirs(arguments.dir, exist_ok=True)
    task = "regress" if arguments.model.startswith("ridge") else "classify"
    impute = ["--impute", arguments.impute] if arguments.impute else []
    test, label, keep = test_part(arguments, parts)
    call([simulator, "split", "--data", arguments.data, "--out", parts, "--nodes", str(arguments.nodes), "--split", arguments.split,
          "--seed", str(arguments.seed), "--label", arguments.label, "--task", task] + impute + keep, "starling-sim split")
    if keep:
        say("no --test: a fifth of the rows, drawn by the seed, is kept back as the common test set")

    settings = ([f"merge.rule={arguments.aggregator}"] if arguments.aggregator else []) + list(arguments.set)
    settings += [f"data.impute={arguments.impute}"] if arguments.impute else []
    command = [simulator, "prepare", "--nodes", str(arguments.nodes), "--data-dir", parts, "--test", test,
               "--label", label, "--model", arguments.model, "--seed", str(arguments.seed), "--dir", arguments.dir,
               "--base-port", "0", "--epoch-length", arguments.epoch_length, "--scale", arguments.scale]
    for setting in settings:
        command += ["--set", setting]
    return call(command, "starling-sim prepare").strip()


# ---- the report ----

def spread(values, high_is_good):
    """Mean, worst tenth, lowest (of errors also the highest) and standard deviation over nodes."""
    keys = ["mean", "worst_tenth", "min", "std"] if high_is_good else ["mean", "worst_tenth", "min", "max", "std"]
    if not values:
        return dict.fromkeys(keys)
    mean = sum(values) / len(values)
    worst = sorted(values, reverse=not high_is_good)[:max(1, len(values) // 10)]
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    figures = {"mean": mean, "worst_tenth": sum(worst) / len(worst), "min": min(values), "max": max(values), "std": variance ** 0.5}
    return {key: figures[key] for key in keys}


def collect(network, wall_seconds):
    summaries = []
    for node in network.nodes:
        if not node.death():
            with open(os.path.join(node.folder, "summary.json"), encoding="utf-8") as file:
                summaries.append(json.load(file))

    regress = network.arguments.model.startswith("ridge")
    score = "rmse" if regress else "accuracy"
    keys = ["id", score, "own_" + score, "epochs", "bytes_sent", "bytes_received", "cpu_s", "rss_max_bytes", "signature_checks"]
    known = [summary[score] for summary in summaries if summary[score] is not None]
    report = {
        "schema_version": 1,
        score: spread(known, high_is_good=not regress),
        "nodes": [{key: summary[key] for key in keys} for summary in summaries],
        "cohorts": {"completed": sum(summary["cohorts_completed"] for summary in summaries),
                    "void": sum(summary["cohorts_void"] for summary in summaries)},
        "node_epochs": {"with_aggregate": sum(summary["epochs_with_aggregate"] for summary in summaries),
                        "total": sum(summary["epochs"] for summary in summaries)},
        "wall_s": round(wall_seconds, 3),
    }
    died = [{"node": node.name, "how": node.death()} for node in network.nodes if node.death()]
    if died:
        report["died"] = died
    return report, summaries


def write_report(folder, report):
    fresh = os.path.join(folder, "report.json.new")
    with open(fresh, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, os.path.join(folder, "report.json"))


def tell_report(network, report, summaries, say):
    for node in network.nodes:
        if node.death():
            say(f"{node.name} died ({node.death()}); its last words:")
            for line in node.last_words():
                say(f"    {line}")
    for node, summary in zip([node for node in network.nodes if not node.death()], summaries):
        if summary["stalled"]:
            say(f"{node.name} is STALLED: {summary['reason']}")

    score = "rmse" if "rmse" in report else "accuracy"
    numbers = report[score]
    if numbers["mean"] is not None:
        say(f"{score} on the test data: " + ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in numbers.items()))
    say(f"{len(report['nodes'])} of {len(network.nodes)} nodes finished; cohorts: {report['cohorts']['completed']} completed, "
        f"{report['cohorts']['void']} void; {report['node_epochs']['with_aggregate']} of {report['node_epochs']['total']} "
        f"node epochs with an aggregate; {report['wall_s']:.1f} s")
    say(f"report: {os.path.join(network.arguments.dir, 'report.json')}")


# ---- run ----

def parse_run(words):
    parser = argparse.ArgumentParser(
        prog="testnet run", description="Runs N real nodes on this machine, on loopback only, and reports what they learned.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  testnet/testnet run -n 8 --data fashion-mnist --split dirichlet:0.3 --model mlp:32 --epochs 20 \\\n"
               "      --scale divide:255 --dir /tmp/net\n\n"
               "exit codes: 0 every surviving node finished, 1 one crashed, stuck or was stopped, 4 bad arguments or data")
    parser.add_argument("-n", "--nodes", type=int, required=True, help="number of nodes")
    parser.add_argument("--data", required=True, help="CSV or NPY, a folder of IDX files or IMAGES,LABELS, plain or .gz; or fashion-mnist")
    parser.add_argument("--split", default="iid", help="iid, dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN or by:FILE:COLUMN (default iid)")
    parser.add_argument("--model", default="softmax", help="softmax, mlp:H1[,H2] or ridge (default softmax)")
    parser.add_argument("--aggregator", metavar="RULE", help="mean, median, trmean or geomed: the same as --set merge.rule=RULE")
    parser.add_argument("--epochs", type=int, required=True, help="epochs to run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split and of the first model (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of all nodes; may be given again")
    parser.add_argument("--test", help="public test data; without it the test part of IDX data, else a fifth of the rows is kept back")
    parser.add_argument("--label", default="last", help="label column of a CSV: last, first, a number from 0, or a name (default last)")
    parser.add_argument("--scale", default="none", help="none, divide:X or standard (default none)")
    parser.add_argument("--impute", help="number that stands for missing values; without it they are refused")
    parser.add_argument("--epoch-length", default="2s", help="length of an epoch (default 2s)")
    parser.add_argument("--dir", required=True, help="folder for all that the network owns; new or empty")
    parser.add_argument("--build", help="build folder with the programs (default build-testnet, which is made)")
    parser.add_argument("-v", "--verbose", action="store_true", help="nodes log every event, not only a line per epoch")
    parser.add_argument("--json", action="store_true", help="print the report as JSON on standard output, all else on standard error")
    arguments = parser.parse_args(words)
    arguments.dir = os.path.abspath(arguments.dir)
    if not 1 <= arguments.nodes <= 1024:
        raise Refusal("-n must be 1 to 1024")
    if arguments.epochs < 1:
        raise Refusal("--epochs must be 1 or more")
    if os.path.isdir(arguments.dir) and os.listdir(arguments.dir):
        raise Refusal(f"--dir {arguments.dir} is not empty: name a new folder, or remove what is in it")
    return arguments


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def run(words):
    arguments = parse_run(words)
    stream = sys.stderr if arguments.json else sys.stdout

    def say(text):
        print(text, file=stream, flush=True)

    begin = time.monotonic()
    network = Network(arguments, say)
    daemon, simulator = find_programs(arguments.build)
    if arguments.data == "fashion-mnist" and not os.path.isdir(arguments.data):
        install("dataset-fashion-mnist")
    say(prepare(arguments, simulator, say))
    say("privacy: OFF - no formal promise beyond the masks")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        network.start(daemon)
        network.wait_until_ready()
        network.release()
        in_time = network.watch()
    except KeyboardInterrupt:
        say(f"interrupted: stopped {network.stop()} nodes; their logs are in {arguments.dir}")
        return 1
    finally:
        n_stopped = network.stop()

    if not in_time:
        say(f"{n_stopped} nodes had not finished {SPARE_EPOCHS} epochs and {SPARE_SECONDS} s after their time: stopped")
    report, summaries = collect(network, time.monotonic() - begin)
    write_report(arguments.dir, report)
    tell_report(network, report, summaries, say)
    if arguments.json:
        print(json.dumps(report, indent=1))
    crashed = [node for node in network.nodes if node.death() and not node.was_killed()]
    return 0 if in_time and not crashed and summaries else 1


def usage():
    commands = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
    return (f"testnet - a network of real starlingd processes on one machine\n\nusage: testnet COMMAND [options]\n\n{commands}\n\n"
            "`testnet COMMAND --help` lists the options.\n\nexample:\n"
            "  testnet/testnet run -n 4 --data train.csv --test test.csv --epochs 10 --dir /tmp/net\n")


def main():
    words = sys.argv[1:]
    if words and words[0] in ("--help", "-h", "help"):
        print(usage(), end="")
        return 0
    if not words or words[0] not in COMMANDS:
        what = f"'{words[0]}' is not a command of this version" if words else "a command is needed"
        print(f"testnet: {what}; there is: {', '.join(COMMANDS)}\n\n{usage()}", end="", file=sys.stderr)
        return 4
    try:
        return run(words[1:])
    except Refusal as refusal:
        print(f"testnet: {refusal}", file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        print("testnet: interrupted before a node ran", file=sys.stderr)
        return 1
    except SystemExit as end:                # argparse: 2 means bad arguments, which is 4 here
        return 4 if end.code == 2 else end.code


if __name__ == "__main__":
    sys.exit(main())
