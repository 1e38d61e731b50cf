# SPDX-License-Identifier: MIT
"""Compiles every header alone and twice: each must bring what it needs and guard itself.

usage: headers.py ROOT COMPILER...        prints the compiler's words for each violation; exit status 1 if there is any
"""
import pathlib
import subprocess
import sys

FLAGS = ['-std=c17', '-D_POSIX_C_SOURCE=200809L', '-Wall', '-Wextra', '-Wstrict-prototypes', '-Wundef', '-Werror', '-fsyntax-only']
PACKAGES = ['libsodium', 'msgpack', 'msgpack-c', 'zlib', 'lapacke', 'openblas', 'libzmq', 'libczmq']


def library_flags():
    flags = []
    for package in PACKAGES:
        try:
            result = subprocess.run(['pkg-config', '--cflags', package], capture_output=True, text=True)
        except FileNotFoundError:
            return []
        if result.returncode == 0:
            flags += result.stdout.split()
    return flags


def headers(root):
    for top, pattern in (('include', 'starling/*.h'), ('src', '*/*.h'), ('tools', '*.h')):
        for path in sorted((root / top).glob(pattern)):
            yield path, path.relative_to(root / top).as_posix()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    root, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    command = [*compiler, *FLAGS, *(f'-I{root / folder}' for folder in ('include', 'src', 'tools')), *library_flags(), '-x', 'c', '-']
    n_failed = 0
    for path, name in headers(root):
        text = f'#include "{name}"\n' * 2 + 'extern int nothing;\n'
        result = subprocess.run(command, input=text, capture_output=True, text=True)
        if result.returncode != 0:
            n_failed += 1
            print(f'{path.relative_to(root)}:1: does not stand alone\n{result.stderr}')
    sys.exit(1 if n_failed else 0)


if __name__ == '__main__':
    main()
