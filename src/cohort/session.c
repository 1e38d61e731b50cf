/* SPDX-License-Identifier: MIT */
#include "cohort/session.h"
