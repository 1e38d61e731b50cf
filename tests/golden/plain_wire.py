# SPDX-License-Identifier: MIT
"""What cohorts make of the primitives: labelled hashes, generators, msgpack, signed messages, masks, sketches, Merkle trees. In plain Python, for checks."""
import struct

import plain_crypto as crypto

TYPES = {'PROPOSE': 8, 'JOIN': 9, 'ROSTER': 10, 'REFUSE': 12, 'SHARES': 13, 'LIST': 14, 'COMMIT': 15, 'OPEN': 16, 'AUDIT': 17, 'CONFIRM': 18, 'UNMASK': 19,
         'RESULT': 20, 'REVEAL': 21, 'EVIDENCE': 22, 'NEED': 28}
UNSIGNED = {'EVIDENCE', 'NEED'}


def labelled(label, *parts, key=b''):
    return crypto.blake2b(bytes([len(label)]) + label.encode() + b''.join(parts), key=key)


def u64(number):
    return struct.pack('<Q', number)


def words(numbers, bits=32):
    return b''.join((n % 2 ** bits).to_bytes(bits // 8, 'little') for n in numbers)


def draw(seed, size):
    """The first bytes that a generator with this seed gives: each buffer's first 32 bytes are the next key."""
    drawn = b''
    while len(drawn) < size:
        buffer = crypto.stream(seed, 256)
        seed, drawn = buffer[:32], drawn + buffer[32:]
    return drawn[:size]


def key_pair(seed):
    secret = crypto.blake2b(seed)
    return secret, crypto.x25519(secret)


def pack(value):
    """The shortest msgpack of integers, bytes and lists of them."""
    if isinstance(value, int):
        return pack_integer(value)
    if isinstance(value, bytes):
        size = len(value)
        head = b'\xc4' + struct.pack('>B', size) if size < 256 else b'\xc5' + struct.pack('>H', size) if size < 65536 else b'\xc6' + struct.pack('>I', size)
        return head + value
    head = bytes([0x90 + len(value)]) if len(value) < 16 else b'\xdc' + struct.pack('>H', len(value))
    return head + b''.join(pack(item) for item in value)


def pack_integer(number):
    if -32 <= number < 128:
        return struct.pack('b', number)
    kinds = [('\xcc', '>B', 8), ('\xcd', '>H', 16), ('\xce', '>I', 32), ('\xcf', '>Q', 64)] if number > 0 else \
        [('\xd0', '>b', 7), ('\xd1', '>h', 15), ('\xd2', '>i', 31), ('\xd3', '>q', 63)]
    for head, form, bits in kinds:
        if -2 ** bits <= number < 2 ** bits:
            return head.encode('latin-1') + struct.pack(form, number)
    raise ValueError(number)


def message(kind, body, sign_seed, network, cohort, sender, epoch):
    head = b'\x98' + b''.join(pack(item) for item in (2, TYPES[kind], network, epoch, cohort, sender))
    signed = head + pack(body)
    return signed + pack(b'' if kind in UNSIGNED else crypto.ed25519_sign(sign_seed, labelled('message', signed)))


def mask(seed, bits, start, n):
    size = bits // 8
    stream = crypto.stream(seed, size * n, size * start)
    return [int.from_bytes(stream[size * j:size * (j + 1)], 'little') for j in range(n)]


def matrix(key, rows, dim):
    """Rows of -1, 0 and 1."""
    chunks = (dim + 255) // 256
    stream = crypto.stream(key, 64 * rows * chunks)
    made = []
    for row in range(rows):
        entries = []
        for chunk in range(chunks):
            both = stream[64 * (rows * chunk + row):][:64]
            plus, minus = int.from_bytes(both[:32], 'little'), int.from_bytes(both[32:], 'little')
            entries += [(plus >> j & 1) - (minus >> j & 1) for j in range(256)]
        made.append(entries)
    return made


def sketch_of(rows, vector, bits=32):
    return [sum(a * x for a, x in zip(row, vector)) % 2 ** bits for row in rows]


def tree(data, chunk_size):
    """Levels of a Merkle tree from its leaves to its top, and the root."""
    chunks = [data[i:i + chunk_size] for i in range(0, len(data), chunk_size)]
    levels = [[labelled('leaf', u64(i), chunk) for i, chunk in enumerate(chunks)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([labelled('node', *below[i:i + 2]) if i + 1 < len(below) else below[i] for i in range(0, len(below), 2)])
    return levels, labelled('root', u64(len(chunks)), u64(len(data)), levels[-1][0])
