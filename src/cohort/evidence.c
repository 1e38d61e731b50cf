/* SPDX-License-Identifier: MIT */
#include "cohort/evidence.h"
