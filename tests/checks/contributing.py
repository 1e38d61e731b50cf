# SPDX-License-Identifier: MIT
"""Does the walk-through of CONTRIBUTING.md still work? Applies its diff to a scratch copy of the sources, builds and runs the tests that it names.

usage: contributing.py ROOT        exit status 1, with the output of the step that failed, when it does not
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

COPIED = ('include', 'src', 'tools', 'tests', 'examples', 'docs', 'meson.build', 'meson_options.txt')
TARGETS = ('tests/unit/test_aggregate_midmean', 'tests/unit/test_registry', 'tests/unit/test_config', 'tools/config_docs')
TESTS = ('aggregate_midmean', 'registry', 'config', 'config-docs', 'layers')


def diff_of(text):
    blocks = re.findall(r'^```diff\n(.*?)^```$', text, re.M | re.S)
    if len(blocks) != 1:
        sys.exit(f'CONTRIBUTING.md must hold one block of ```diff, not {len(blocks)}')
    return blocks[0]


def copy_sources(root, scratch):
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, scratch / name, ignore=shutil.ignore_patterns('corpus', '__pycache__', 'build*'))
        elif (root / name).exists():
            shutil.copy(root / name, scratch / name)


def call(what, words, folder, **more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith('MESON')}
    done = subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f'{what} failed with {done.returncode}')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    root = pathlib.Path(sys.argv[1]).resolve()
    diff = diff_of((root / 'CONTRIBUTING.md').read_text(encoding='utf-8'))
    with tempfile.TemporaryDirectory(prefix='starling-contributing-') as folder:
        scratch = pathlib.Path(folder)
        copy_sources(root, scratch)
        call('applying the diff', ['patch', '-p1', '--fuzz=0', '--no-backup-if-mismatch'], scratch, input=diff)
        call('meson setup', ['meson', 'setup', 'build', '--buildtype=plain'], scratch)
        call('the build', ['ninja', '-C', 'build', *TARGETS], scratch)
        call('a test', ['meson', 'test', '-C', 'build', '--no-rebuild', '--print-errorlogs', *TESTS], scratch)


if __name__ == '__main__':
    main()
