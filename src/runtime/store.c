/* SPDX-License-Identifier: MIT */
#include "runtime/store.h"

#include <assert.h>
#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "runtime/files.h"
#include "runtime/ledger_file.h"
#include "starling/error.h"

enum { MAGIC_SIZE = 8, HEAD_SIZE = MAGIC_SIZE + 32 };

/* What is kept as a file, and how its bytes are marked: no file can be taken for the other. */
struct kind {
    enum sl_store_type type;
    const char *name, *previous, *magic, *label;
};

static const struct kind kinds[] = {
    {SL_STORE_PUT_STATE, "state", "state.bak", "SLSTATE1", "state file"},
    {SL_STORE_PUT_BOOK, "book", "book.bak", "SLBOOK_1", "book file"},
};

struct sl_storer {
    zactor_t *thread;
    const char *folder;
    struct sl_ledger_file *ledger;
};

/* What travels to the thread, followed by the bytes. */
struct order { uint64_t ticket; enum sl_store_type type; };

static const struct kind *kind_of(enum sl_store_type type)
{
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].type == type) return &kinds[i];
    return NULL;
}

static int carry_out(const struct sl_storer *storer, enum sl_store_type type, const uint8_t *data, size_t size)
{
    struct sl_ledger_file *ledger = storer->ledger;
    if (ledger && type == SL_STORE_APPEND_LEDGER) return sl_ledger_file_append(ledger, data, size);

    bool comes_too_early = ledger && ledger->size == 0 && type == SL_STORE_PUT_STATE;
    return comes_too_early ? SL_ERROR_IO : sl_store_carry_out(storer->folder, type, data, size);
}

static struct sl_receipt carry_out_frame(const struct sl_storer *storer, const uint8_t *frame, size_t size)
{
    struct order order;
    assert(size >= sizeof order);
    memcpy(&order, frame, sizeof order);
    int error = carry_out(storer, order.type, frame + sizeof order, size - sizeof order);
    return (struct sl_receipt){.ticket = order.ticket, .type = order.type, .error = error};
}

/* The pipe brings orders; anything shorter is zactor's "$TERM", which stands behind all orders. */
static void run(zsock_t *pipe, void *argument)
{
    struct sl_storer *storer = argument;
    void *socket = zsock_resolve(pipe);
    zsock_signal(pipe, 0);

    for (;;) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        int size = zmq_msg_recv(&message, socket, 0);
        if (size < 0 && errno == EINTR) continue;

        bool is_order = size >= (int)sizeof(struct order);
        if (is_order) {
            struct sl_receipt receipt = carry_out_frame(storer, zmq_msg_data(&message), (size_t)size);
            zmq_send(socket, &receipt, sizeof receipt, 0);
        }
        zmq_msg_close(&message);
        if (!is_order) return;
    }
}

static bool is_whole(const struct kind *kind, const uint8_t *file, size_t size)
{
    if (size < HEAD_SIZE || memcmp(file, kind->magic, MAGIC_SIZE) != 0) return false;

    uint8_t checksum[32];
    sl_hash_once(kind->label, file + HEAD_SIZE, size - HEAD_SIZE, checksum);
    return sl_hash_equal(checksum, file + MAGIC_SIZE);
}

/* SL_ERROR_NOT_FOUND, SL_ERROR_FORMAT (damaged), or what sl_file_read() says. */
static int read_whole(const struct kind *kind, const char *path, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    uint8_t *file;
    size_t size;
    int error = sl_file_read(path, SL_STATE_SIZE_MAX + HEAD_SIZE, &file, &size, why, why_size);
    if (error != SL_OK) return error;

    if (!is_whole(kind, file, size)) {
        free(file);
        return SL_ERROR_FORMAT;
    }
    memmove(file, file + HEAD_SIZE, size - HEAD_SIZE);
    *out = file;
    *out_size = size - HEAD_SIZE;
    return SL_OK;
}

