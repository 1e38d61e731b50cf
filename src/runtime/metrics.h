/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_METRICS_H
#define SL_RUNTIME_METRICS_H

#include <stdio.h>

#include "runtime/glance.h"

/*
 * The node in numbers for Prometheus and its like: GET /metrics in OpenMetrics text, GET /health as 200 or 503. libmicrohttpd works without threads of its
 * own: the loop polls one descriptor and gives it its turn, so that the node is looked at between two steps only.
 */
struct sl_metrics;

struct sl_metrics_sink {
    void *context;
    void (*look)(void *context, struct sl_glance *out);
};

/* Listens at a numeric address and port. SL_ERROR_BAD_ARGUMENT, SL_ERROR_EXISTS (the port is taken), SL_ERROR_IO, with a sentence in `why`. */
int sl_metrics_new(const char *address, const struct sl_metrics_sink *sink, struct sl_metrics **out, char *why, size_t why_size);

/* Readable when there is something to do. */
int sl_metrics_descriptor(const struct sl_metrics *metrics);

/* Serves what waits, never blocks; to be called once a second at least, for silent connections to end. */
void sl_metrics_turn(struct sl_metrics *metrics);

void sl_metrics_destroy(struct sl_metrics **metrics);

/* The text of one scrape. */
void sl_metrics_write(FILE *file, const struct sl_glance *glance);

#endif
