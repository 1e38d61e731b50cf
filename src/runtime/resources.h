/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_RESOURCES_H
#define SL_RUNTIME_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the process uses of its machine, and how it makes sure to get what it needs. */
struct sl_resources {
    uint64_t cpu_us, rss_max_bytes;
    bool has_memory, has_files;              /* false where there is no /proc */
    uint64_t rss_bytes, open_files;
    uint64_t files_max;
};

uint64_t sl_cpu_us(void);

void sl_resources_read(struct sl_resources *out);

/* Every link takes descriptors, and running out of them makes libzmq spin. SL_ERROR_OUT_OF_RANGE with a sentence that names the remedy. */
int sl_resources_reserve_files(uint32_t link_max, char *why, size_t why_size);

/* Tells a supervisor that asks for it (systemd, Type=notify) "READY=1" or "STOPPING=1": a datagram to $NOTIFY_SOCKET, nothing without it. */
void sl_notify(const char *state);

#endif
