# SPDX-License-Identifier: MIT
"""The rules of style that a machine can see.

usage: style.py ROOT        prints one line for each violation; exit status 1 if there is any (warnings do not count)
"""
import pathlib
import re
import sys

LINES_MAX, COLUMNS_MAX = 600, 160
LICENSE = 'SPDX-License-Identifier: MIT'
CODE = {'.c', '.h', '.def'}
SCRIPTS = {'.py', '.sh'}
UNFINISHED = re.compile(r'\b(' + '|'.join(('TO' + 'DO', 'FIX' + 'ME', 'X' * 3)) + r')\b')


def license_fault(path, lines):
    first = lines[0] if lines else ''
    if path.suffix in CODE:
        return None if first == f'/* {LICENSE} */' else f'the first line must be /* {LICENSE} */'
    if first.startswith('#!'):
        first = lines[1] if len(lines) > 1 else ''
    return None if first == f'# {LICENSE}' else f'the first line must be # {LICENSE}'


def line_faults(lines):
    for number, line in enumerate(lines, 1):
        if '\t' in line:
            yield number, 'a tab; indent by spaces'
        if len(line) > COLUMNS_MAX:
            yield number, f'{len(line)} columns; at most {COLUMNS_MAX}'
        if line != line.rstrip():
            yield number, 'blanks at the end of the line'
        if UNFINISHED.search(line):
            yield number, f'{UNFINISHED.search(line).group()}: finish it, or refuse it with a clear error'


def files(root):
    for top in ('include', 'src', 'tools', 'tests'):
        for path in sorted((root / top).rglob('*')):
            if path.is_file() and (path.suffix in CODE | SCRIPTS or path.name == 'meson.build'):
                yield path


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    root = pathlib.Path(sys.argv[1]).resolve()
    n_faults = 0
    for path in files(root):
        shown = path.relative_to(root)
        lines = path.read_text(encoding='utf-8').split('\n')
        faults = list(line_faults(lines))
        if license_fault(path, lines):
            faults.insert(0, (1, license_fault(path, lines)))
        if lines and lines[-1] != '':
            faults.append((len(lines), 'the file must end with a line end'))
        for number, fault in faults:
            print(f'{shown}:{number}: {fault}')
        n_faults += len(faults)
        if shown.parts[0] == 'src' and len(lines) > LINES_MAX:
            print(f'{shown}:{LINES_MAX}: warning: {len(lines)} lines; a file that passes {LINES_MAX} wants a second thought')
    sys.exit(1 if n_faults else 0)


if __name__ == '__main__':
    main()
