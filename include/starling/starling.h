/* SPDX-License-Identifier: MIT */
#ifndef STARLING_H
#define STARLING_H

#include "starling/aggregator.h"
#include "starling/arena.h"
#include "starling/config.h"
#include "starling/error.h"
#include "starling/event.h"
#include "starling/identity.h"
#include "starling/model.h"
#include "starling/node.h"
#include "starling/status.h"
#include "starling/trace.h"
#include "starling/trainer.h"

#endif
