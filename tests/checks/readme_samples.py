#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README.md shows what the simulator prints: are the story of an epoch and the hash of the storm still what it prints?

usage: readme_samples.py STARLING_SIM README [--renew]    (--renew writes what is printed now into the page)
exit codes: 0, 1 (a sample is old)
"""
import os
import re
import shlex
import subprocess
import sys

SAMPLES = (" --trace | grep ", " --trace-hash | tail ")
CHANGES = re.compile(r"^ *process .*$", re.M)            # time and memory are of the machine


def print_of(simulator, command, root):
    line = command.replace("starling-sim", shlex.quote(simulator), 1)
    done = subprocess.run(line, shell=True, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()


def main():
    simulator, page = os.path.abspath(sys.argv[1]), sys.argv[2]
    with open(page, encoding="utf-8") as file:
        lines = file.read().splitlines()
    found, old, at = 0, 0, 0
    while at < len(lines):
        command = lines[at].strip()
        at += 1
        if not (lines[at - 1].startswith("    $ starling-sim") and any(sample in command for sample in SAMPLES)):
            continue
        end = at
        while end < len(lines) and lines[end].startswith("    "):
            end += 1
        shown, now = [line[4:] for line in lines[at:end]], print_of(simulator, command[2:], os.path.dirname(os.path.abspath(page)))
        found += 1
        if CHANGES.sub("", "\n".join(shown)) != CHANGES.sub("", "\n".join(now)):
            old += 1
            print(f"{page}: {command}\nprints now:\n" + "\n".join(now))
            lines[at:end] = ["    " + line for line in now]
    if found != len(SAMPLES):
        print(f"{page}: {found} samples found, {len(SAMPLES)} expected")
        return 1
    if old and "--renew" in sys.argv:
        with open(page, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return 0
    return 1 if old else 0


sys.exit(main())
