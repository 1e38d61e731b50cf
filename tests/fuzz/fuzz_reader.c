/* SPDX-License-Identifier: MIT */
/* Any bytes, read by any sequence of calls; and what passes as one value must be the shortest msgpack of it. */
#include "fuzz.h"

#include <assert.h>
#include <msgpack.h>
#include <string.h>

#include "wire/reader.h"

enum { N_CALLS = 16 };

static void call(struct sl_reader *reader, uint8_t choice)
{
    const uint8_t *start;
    uint8_t copy[32];
    size_t size, limit = choice >> 3;
    switch (choice & 7) {
    case 0: assert(sl_read_array(reader, (uint32_t)limit) <= limit); break;
    case 1: sl_read_array_of(reader, (uint32_t)limit); break;
    case 2: assert(sl_read_uint(reader, limit << 8) <= limit << 8); break;
    case 3: sl_read_int(reader, -(int64_t)limit, (int64_t)limit << 32); break;
    case 4: if (sl_read_bin(reader, limit, &size)) assert(size <= limit); break;
    case 5: assert((sl_read_bin_of(reader, limit) == NULL) == (reader->error != SL_OK)); break;
    case 6: sl_read_copy(reader, copy, limit); break;
    case 7: sl_read_skip(reader, &start, &size); break;
    }
}

static void any_calls(const uint8_t *choices, const uint8_t *data, size_t size)
{
    struct sl_reader reader = sl_reader_over(data, size);
    for (int i = 0; i < N_CALLS; i++) {
        int error = reader.error;
        const uint8_t *at = reader.at;
        call(&reader, choices[i]);

        assert(reader.at >= at && reader.at <= reader.end);
        if (error) assert(reader.error == error && reader.at == at);
    }
}

/* msgpack-c reads the same value, and writes it with the same bytes. */
static void compare_with_oracle(const uint8_t *data, size_t size)
{
    msgpack_unpacked oracle;
    msgpack_unpacked_init(&oracle);
    size_t consumed = 0;
    msgpack_unpack_return result = msgpack_unpack_next(&oracle, (const char *)data, size, &consumed);
    assert(result == MSGPACK_UNPACK_SUCCESS && consumed == size);

    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_object(&packer, oracle.data);
    assert(buffer.size == size && memcmp(buffer.data, data, size) == 0);

    msgpack_sbuffer_destroy(&buffer);
    msgpack_unpacked_destroy(&oracle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *start;
    size_t length;
    struct sl_reader reader = sl_reader_over(data, size);
    sl_read_skip(&reader, &start, &length);
    if (sl_reader_finish(&reader) == SL_OK) compare_with_oracle(data, size);

    if (size >= N_CALLS) any_calls(data, data + N_CALLS, size - N_CALLS);
    return 0;
}
