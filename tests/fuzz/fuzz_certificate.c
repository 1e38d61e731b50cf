/* SPDX-License-Identifier: MIT */
/* Admission certificates from strangers: only the issued ones admit, and only until their expiry. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "samples.h"
#include "wire/certificate.h"

static bool is_issued(const uint8_t *data, size_t size, bool guest)
{
    uint8_t issued[SL_PEER_CERTIFICATE_MAX];
    size_t issued_size = sample_certificate(sample_from, guest, 1000, issued);
    return size == issued_size && memcmp(data, issued, size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_certificate said = {.flags = 7};
    uint32_t n_checks;
    int error = sl_certificate_verify(data, size, sample_admission(), sample_from, 1000, &said, &n_checks);
    assert(error == SL_OK || error == SL_ERROR_MALFORMED || error == SL_ERROR_BAD_CERTIFICATE);
    assert(n_checks <= 4);

    bool issued = is_issued(data, size, false) || is_issued(data, size, true);
    assert((error == SL_OK) == issued);
    assert(said.flags == (issued ? SL_INVITE_SINGLE_USE : 7));
    if (issued) assert(sl_certificate_verify(data, size, sample_admission(), sample_from, 1001, &said, &n_checks) == SL_ERROR_BAD_CERTIFICATE);
    return 0;
}
