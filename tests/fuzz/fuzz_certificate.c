/* SPDX-License-Identifier: MIT */
/* Admission certificates from strangers: only the issued one admits, and only until its expiry. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "samples.h"
#include "wire/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t operator_key[32], operator_secret[64], issued[SL_PEER_CERTIFICATE_MAX];
    sample_keys(operator_key, operator_secret);
    size_t issued_size = sl_certificate_issue(sample_network, operator_secret, operator_secret, sample_from, 1000, issued);

    int error = sl_certificate_verify(data, size, sample_network, operator_key, sample_from, 1000);
    assert(error == SL_OK || error == SL_ERROR_MALFORMED || error == SL_ERROR_BAD_CERTIFICATE);

    bool is_issued = size == issued_size && memcmp(data, issued, size) == 0;
    assert((error == SL_OK) == is_issued);
    if (is_issued) assert(sl_certificate_verify(data, size, sample_network, operator_key, sample_from, 1001) == SL_ERROR_BAD_CERTIFICATE);
    return 0;
}
