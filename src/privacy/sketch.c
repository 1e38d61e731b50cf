/* SPDX-License-Identifier: MIT */
#include "privacy/sketch.h"
