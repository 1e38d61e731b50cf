# SPDX-License-Identifier: MIT
"""Does symbols.py notice? Builds small libraries that call what is forbidden and demands that each is named.

usage: symbols_notice.py COMPILER...
"""
import pathlib
import subprocess
import sys
import tempfile

import symbols

FORBIDDEN = ['malloc', 'calloc', 'realloc', 'free', 'time', 'clock_gettime', 'gettimeofday', 'nanosleep', 'socket', 'send', 'open', 'read',
             'write', 'pthread_create', 'pthread_mutex_lock', 'printf', 'snprintf', 'vsnprintf', 'fputs', 'fopen', 'puts', 'qsort', 'rand',
             'getenv', 'getrandom', 'strdup', 'strtod', 'randombytes_buf', 'sodium_malloc', 'crypto_sign_keypair', 'crypto_box_keypair',
             'crypto_kx_keypair', 'crypto_secretbox_keygen', 'cblas_sgemm', 'cblas_sgemv', 'LAPACKE_sposv', 'msgpack_unpack', 'zmq_send']
ALLOWED = ['memcpy', 'memset', 'strlen', 'strcmp', 'sqrt', 'logf', 'lround', 'cblas_sdot', 'cblas_daxpy', 'crypto_sign_detached',
           'crypto_sign_seed_keypair', 'crypto_generichash_init', 'sodium_memzero', 'sodium_is_zero', '__assert_fail', 'sl_model_softmax']
ONLY_IN_WIRE = 'msgpack_pack_object'


def build(folder, compiler, name, calls):
    """A library whose one function refers to each of `calls`."""
    source, compiled, library = folder / 'probe.c', folder / 'probe.o', folder / name
    lines = [f'extern void probe_{i}(void) __asm__("{call}");' for i, call in enumerate(calls)]
    body = ' '.join(f'probe_{i}();' for i in range(len(calls)))
    source.write_text('\n'.join([*lines, 'void sl_probe(void);', f'void sl_probe(void) {{ {body} }}', '']))
    library.unlink(missing_ok=True)
    subprocess.run([*compiler, '-fno-builtin', '-c', str(source), '-o', str(compiled)], check=True)
    subprocess.run(['ar', 'rcs', str(library), str(compiled)], check=True)
    return str(library)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    compiler, failures = sys.argv[1:], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)

        library = build(folder, compiler, 'libstarling-base.a', FORBIDDEN + ALLOWED + [ONLY_IN_WIRE])
        found = sorted(symbols.violations([library]))
        wanted = sorted(f'libstarling-base.a(probe.o): calls {name}' for name in FORBIDDEN + [ONLY_IN_WIRE])
        if found != wanted:
            failures.append(f'missed: {sorted(set(wanted) - set(found))}; too much: {sorted(set(found) - set(wanted))}')

        wire = build(folder, compiler, 'libstarling-wire.a', [ONLY_IN_WIRE])
        if list(symbols.violations([wire])):
            failures.append(f'{ONLY_IN_WIRE} is allowed in wire')

        command = [sys.executable, symbols.__file__]
        for libraries, status in (([library, wire], 1), ([wire], 0)):
            result = subprocess.run(command + libraries, capture_output=True, text=True)
            if result.returncode != status:
                failures.append(f'exit status {result.returncode}, wanted {status}: {result.stdout}{result.stderr}')
    for line in failures:
        print(line)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
