/* SPDX-License-Identifier: MIT */
#ifndef SL_COHORT_EVIDENCE_H
#define SL_COHORT_EVIDENCE_H

#include <stdint.h>

#include "wire/message.h"

/*
 * Proofs that an identity broke the protocol, which convince anybody who knows the network: they rest on the accused's own signatures and on secrets that
 * fit what it signed, never on a majority. Who is honest can never be accused, whatever the others do.
 *
 * kind             messages           roster  secrets                    what is proven
 * TWO_BODIES       two of the accused -       -                          two different signed bodies where there must be one: JOIN, SHARES, LIST (per step),
 *                                                                        COMMIT, OPEN, AUDIT, CONFIRM or RESULT of one epoch and cohort; PROPOSE, ROSTER,
 *                                                                        COMMIT or CONFIRM of one epoch
 * BAD_SHARE        SHARES             -       {receiver, box key e}      e fits the tag that the dealer signed, yet opens no box of two shares that fit
 *                                                                        their signed hashes
 * BAD_MASK_TAG     SHARES             yes     {partner, its mask secret} the secret fits the partner's key, yet the pair seed is not the one tagged
 * BAD_BOX_TAG      SHARES             yes     {partner, its box secret}  the same of the box keys, either direction
 * BAD_SELF         SHARES             yes     t x {receiver, its share}  shares fit their signed hashes, yet give no b with the signed hash
 * BAD_MASK         SHARES             yes     t x {receiver, its share}  ... no mask secret of the key in the JOIN
 * BAD_SELF_SKETCH  AUDIT, SHARES      -       {any, b}                   b fits its signed hash, yet A PRG(b) is not what the AUDIT says
 * BAD_PAIR_SKETCH  AUDIT, SHARES      -       {partner, s}               s fits its signed tag, yet A PRG(s) is not what the AUDIT says
 *
 * The matrix of an audit follows from the AUDIT's own chain (the LIST of OPENs), ring and dimension from the network. NEED, RELEASED, REFUSE and REVEAL never
 * count.
 */
enum sl_evidence_kind {
    SL_EVIDENCE_TWO_BODIES = 1, SL_EVIDENCE_BAD_SHARE, SL_EVIDENCE_BAD_MASK_TAG, SL_EVIDENCE_BAD_BOX_TAG, SL_EVIDENCE_BAD_SELF, SL_EVIDENCE_BAD_MASK,
    SL_EVIDENCE_BAD_SELF_SKETCH, SL_EVIDENCE_BAD_PAIR_SKETCH
};

struct sl_evidence_context {
    const uint8_t *network_id;
    uint32_t (*dim)(void *context, uint64_t epoch);          /* coordinates that the network exchanges in that epoch */
    void *context;
    uint32_t ring_bits;
    uint32_t rows;                       /* that an AUDIT must have */
};

/* SL_OK and the id of the proven liar; else the error of the first thing that does not hold, and nobody is to blame.
 * SL_ERROR_MALFORMED, _MISMATCH, _BAD_SIGNATURE, _OUT_OF_RANGE. Costs at most three signature checks, one roster and one sketch; cheap questions first. */
int sl_evidence_verify(const struct sl_evidence_context *context, const struct sl_evidence *evidence, uint8_t accused_id[32]);

/* "signed two different messages of one step", ...; NULL for an unknown kind. */
const char *sl_evidence_text(uint32_t kind);

#endif
