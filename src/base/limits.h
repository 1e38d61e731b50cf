/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_LIMITS_H
#define SL_BASE_LIMITS_H

/* Every fixed limit, with its reason. What small devices want smaller is an option (include/starling/options.def). */
enum {
    SL_SIGNATURE_SIZE = 64,              /* Ed25519 */

    SL_MESSAGE_MAX = 73728,              /* one frame on the wire: a 64 KiB chunk, its path and the envelope */
    SL_CHUNK_ELEMENTS = 16384,           /* ring elements in a chunk: 64 KiB at 32 bits */
    SL_CHUNKS_MAX = 64,                  /* chunks of a vector: blocks of up to 2^20 coordinates */
    SL_MERKLE_DEPTH_MAX = 6,             /* log2 of the line above */

    SL_COHORT_MAX = 64,                  /* members of a cohort, any unit of privacy */
    SL_CANDIDATES_MAX = 64,              /* candidates in a PROPOSE: 2c for c up to 32, and a bit of a word for each of them */
    SL_ADDRESS_MAX = 48,                 /* "[ipv6]:port" with its terminating zero */
    SL_SKETCH_ROWS_MAX = 32,             /* rows of an audit's sketch */
    SL_AUDIT_ROWS = 8,                   /* of an audit with unit off or node: each row tells members one number about a vector, so few */
    SL_AUDIT_DIM_MIN = 4096,             /* smaller blocks are not audited: even 8 numbers would tell too much of them */
    SL_CERTIFICATE_MAX = 512,            /* encoded admission certificate: a guest's holds its host's */
    SL_ADVERTS_MAX = 16,                 /* ADVERTs in one VIEW */
    SL_ADVERT_TTL_MAX_S = 72 * 3600,     /* how long an ADVERT may be believed */

    SL_EPOCHS_KEPT = 3                   /* aggregates are served for this many epochs */
};

#endif
