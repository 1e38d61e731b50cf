# SPDX-License-Identifier: MIT
"""Demands that every test which a document names exists.

usage: named_tests.py ROOT PAGE...        prints one line for each that does not; exit status 1 if there is any
"""
import pathlib
import re
import sys

NAMED = re.compile(r'`([a-z_]+\.(?:c|py))(?:: ([a-z0-9_]+))?`')


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    root = pathlib.Path(sys.argv[1])
    sources = {path.name: path.read_text(encoding='utf-8') for path in (root / 'tests').rglob('*') if path.suffix in ('.c', '.py')}
    n_named = n_faults = 0
    for page in sys.argv[2:]:
        for file, test in NAMED.findall(pathlib.Path(page).read_text(encoding='utf-8')):
            n_named += 1
            is_there = file in sources and (not test or re.search(rf'\b(?:Test\(\w+, |def ){test}\b', sources[file]))
            if not is_there:
                n_faults += 1
                print(f'{page}: no test {file} {test}'.rstrip())
    if n_named == 0:
        print('no test is named: the pattern is wrong')
    sys.exit(1 if n_faults or n_named == 0 else 0)


if __name__ == '__main__':
    main()
