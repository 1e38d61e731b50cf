# SPDX-License-Identifier: MIT
"""Checks what the libraries that must stay pure call: no heap, clock, socket, thread or stdio, no randomness of their own.

usage: symbols.py LIBRARY.a...        prints one line for each violation; exit status 1 if there is any
Give all of them together: what one defines another may use. Build them without sanitizers.
"""
import os
import re
import subprocess
import sys

MATH = ('acos asin atan atan2 cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod frexp hypot ilogb '
        'ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nearbyint nextafter pow remainder rint round scalbln '
        'scalbn sin sinh sqrt tan tanh tgamma trunc').split()

ALLOWED = [re.compile(pattern) for pattern in (
    r'(' + '|'.join(MATH) + r')f?',
    r'__(isnan|isinf|finite|fpclassify|signbit)f?',
    r'mem(cpy|move|set|cmp|chr)',
    r'str(len|nlen|cmp|ncmp|chr|rchr|spn|cspn|pbrk|str|cpy|ncpy|cat|ncat)',
    r'__(mem(cpy|move|set)|str(cpy|ncpy|cat|ncat))_chk',
    r'(bsearch|l?l?abs)',
    r'__assert_fail',
    r'__stack_chk_fail',
    r'_GLOBAL_OFFSET_TABLE_',
    r'__cpu_(model|features2|indicator_init)',               # which instructions the processor has
    r'__[a-z]+[sdt]i[234]',                                  # the compiler's wide arithmetic
    r'sl_\w+',                                               # ours; who may call whom is the business of layers.py
    r'cblas_([sd](dot|axpy|scal|nrm2|asum|copy|swap)|i[sd]amax|sdsdot|dsdot)',
    r'(crypto|sodium)_\w+',
)]

# Allocation and kernel randomness that hide among libsodium's names.
REFUSED = [re.compile(pattern) for pattern in (
    r'sodium_(malloc|allocarray|free|mlock|munlock|mprotect_\w+|init)',
    r'crypto_\w+(?<!_seed)_keypair',
    r'crypto_\w+_keygen',
    r'crypto_box_seal',
    r'crypto_secretstream_\w+_init_push',
    r'crypto_pwhash\w*',
)]

# Beyond that, for one library.
ALLOWED_IN = {'libstarling-wire.a': re.compile(r'msgpack_pack\w*')}


def nm(library, *options):
    """(symbol, member) for each line of nm."""
    result = subprocess.run(['nm', '-A', '-P', *options, library], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f'nm failed on {library}: {result.stderr.strip()}')
    for line in result.stdout.splitlines():
        place, _, rest = line.partition(': ')
        if rest:
            yield rest.split()[0], place[place.rfind('[') + 1:].rstrip(']') or place


def is_allowed(symbol, library):
    if any(pattern.fullmatch(symbol) for pattern in REFUSED):
        return False
    if any(pattern.fullmatch(symbol) for pattern in ALLOWED):
        return True
    extra = ALLOWED_IN.get(os.path.basename(library))
    return bool(extra and extra.fullmatch(symbol))


def violations(libraries):
    defined = {symbol for library in libraries for symbol, _ in nm(library, '-g', '--defined-only')}
    for library in libraries:
        for symbol, member in nm(library, '-u'):
            if symbol not in defined and not is_allowed(symbol, library):
                yield f'{os.path.basename(library)}({os.path.basename(member)}): calls {symbol}'


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    found = sorted(set(violations(sys.argv[1:])))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
