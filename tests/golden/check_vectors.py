# SPDX-License-Identifier: MIT
"""Computes every test vector again, by primitives that share nothing with the program's, and compares.

usage: check_vectors.py VECTORS        prints each name whose bytes differ; exit status 1 if any does, or if one is missing or unknown
"""
import itertools
import pathlib
import struct
import sys

import plain_cohort
import plain_crypto as crypto
import plain_wire as wire

def fixed(n, size=32):
    return bytes((37 * n + k) % 256 for k in range(size))


def read(path):
    """{name: bytes} of a file of vectors."""
    vectors, name = {}, None
    for line in pathlib.Path(path).read_text(encoding='ascii').split('\n'):
        if line.startswith('#') or not line:
            continue
        if not line.startswith(' '):
            name, _, line = line.partition(' =')
            vectors[name] = ''
        vectors[name] += line.strip()
    return {name: bytes.fromhex(text) for name, text in vectors.items()}


def keys():
    (client, client_public), (server, server_public) = wire.key_pair(fixed(4)), wire.key_pair(fixed(6))
    yield 'key.client.secret', client
    yield 'key.client.public', client_public
    yield 'key.server.secret', server
    yield 'key.server.public', server_public
    session = crypto.blake2b(crypto.x25519(server, client_public) + client_public + server_public, size=64)
    context = session + fixed(1) + wire.u64(5) + fixed(2)
    yield 'key.pair_seed', wire.labelled('mask seed', context, fixed(3), fixed(5))
    yield 'key.to_server', wire.labelled('box key', context, fixed(3), fixed(5))
    yield 'key.to_client', wire.labelled('box key', context, fixed(5), fixed(3))


def hashes():
    for name, label in (('mask_tag', 'mask tag'), ('box_tag', 'box tag'), ('self_seed', 'self seed'), ('audit_nonce', 'audit nonce')):
        yield f'hash.{name}', wire.labelled(label, fixed(2), fixed(7))
    for name, label in (('self_share', 'self share'), ('mask_share', 'mask share')):
        yield f'hash.{name}', wire.labelled(label, fixed(2), wire.u64(1), wire.u64(3), fixed(8))
    yield 'hash.audit_key', wire.labelled('audit', fixed(9))
    yield 'box', crypto.xchacha20poly1305(fixed(12), bytes(24), fixed(2), fixed(10) + fixed(11))


def shares():
    coefficients = wire.draw(fixed(14), 96)
    dealt = {x: crypto.shamir_share(fixed(13), [coefficients[:32], coefficients[32:64], coefficients[64:]], x) for x in range(1, 7)}
    yield 'shamir.coefficients', coefficients
    yield 'shamir.shares', b''.join(dealt.values())
    for chosen in itertools.combinations(dealt, 4):
        assert crypto.shamir_join({x: dealt[x] for x in chosen}) == fixed(13)


def masks():
    for bits in (32, 16):
        for name, sign in (('added', 1), ('taken', -1)):
            for start in (0, 128):
                yield f'mask.{bits}.{name}.{start}', wire.words([sign * element for element in wire.mask(fixed(15), bits, start, 32)], bits)


def sketches():
    rows = wire.matrix(fixed(16), 3, 512)
    for start in (0, 256):
        yield f'sketch.entries.{start}', b''.join(struct.pack('32b', *row[start:start + 32]) for row in rows)
    yield 'sketch.rows', wire.words(wire.sketch_of(rows, [2654435761 * j % 2 ** 32 for j in range(300)]))


def trees():
    levels, root = wire.tree(fixed(17, 300), 64)
    yield 'merkle.root', root
    yield 'merkle.path', levels[0][3] + levels[1][0] + levels[2][1]


def bodies():
    """(type, cohort, body) of the messages, in tests/golden/vectors_messages.c's order."""
    zeros, proposed, cohort = bytes(32), fixed(31), fixed(2)
    yield 'PROPOSE', zeros, [fixed(20), [fixed(21), fixed(22), fixed(23)], 4, 16, fixed(24), -12, 524288, 1, 0, 0]
    join = [fixed(25), fixed(26), b'127.0.0.1:7400', fixed(27), fixed(28), fixed(29), fixed(30, 3), 300]
    yield 'JOIN', proposed, join
    yield 'ROSTER', proposed, [[say('JOIN', proposed, join)] * 2]
    yield 'REFUSE', cohort, [200]
    dealt = [[fixed(34 + i), fixed(37 + i), fixed(40 + i), fixed(43 + i, 80), fixed(46 + i), fixed(49 + i)] for i in range(3)]
    dealt[1][:4] = [b''] * 4
    yield 'SHARES', cohort, [fixed(32), fixed(33), dealt]
    yield 'LIST', cohort, [2, fixed(52), 0x805, [fixed(53), fixed(54), fixed(55)]]
    yield 'COMMIT', cohort, [fixed(56), fixed(57)]
    yield 'OPEN', cohort, [fixed(58), fixed(59)]
    yield 'AUDIT', cohort, [fixed(60), wire.words([1, -2]), wire.words([0x01020304, 5]), [wire.words([7, 8]), b'', wire.words([0x80000000, 9])]]
    yield 'CONFIRM', cohort, [fixed(61)]
    yield 'UNMASK', cohort, [fixed(62), [fixed(63), b'', fixed(64)]]
    yield 'RESULT', cohort, [fixed(65), 13, 16, -7, fixed(66)]
    reveal = [4, 2, fixed(67)]
    yield 'REVEAL', cohort, reveal
    yield 'EVIDENCE', cohort, [1, fixed(68), [say('REVEAL', cohort, reveal)] * 2, b'', [[2, fixed(69)]]]
    yield 'NEED', cohort, [3, fixed(70)]


def say(kind, cohort, body):
    return wire.message(kind, body, fixed(18), fixed(1), cohort, fixed(3), 5)


def messages():
    for kind, cohort, body in bodies():
        yield f'message.{kind}', say(kind, cohort, body)


def computed():
    for part in (keys, hashes, shares, masks, sketches, trees, messages, plain_cohort.cohort):
        yield from part()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    kept, known = read(sys.argv[1]), dict(computed())
    wrong = [f'{name}: kept {kept[name].hex()}, computed {known[name].hex()}' for name in known if name in kept and kept[name] != known[name]]
    wrong += [f'{name}: is not in the file' for name in known if name not in kept] + [f'{name}: is not computed' for name in kept if name not in known]
    for line in wrong:
        print(line)
    if wrong:
        sys.exit(1)
    print(f'{len(known)} vectors computed again, all equal')


if __name__ == '__main__':
    main()
