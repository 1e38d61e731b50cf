# SPDX-License-Identifier: MIT
"""The programs a network runs, built when they are missing, and the words in which something is refused."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DURATION = re.compile(r"^(\d+(?:\.\d+)?)(us|ms|s|m|h)$")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
CLIENT = "tools/starling"                    # only `add` needs it
TARGETS = ["src/starlingd", "tools/starling-sim"]
ADVERSARY = "tests/system/starlingd-adversary"           # only `--attack` needs it


class Refusal(Exception):
    """A sentence for the user, and the exit code."""

    def __init__(self, sentence, code=4):
        super().__init__(sentence)
        self.code = code


class Programs:
    """Paths of starlingd, starling-sim and starling in one build folder."""

    def __init__(self, folder):
        self.folder = folder
        self.daemon, self.simulator = (os.path.join(folder, target) for target in TARGETS)
        self.client = os.path.join(folder, CLIENT)
        self.adversary = os.path.join(folder, ADVERSARY)

    def need_client(self):
        """The path of starling, built if it can be."""
        if not os.path.exists(self.client):
            if not os.path.exists(os.path.join(self.folder, "build.ninja")):
                raise Refusal(f"{self.client} is not there: new nodes join by invitation, and `starling` writes the invites", 1)
            call(["ninja", "-C", self.folder, CLIENT], "the build of starling")
        return self.client

    def need_adversary(self):
        """The attacks that starlingd-adversary knows, by name; it is built if it can be."""
        if not os.path.exists(self.adversary):
            if not os.path.exists(os.path.join(self.folder, "build.ninja")):
                raise Refusal(f"{self.adversary} is not there: it is the program that lies to its peers on purpose, for --attack", 1)
            call(["ninja", "-C", self.folder, ADVERSARY], "the build of starlingd-adversary")
        lines = call([self.adversary, "--attacks"], "starlingd-adversary --attacks").splitlines()
        return dict(line.split(None, 1) for line in lines if line.strip())

    def missing(self):
        return [path for path in (self.daemon, self.simulator) if not os.path.exists(path)]


def find_programs(build):
    """A build folder that is named is used as it is when it is complete; the default one is brought up to date."""
    programs = Programs(os.path.abspath(build or os.path.join(ROOT, "build-testnet")))
    if build and not programs.missing():
        return programs
    install("build")
    if not os.path.exists(os.path.join(programs.folder, "build.ninja")):
        print(f"building the programs in {programs.folder}", file=sys.stderr, flush=True)
        # A warning that only another compiler knows must not stop somebody's first run.
        call(["meson", "setup", programs.folder, ROOT, "--buildtype=release", "-Dwerror=false"], "meson setup")
    call(["ninja", "-C", programs.folder] + TARGETS, "the build")
    return programs


def install(*words):
    """Debian packages that are missing; elsewhere nothing happens, and what comes next says what it lacks."""
    done = subprocess.run([os.path.join(ROOT, "tools", "packages.sh"), *words], stdout=sys.stderr, check=False)
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


def seconds_of(option, text):
    match = DURATION.match(text)
    if not match or float(match.group(1)) == 0:
        raise Refusal(f"{option} {text}: must be a number and a unit (us, ms, s, m, h), like 2s or 500ms")
    return float(match.group(1)) * UNITS[match.group(2)]
