/* SPDX-License-Identifier: MIT */
#include "privacy/shamir.h"
