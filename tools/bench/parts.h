/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

#include <stdbool.h>

/*
 * Where the time of a member goes: the linker puts a clock around the functions that do the work (-Wl,--wrap, tools/meson.build), so that nothing of it is in
 * the product.
 */
enum part { PART_KEYS, PART_MASKS, PART_SKETCHES, PART_HASHES, PART_SIGNING, PART_CHECKING, PART_CODING, PARTS };

void parts_begin(bool with_clocks);      /* from zero; clocks cost time themselves */
double parts_ns(enum part part);

#endif
