# SPDX-License-Identifier: MIT
"""A whole cohort of four in plain Python, one of whom falls silent when it should commit: every message, every vector and the sum, from the seeds on."""
import plain_crypto as crypto
import plain_wire as wire

N, THRESHOLD, DIM, ROWS, BITS, EPOCH, SEED = 4, 3, 300, 8, 32, 5, 7
CHUNK, RING_EXPONENT, REF_EXPONENT, MEAN_BITS = 16384, 24, 10, 16
STEPS = {'V': 2, 'Y': 4, 'O': 6, 'U': 8}
EVERYBODY, THERE = range(N), range(N - 1)


def seed_of(label, member=0):
    return wire.labelled(label, wire.u64(SEED), wire.u64(member))


def input_of(member):
    return [(31 * member + 17 * j) % 101 - 50 for j in range(DIM)]


def body_hash(body):
    return wire.labelled('body', wire.pack(body))


class Member:
    """Its keys, what it draws, and what it deals."""

    def __init__(self, index):
        self.index = index
        self.sign_seed = seed_of('sign', index)
        self.id = wire.labelled('id', seed_of('network'), crypto.ed25519(self.sign_seed)[0])
        self.mask_secret, self.mask_public = wire.key_pair(seed_of('mask', index))
        self.box_secret, self.box_public = wire.key_pair(seed_of('box', index))
        drawn = wire.draw(seed_of('session', index), 32 * (2 + 2 * (THRESHOLD - 1)))
        parts = [drawn[i:i + 32] for i in range(0, len(drawn), 32)]
        self.self_seed, self.nonce = parts[:2]
        coefficients = {'self': parts[2:1 + THRESHOLD], 'mask': parts[1 + THRESHOLD:]}
        self.self_shares = [crypto.shamir_share(self.self_seed, coefficients['self'], x) for x in range(1, N + 1)]
        self.mask_shares = [crypto.shamir_share(self.mask_secret, coefficients['mask'], x) for x in range(1, N + 1)]

    def session_with(self, other, which):
        """The two keys of crypto_kx as the lower of both places sees them, then what binds them to this cohort."""
        secret, peer = getattr(self, f'{which}_secret'), getattr(other, f'{which}_public')
        client, server = sorted((self, other), key=lambda member: member.index)
        publics = getattr(client, f'{which}_public') + getattr(server, f'{which}_public')
        keys = crypto.blake2b(crypto.x25519(secret, peer) + publics, size=64)
        return keys + seed_of('network') + wire.u64(EPOCH) + seed_of('cohort')

    def pair_seed(self, other):
        client, server = sorted((self, other), key=lambda member: member.index)
        return wire.labelled('mask seed', self.session_with(other, 'mask'), client.id, server.id)

    def box_key_to(self, other):
        return wire.labelled('box key', self.session_with(other, 'box'), self.id, other.id)

    def share_hashes(self, other):
        place = seed_of('cohort') + wire.u64(self.index) + wire.u64(other.index)
        return [wire.labelled('self share', place, self.self_shares[other.index]), wire.labelled('mask share', place, self.mask_shares[other.index])]

    def dealt(self, other):
        if other is self:
            return [b''] * 4 + self.share_hashes(other)
        cohort, key = seed_of('cohort'), self.box_key_to(other)
        box = crypto.xchacha20poly1305(key, bytes(24), cohort, self.self_shares[other.index] + self.mask_shares[other.index])
        tags = [wire.labelled('mask tag', cohort, self.pair_seed(other)), wire.labelled('box tag', cohort, key),
                wire.labelled('box tag', cohort, other.box_key_to(self))]
        return tags + [box] + self.share_hashes(other)

    def shares(self, members):
        cohort = seed_of('cohort')
        return [wire.labelled('self seed', cohort, self.self_seed), wire.labelled('audit nonce', cohort, self.nonce), [self.dealt(m) for m in members]]

    def masked(self, members):
        vector = [a + b for a, b in zip(input_of(self.index), wire.mask(self.self_seed, BITS, 0, DIM))]
        for other in members:
            if other is not self:
                sign = 1 if other.index > self.index else -1
                vector = [a + sign * b for a, b in zip(vector, wire.mask(self.pair_seed(other), BITS, 0, DIM))]
        return [element % 2 ** BITS for element in vector]

    def audit(self, members, rows):
        def sketch(vector):
            return wire.words(wire.sketch_of(rows, vector))
        pairs = [b'' if m is self else sketch(wire.mask(self.pair_seed(m), BITS, 0, DIM)) for m in members]
        return [sketch(input_of(self.index)), sketch(wire.mask(self.self_seed, BITS, 0, DIM)), pairs]

    def message(self, kind, body):
        return wire.message(kind, body, self.sign_seed, seed_of('network'), seed_of('cohort'), self.id, EPOCH)


