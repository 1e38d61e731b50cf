# SPDX-License-Identifier: MIT
"""The primitives of the protocol, written from their papers in plain Python: slow, short, and without a library in common with the program.

ChaCha20 and Poly1305: RFC 8439, with the 64-bit nonce and counter of Bernstein's paper for streams; HChaCha20: draft-irtf-cfrg-xchacha;
X25519: RFC 7748; Ed25519: RFC 8032; secret sharing: Shamir, 1979, over the field of AES. BLAKE2b is hashlib's.
"""
import hashlib
import struct

P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
SIGMA = struct.unpack('<4I', b'expand 32-byte k')


def blake2b(data, size=32, key=b''):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def rotate(word, by):
    return (word << by | word >> (32 - by)) & 0xffffffff


def quarter_round(x, a, b, c, d):
    for first, second, third, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[first] = (x[first] + x[second]) & 0xffffffff
        x[third] = rotate(x[third] ^ x[first], by)


def twenty_rounds(state):
    x = list(state)
    for _ in range(10):
        for column in range(4):
            quarter_round(x, column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            quarter_round(x, row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return x


def chacha20_block(key, last_words):
    state = SIGMA + struct.unpack('<8I', key) + last_words
    return struct.pack('<16I', *((a + b) & 0xffffffff for a, b in zip(twenty_rounds(state), state)))


def stream(key, size, offset=0):
    """The whole stream of a key whose nonce is zero, from an offset in bytes."""
    first, last = offset // 64, (offset + size + 63) // 64
    blocks = b''.join(chacha20_block(key, (n & 0xffffffff, n >> 32, 0, 0)) for n in range(first, last))
    return blocks[offset - 64 * first:][:size]


def poly1305(key, data):
    r = int.from_bytes(key[:16], 'little') & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i:i + 16] + b'\1', 'little')) * r % (2 ** 130 - 5)
    return ((total + int.from_bytes(key[16:], 'little')) % 2 ** 128).to_bytes(16, 'little')


def padded(data):
    return data + bytes(-len(data) % 16)


def xchacha20poly1305(key, nonce, data, text):
    words = twenty_rounds(SIGMA + struct.unpack('<8I', key) + struct.unpack('<4I', nonce[:16]))
    subkey = struct.pack('<8I', *words[:4], *words[12:])
    tail = (0,) + struct.unpack('<2I', nonce[16:])
    blocks = [chacha20_block(subkey, (n,) + tail) for n in range(1 + (len(text) + 63) // 64)]
    sealed = bytes(a ^ b for a, b in zip(text, b''.join(blocks[1:])))
    tag = poly1305(blocks[0][:32], padded(data) + padded(sealed) + struct.pack('<2Q', len(data), len(sealed)))
    return sealed + tag


def x25519(secret, point=None):
    """The product of a secret and a point, the base point if none is named (Montgomery's ladder)."""
    number = bytearray(secret)
    number[0] &= 248
    number[31] = number[31] & 127 | 64
    k = int.from_bytes(number, 'little')
    u = 9 if point is None else int.from_bytes(point, 'little') & (2 ** 255 - 1)
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        if k >> bit & 1:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
        if k >> bit & 1:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, 'little')


D = -121665 * pow(121666, P - 2, P) % P


def add_points(p, q):
    """On the twisted Edwards curve, in extended coordinates."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x % 2:
        x = P - x
    return (x, y, 1, x * y % P)


def times_base(number):
    result, power = (0, 1, 1, 0), base_point()
    while number:
        if number & 1:
            result = add_points(result, power)
        power = add_points(power, power)
        number >>= 1
    inverse = pow(result[2], P - 2, P)
    x, y = result[0] * inverse % P, result[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, 'little')


def sha512_number(*parts):
    return int.from_bytes(hashlib.sha512(b''.join(parts)).digest(), 'little')


def ed25519(seed):
    """(public key, secret number, prefix) of a seed."""
    expanded = hashlib.sha512(seed).digest()
    number = int.from_bytes(expanded[:32], 'little') & (2 ** 254 - 8) | 2 ** 254
    return times_base(number), number, expanded[32:]


def ed25519_sign(seed, message):
    public, number, prefix = ed25519(seed)
    r = sha512_number(prefix, message) % ORDER
    start = times_base(r)
    return start + ((r + sha512_number(start, public, message) * number) % ORDER).to_bytes(32, 'little')


def field_tables():
    """Powers of 3 and logarithms to it in GF(256) modulo x^8 + x^4 + x^3 + x + 1."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= value << 1
        if value > 255:
            value ^= 0x11b
    return powers, {value: n for n, value in enumerate(powers)}


POWERS, LOGARITHMS = field_tables()


def field_times(a, b):
    return POWERS[(LOGARITHMS[a] + LOGARITHMS[b]) % 255] if a and b else 0


def field_over(a, b):
    return POWERS[(LOGARITHMS[a] - LOGARITHMS[b]) % 255] if a else 0


def shamir_share(secret, coefficients, x):
    share = bytearray(secret)
    power = 1
    for coefficient in coefficients:
        power = field_times(power, x)
        for i in range(32):
            share[i] ^= field_times(coefficient[i], power)
    return bytes(share)


def shamir_join(shares):
    """shares: {x: 32 bytes}."""
    secret = bytearray(32)
    for x, share in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight = field_times(weight, field_over(other, other ^ x))
        for i in range(32):
            secret[i] ^= field_times(share[i], weight)
    return bytes(secret)
