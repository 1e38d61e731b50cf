# SPDX-License-Identifier: MIT
"""Demands that a page equals what its program prints.

usage: same_text.py PAGE PROGRAM...
"""
import difflib
import pathlib
import subprocess
import sys


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    page, program = sys.argv[1], sys.argv[2:]
    printed = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    kept = pathlib.Path(page).read_text(encoding='utf-8') if pathlib.Path(page).is_file() else ''
    if printed == kept:
        return
    sys.stdout.writelines(difflib.unified_diff(kept.splitlines(True), printed.splitlines(True), page, 'what the program prints'))
    sys.exit(f'\n{page} is out of date; write it anew: {" ".join(program)} > {page}')


if __name__ == '__main__':
    main()