def away_from_zero(number, divisor):
    rounded = (abs(number) + divisor // 2) // divisor
    return rounded if number >= 0 else -rounded


def mean_of(total):
    """(exponent, bytes) of the mean of all there: the coarsest exponent at which the largest number fits its bits; the reference is zero."""
    assert RING_EXPONENT > REF_EXPONENT
    mean, shift = [away_from_zero(element, len(THERE)) for element in total], 0
    while max(away_from_zero(abs(element), 2 ** shift) for element in mean) > 2 ** (MEAN_BITS - 1) - 1:
        shift += 1
    return RING_EXPONENT - shift, wire.words([away_from_zero(element, 2 ** shift) for element in mean], MEAN_BITS)


def unmasked(vectors, members):
    """The sum without masks, by the shares that all there hold: of self-mask seeds of those there, and of the mask secret of the one who is not."""
    total = [sum(column) for column in zip(*vectors)]
    for i in THERE:
        seed = crypto.shamir_join({x + 1: members[i].self_shares[x] for x in THERE})
        total = [a - b for a, b in zip(total, wire.mask(seed, BITS, 0, DIM))]
    lost = members[N - 1]
    assert crypto.shamir_join({x + 1: lost.mask_shares[x] for x in THERE}) == lost.mask_secret
    for i in THERE:
        total = [a - b for a, b in zip(total, wire.mask(lost.pair_seed(members[i]), BITS, 0, DIM))]
    return [(element + 2 ** (BITS - 1)) % 2 ** BITS - 2 ** (BITS - 1) for element in total]


def cohort():
    """(name, bytes) of all that vectors.txt has of the run."""
    members = [Member(i) for i in EVERYBODY]
    said, chain = {}, seed_of('cohort')

    def step(kind, bodies, list_name=None):
        """All say their bodies; then, if it closes, the first announces the list, which those that follow will name."""
        nonlocal chain
        for i, body in bodies.items():
            said[f'{kind}.{i}'] = members[i].message(kind, body)
        if list_name:
            listed = [STEPS[list_name], chain, sum(2 ** i for i in bodies), [body_hash(body) for body in bodies.values()]]
            said[f'LIST.{list_name}'] = members[0].message('LIST', listed)
            chain = body_hash(listed)

    step('SHARES', {i: members[i].shares(members) for i in EVERYBODY}, 'V')
    vectors = [members[i].masked(members) for i in THERE]
    roots = [wire.tree(wire.words(vector), 4 * CHUNK)[1] for vector in vectors]
    step('COMMIT', {i: [chain, roots[i]] for i in THERE}, 'Y')
    step('OPEN', {i: [chain, members[i].nonce] for i in THERE}, 'O')
    rows = wire.matrix(wire.labelled('audit', chain), ROWS, DIM)
    step('AUDIT', {i: [chain] + members[i].audit(members, rows) for i in THERE}, 'U')
    step('CONFIRM', {i: [chain] for i in THERE})
    step('UNMASK', {i: [chain, [members[j].self_shares[i] for j in THERE] + [members[N - 1].mask_shares[i]]] for i in THERE})
    total = unmasked(vectors, members)
    assert total == [sum(column) for column in zip(*(input_of(i) for i in THERE))]
    exponent, mean = mean_of(total)
    step('RESULT', {i: [chain, 2 ** len(THERE) - 1, MEAN_BITS, exponent, wire.tree(mean, 2 * CHUNK)[1]] for i in THERE})

    for i in EVERYBODY:
        yield f'cohort.self_seed.{i}', members[i].self_seed
        yield f'cohort.nonce.{i}', members[i].nonce
    for name, message in said.items():
        yield f'cohort.{name}', wire.labelled('message', message)
    for i in THERE:
        yield f'cohort.root.{i}', roots[i]
    yield 'cohort.sum', wire.words(total)
    yield 'cohort.mean', mean