static int put_marked(const char *folder, const struct kind *kind, const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(HEAD_SIZE + size);
    if (!file) return SL_ERROR_IO;

    memcpy(file, kind->magic, MAGIC_SIZE);
    sl_hash_once(kind->label, data, size, file + MAGIC_SIZE);
    if (size > 0) memcpy(file + HEAD_SIZE, data, size);
    int error = sl_file_put(folder, kind->name, file, HEAD_SIZE + size, 0600, true);
    free(file);
    return error;
}

int sl_store_carry_out(const char *folder, enum sl_store_type type, const uint8_t *data, size_t size)
{
    const struct kind *kind = kind_of(type);
    if (!kind && type != SL_STORE_PUT_RELEASE) return SL_ERROR_UNSUPPORTED;
    if (size > SL_STATE_SIZE_MAX) return SL_ERROR_NO_SPACE;

    int error = kind ? put_marked(folder, kind, data, size) : sl_file_put(folder, SL_RELEASE_NAME, data, size, 0600, false);
    return error == SL_ERROR_TOO_LARGE ? SL_ERROR_IO : error;
}

static int read_either(const char *folder, enum sl_store_type type, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    const struct kind *kind = kind_of(type);
    assert(kind);
    const char *const names[] = {kind->name, kind->previous};
    bool found_damaged = false;
    for (uint32_t i = 0; i < 2; i++) {
        char path[SL_PATH_SIZE];
        if (sl_path_join(folder, names[i], path) != SL_OK) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: the path is too long", folder);

        int error = read_whole(kind, path, out, out_size, why, why_size);
        if (error == SL_OK) return SL_OK;
        if (error != SL_ERROR_NOT_FOUND && error != SL_ERROR_FORMAT) return error;
        found_damaged = found_damaged || error == SL_ERROR_FORMAT;
    }
    if (found_damaged)
        return SL_FAIL(SL_ERROR_FORMAT, why, why_size,
                       "%s: %s and %s are damaged; restore them from a copy, or remove both and the node starts without (from the genesis model)", folder,
                       kind->name, kind->previous);

    *out = NULL;
    *out_size = 0;
    return SL_OK;
}

int sl_store_read_state(const char *folder, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    return read_either(folder, SL_STORE_PUT_STATE, out, out_size, why, why_size);
}

int sl_store_read_book(const char *folder, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    return read_either(folder, SL_STORE_PUT_BOOK, out, out_size, why, why_size);
}

const char *sl_store_name(enum sl_store_type type)
{
    const struct kind *kind = kind_of(type);
    if (kind) return kind->name;
    return type == SL_STORE_PUT_RELEASE ? SL_RELEASE_NAME : SL_LEDGER_NAME;
}

struct sl_storer *sl_storer_new(const char *folder, struct sl_ledger_file *ledger)
{
    struct sl_storer *storer = malloc(sizeof *storer);
    if (!storer) return NULL;

    storer->folder = folder;
    storer->ledger = ledger;
    storer->thread = zactor_new(run, storer);
    if (storer->thread) return storer;

    free(storer);
    return NULL;
}

int sl_storer_submit(struct sl_storer *storer, const struct sl_store *store)
{
    struct order order = {store->ticket, store->type};
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, sizeof order + store->size) != 0) return SL_ERROR_NO_MEMORY;

    uint8_t *bytes = zmq_msg_data(&message);
    memcpy(bytes, &order, sizeof order);
    if (store->size > 0) memcpy(bytes + sizeof order, store->data, store->size);
    if (zmq_msg_send(&message, sl_storer_socket(storer), ZMQ_DONTWAIT) >= 0) return SL_OK;

    zmq_msg_close(&message);
    return SL_ERROR_NO_MEMORY;
}

void *sl_storer_socket(struct sl_storer *storer)
{
    return zsock_resolve(storer->thread);
}

bool sl_storer_take(struct sl_storer *storer, struct sl_receipt *out)
{
    return zmq_recv(sl_storer_socket(storer), out, sizeof *out, ZMQ_DONTWAIT) == sizeof *out;
}

void sl_storer_destroy(struct sl_storer **storer)
{
    if (!*storer) return;

    zactor_destroy(&(*storer)->thread);
    free(*storer);
    *storer = NULL;
}
