# SPDX-License-Identifier: MIT
"""Reads every #include of the project and checks it against the layers.

usage: layers.py ROOT        prints one line for each violation; exit status 1 if there is any
"""
import pathlib
import re
import sys

# A folder of src may include its own headers and those of folders with a smaller number.
LAYERS = {
    'base': 0,
    'learn': 1, 'share': 1, 'privacy': 1, 'overlay': 1, 'wire': 1,
    'config': 2, 'data': 2, 'cohort': 2,
    'core': 3, 'train': 3,
    'runtime': 4, 'sim': 4,
    'programs': 5,               # src/main.c and tools/
}

# Libraries, and the folders that may see them.
LIBRARIES = [
    (re.compile(r'(czmq|zmq|zmq_utils|zyre|czmq_.*)\.h'), {'runtime', 'programs', 'main.c'}),
    (re.compile(r'(cblas|lapacke|lapack|openblas_config)\w*\.h|openblas/.*'), {'learn'}),
    (re.compile(r'msgpack(\.h|/.*)'), {'wire'}),
    (re.compile(r'zlib\.h'), {'data'}),
    (re.compile(r'jansson(_config)?\.h'), {'runtime', 'programs'}),
    (re.compile(r'microhttpd\.h'), {'runtime'}),
    (re.compile(r'sodium(\.h|/.*)'), {'base', 'wire', 'privacy', 'runtime', 'programs', 'main.c'}),
]

# Folders without files, heap, clock or sockets: of the standard library they need only these headers.
PURE = {'base', 'learn', 'share', 'privacy', 'overlay', 'wire', 'core'}
PURE_HEADERS = {name + '.h' for name in (
    'assert', 'ctype', 'errno', 'float', 'inttypes', 'limits', 'math', 'stdalign', 'stdarg', 'stdbool', 'stddef', 'stdint',
    'stdlib', 'stdnoreturn', 'string')}
C_HEADERS = PURE_HEADERS | {name + '.h' for name in (
    'complex', 'fenv', 'iso646', 'locale', 'setjmp', 'signal', 'stdatomic', 'stdio', 'tgmath', 'threads', 'time', 'uchar',
    'wchar', 'wctype')}

INCLUDE = re.compile(r'^\s*#\s*include\b\s*(?:<([^>]*)>|"([^"]*)"|(.*))')


def includes_of(path):
    """(line, name, is_system) of every #include outside comments; name None where it is no plain file name."""
    text = path.read_text(encoding='utf-8', errors='replace')
    text = re.sub(r'/\*.*?\*/', lambda comment: '\n' * comment.group().count('\n'), text, flags=re.S)
    for number, line in enumerate(text.split('\n'), 1):
        match = INCLUDE.match(line)
        if match:
            system, own, _ = match.groups()
            yield number, system if system is not None else own, system is not None


def library_fault(name, places):
    for pattern, allowed in LIBRARIES:
        if pattern.fullmatch(name):
            return None if places & allowed else f'<{name}> may be seen only by: {", ".join(sorted(allowed))}'
    return None


def is_library(name):
    return any(pattern.fullmatch(name) for pattern, _ in LIBRARIES)


def public_fault(root, path, name, is_system):
    """include/starling stands on itself and the C standard library."""
    if is_system:
        return None if name in C_HEADERS else f'<{name}> is not of the C standard library; public headers need nothing else'
    if name.startswith('starling/') and (root / 'include' / name).is_file():
        return None
    if '/' not in name and (path.parent / name).is_file():
        return None
    return f'"{name}" is not a public header'


def system_fault(folder, name, places):
    if is_library(name):
        return library_fault(name, places)
    if folder in PURE and name not in PURE_HEADERS:
        return f'<{name}>: {folder} does no input or output, reads no clock and allocates nothing'
    return None


def own_fault(root, path, folder, name):
    if '..' in name.split('/'):
        return f'"{name}": write the path from src, without ..'
    if name.startswith('starling/'):
        return None if (root / 'include' / name).is_file() else f'"{name}" does not exist'
    if '/' not in name:
        return None if (path.parent / name).is_file() else f'"{name}" does not stand beside its file'

    target = name.split('/')[0]
    if target not in LAYERS:
        return f'"{name}": no such folder in src'
    if target != folder and LAYERS[target] >= LAYERS[folder]:
        return f'"{name}": {folder} (layer {LAYERS[folder]}) may not include {target} (layer {LAYERS[target]})'
    return None


def fault_of(root, path, folder, places, name, is_system):
    if name is None:
        return 'an #include must name its file plainly'
    if folder == 'public':
        return public_fault(root, path, name, is_system)
    if is_system:
        return system_fault(folder, name, places)
    if is_library(name):
        return library_fault(name, places)
    return own_fault(root, path, folder, name)


def place_of(root, path):
    """(folder, names under which the library list may know it)"""
    parts = path.relative_to(root).parts
    if parts[0] == 'include':
        return 'public', {'public'}
    if parts[0] == 'tools':
        return 'programs', {'programs'}
    if len(parts) == 2:
        return 'programs', {'programs', parts[1]}
    return parts[1], {parts[1]}


def violations(root):
    files = [path for top in ('include', 'src', 'tools') for path in sorted((root / top).rglob('*')) if path.suffix in ('.c', '.h', '.def')]
    for path in files:
        folder, places = place_of(root, path)
        shown = path.relative_to(root)
        if folder != 'public' and folder not in LAYERS:
            yield f'{shown}:1: the folder src/{folder} has no layer'
            continue
        for number, name, is_system in includes_of(path):
            fault = fault_of(root, path, folder, places, name, is_system)
            if fault:
                yield f'{shown}:{number}: {fault}'


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    found = list(violations(pathlib.Path(sys.argv[1]).resolve()))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
