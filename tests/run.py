# SPDX-License-Identifier: MIT
"""Builds and tests everything (tests/run calls this when the packages are there).

usage: tests/run        exit status 0: every test passed, 1: one failed, or none ran

Three builds, warnings are errors in all of them: gcc with AddressSanitizer and UndefinedBehaviorSanitizer, in which every test runs; gcc for release,
whose libraries are checked for what they call and where a thousand nodes find together; clang. All three must give the same trace hashes.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = ROOT / 'build-tests'
TAIL_LINES = 40
TIMEOUT_MULTIPLIER = '3'             # a slow machine is no failure

# (folder, compiler, meson's options, names of the tests to run: [] all)
STEPS = [
    ('sanitizers', 'gcc', ['-Db_sanitize=address,undefined', '-Db_lundef=false'], []),
    ('release', 'gcc', ['--buildtype=release'], ['symbols', 'trace-hash', 'formation of 1000']),
    ('clang', 'clang', [], ['trace-hash']),
]

CRITERION = re.compile(r'Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)')
UNITTEST = re.compile(r'^Ran (\d+) tests? in', re.M)
UNITTEST_PART = re.compile(r'(failures|errors|skipped)=(\d+)')
SKIPPED = re.compile(r'^skipped: .*', re.M)


class Tally:
    """What passed and failed so far; a test program that counts its own tests is counted by them."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.failures, self.skips = [], []           # (name, log), sentences

    def fail(self, name, log, n=1):
        self.failed += n
        self.failures.append((name, log))

    def count(self, name, result, log):
        n_passed, n_failed, n_skipped = parts_of(log)
        if result == 'SKIP':
            n_passed, n_failed, n_skipped = 0, 0, max(1, n_skipped)
        elif result not in ('OK', 'EXPECTEDFAIL'):
            n_failed = max(1, n_failed)              # also when it broke after its last test, as a leak does
        elif n_passed + n_failed + n_skipped == 0:
            n_passed = 1
        self.passed += n_passed
        self.skipped += n_skipped
        self.skips += SKIPPED.findall(log)
        if n_failed:
            self.fail(name, f'{log}\n({result.lower()})', n_failed)


def parts_of(log):
    """(passed, failed, skipped) as the test program counts them; zeros where it does not."""
    synthesis = CRITERION.search(log)
    if synthesis:
        _, n_passed, n_failed, n_crashed = map(int, synthesis.groups())
        n_skipped = min(n_passed, len(SKIPPED.findall(log)))
        return n_passed - n_skipped, n_failed + n_crashed, n_skipped
    ran = UNITTEST.search(log)
    if ran:
        parts = {key: int(n) for key, n in UNITTEST_PART.findall(log[ran.end():])}
        n_failed, n_skipped = parts.get('failures', 0) + parts.get('errors', 0), parts.get('skipped', 0)
        return int(ran.group(1)) - n_failed - n_skipped, n_failed, n_skipped
    return 0, 0, 0


def call(words, **more):
    """True and the output, or False and the output, which goes to the terminal only on failure."""
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False, **more)
    return done.returncode == 0, done.stdout


def build(name, compiler, options):
    """(True, '') or (False, what the compiler said)."""
    folder = BUILDS / name
    if not (folder / 'build.ninja').exists():
        shutil.rmtree(folder, ignore_errors=True)
        done, output = call(['meson', 'setup', str(folder), str(ROOT), *options], env=dict(os.environ, CC=compiler))
        if not done:
            return False, output
    return call(['ninja', '-C', str(folder)])


def run_tests(name, tests, tally):
    folder = BUILDS / name
    log_path = folder / 'meson-logs' / 'testlog.json'
    log_path.unlink(missing_ok=True)
    done = subprocess.run(['meson', 'test', '-C', str(folder), '--no-rebuild', '-t', TIMEOUT_MULTIPLIER, *tests], cwd=ROOT, check=False)
    if not log_path.exists():
        tally.fail(f'{name}: meson test', f'meson test ended with {done.returncode} and no log')
        return
    for line in log_path.read_text(encoding='utf-8', errors='replace').splitlines():
        entry = json.loads(line)
        tally.count(f'{name}: {entry["name"]}', entry['result'], f'{entry.get("stdout", "")}\n{entry.get("stderr", "")}'.strip())


def run_step(name, compiler, options, tests, tally):
    begin = time.monotonic()
    if not shutil.which(compiler):
        print(f'== {name}: skipped, {compiler} is not installed', flush=True)
        tally.skipped += 1
        return
    print(f'== {name}: building with {compiler} {" ".join(options)}', flush=True)
    done, output = build(name, compiler, options)
    if not done:
        tally.fail(f'{name}: the build', output)
    else:
        run_tests(name, tests, tally)
    print(f'== {name}: {time.monotonic() - begin:.0f} s', flush=True)


def main():
    if len(sys.argv) > 1:
        print(__doc__.strip())
        return 0 if sys.argv[1] in ('--help', '-h') else 4
    tally = Tally()
    for step in STEPS:
        run_step(*step, tally)

    for sentence in sorted(set(tally.skips)):
        print(sentence)
    for name, log in tally.failures:
        print(f'\nFAILED {name}')
        for line in log.splitlines()[-TAIL_LINES:]:
            print(f'    {line}')
    skipped = f', {tally.skipped} skipped' if tally.skipped else ''
    print(f'\n{tally.passed} passed, {tally.failed} failed{skipped}', flush=True)
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())
