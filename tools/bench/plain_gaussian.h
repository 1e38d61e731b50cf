/* SPDX-License-Identifier: MIT */
#ifndef SL_BENCH_PLAIN_GAUSSIAN_H
#define SL_BENCH_PLAIN_GAUSSIAN_H

#include "privacy/discrete_gaussian.h"

/* The discrete Gaussian as its authors sample it (Canonne, Kamath and Steinke 2020): slow, plain, and nothing in common with ours but the words. */
int64_t plain_gaussian(struct sl_noise *noise, uint64_t sigma2);

#endif
