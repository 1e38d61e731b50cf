# SPDX-License-Identifier: MIT
"""Does tools/packages.sh install what is missing, and nothing else? Its dpkg-query, apt-get, id and sudo are played by small scripts.

usage: packages.py ROOT
"""
import os
import pathlib
import subprocess
import sys
import tempfile

PLAYERS = {
    'dpkg-query': 'case " $HERE " in *" $4 "*) printf installed ;; *) exit 1 ;; esac',
    'apt-get': 'echo "apt-get $*" >> "$CALLS"; exit "${APT_CODE:-0}"',
    'sudo': 'echo sudo >> "$CALLS"; exec "$@"',
    'id': 'echo "$USER_ID"',
}


def play(root, words, here, user=0, apt_code=0):
    """(exit status, calls) of packages.sh on a machine that has the packages `here`."""
    with tempfile.TemporaryDirectory() as folder:
        for name, body in PLAYERS.items():
            path = pathlib.Path(folder, name)
            path.write_text(f'#!/bin/sh\n{body}\n', encoding='utf-8')
            path.chmod(0o755)
        calls = pathlib.Path(folder, 'calls')
        environment = {'PATH': f'{folder}:/usr/bin:/bin', 'HERE': ' '.join(here), 'CALLS': str(calls), 'USER_ID': str(user), 'APT_CODE': str(apt_code)}
        done = subprocess.run([str(root / 'tools' / 'packages.sh'), *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, calls.read_text(encoding='utf-8').splitlines() if calls.exists() else []


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    root = pathlib.Path(sys.argv[1]).resolve()
    install = ['apt-get -q update', 'apt-get -q -y --no-install-recommends install meson']
    with_sudo = [line for call in install for line in ('sudo', call)]
    for what, got, wanted in [
            ('all there', play(root, ['meson'], ['meson']), (0, [])),
            ('one missing', play(root, ['clang', 'meson'], ['clang']), (0, install)),
            ('named twice', play(root, ['meson', 'meson'], []), (0, install)),
            ('not root', play(root, ['meson'], [], user=1000), (0, with_sudo)),
            ('apt-get fails', play(root, ['meson'], [], apt_code=100), (1, install[:1]))]:
        if got != wanted:
            sys.exit(f'{what}: wanted {wanted}, got {got}')
    status, calls = play(root, ['build'], [])
    if status or len(calls) != 2 or not all(f' {name}' in calls[1] for name in ('build-essential', 'libsodium-dev', 'libczmq-dev', 'meson')):
        sys.exit(f'build on an empty machine: {calls}')


if __name__ == '__main__':
    main()
