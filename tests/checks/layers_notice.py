# SPDX-License-Identifier: MIT
"""Does layers.py notice? Puts forbidden includes into a scratch copy of the sources and demands one new violation for each.

usage: layers_notice.py ROOT
"""
import pathlib
import shutil
import sys
import tempfile

import layers

# (file, line put into it, part of the violation)
FORBIDDEN = [
    ('src/base/probe.c', '#include "config/options.h"', 'base (layer 0) may not include config (layer 2)'),
    ('src/wire/probe.c', '#include "share/merkle.h"', 'wire (layer 1) may not include share (layer 1)'),
    ('src/config/probe.c', '#include "data/dataset.h"', 'config (layer 2) may not include data (layer 2)'),
    ('src/core/probe.c', '#include "sim/sim.h"', 'core (layer 3) may not include sim (layer 4)'),
    ('src/core/probe.h', '  #  include "train/sgd.h"', 'core (layer 3) may not include train (layer 3)'),
    ('src/sim/probe.c', '#include "runtime/runtime.h"', 'sim (layer 4) may not include runtime (layer 4)'),
    ('src/core/probe.c', '#include <czmq.h>', 'may be seen only by: main.c, programs, runtime'),
    ('src/sim/probe.c', '#include <zmq.h>', 'may be seen only by: main.c, programs, runtime'),
    ('src/config/probe.c', '#include <jansson.h>', 'may be seen only by: programs, runtime'),
    ('tools/probe.c', '#include <microhttpd.h>', 'may be seen only by: runtime'),
    ('src/train/probe.c', '#include <cblas.h>', 'may be seen only by: learn'),
    ('src/base/probe.c', '#include <lapacke.h>', 'may be seen only by: learn'),
    ('src/core/probe.c', '#include <msgpack.h>', 'may be seen only by: wire'),
    ('src/core/probe.c', '#include <msgpack/pack.h>', 'may be seen only by: wire'),
    ('src/config/probe.c', '#include <zlib.h>', 'may be seen only by: data'),
    ('src/core/probe.c', '#include <sodium.h>', '<sodium.h> may be seen only by'),
    ('src/config/probe.c', '#include "sodium.h"', '<sodium.h> may be seen only by'),
    ('src/core/probe.c', '#include <time.h>', 'reads no clock'),
    ('src/overlay/probe.c', '#include <sys/socket.h>', 'does no input or output'),
    ('src/share/probe.c', '#include <stdio.h>', 'does no input or output'),
    ('include/starling/probe.h', '#include <sodium.h>', 'not of the C standard library'),
    ('include/starling/probe.h', '#include <unistd.h>', 'not of the C standard library'),
    ('include/starling/probe.h', '#include "base/rng.h"', 'is not a public header'),
    ('src/core/probe.c', '#include "../base/rng.h"', 'without ..'),
    ('src/core/probe.c', '#include "strange/thing.h"', 'no such folder'),
    ('src/core/probe.c', '#include "starling/strange.h"', 'does not exist'),
    ('src/core/probe.c', '#include "strange.h"', 'does not stand beside'),
    ('src/core/probe.c', '#define X "base/rng.h"\n#include X', 'must name its file plainly'),
    ('src/strange/probe.c', '', 'has no layer'),
]

ALLOWED = [
    ('src/runtime/probe.c', '#include <czmq.h>\n#include "core/core.h"\n#include <time.h>\n#include "sodium.h"'),
    ('src/main.c', '#include <czmq.h>\n#include "runtime/runtime.h"\n'),
    ('src/learn/probe.c', '#include <cblas.h>\n#include "base/vec.h"\n#include "starling/model.h"'),
    ('src/data/probe.c', '#include <zlib.h>\n#include <stdio.h>\n#include <unistd.h>'),
    ('src/core/probe.c', '#include "wire/message.h"\n#include "config/options.h"\n#include <math.h>\n#include "starling/options.def"'),
    ('src/core/probe.c', '/* #include <czmq.h>\n#include "sim/sim.h"\n*/\n// #include <zlib.h>'),
    ('include/starling/probe.h', '#include <stdint.h>\n#include "starling/arena.h"\n#include "errors.def"'),
    ('tools/probe.c', '#include "sim/sim.h"\n#include <sodium.h>\n#include <time.h>\n#include <czmq.h>\n#include <jansson.h>'),
]


def new_violations(root, name, text):
    """What layers.py finds with `text` in the file that it did not find before."""
    before = set(layers.violations(root))
    path = root / name
    old = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + '\n')
    found = [line for line in layers.violations(root) if line not in before]
    path.unlink()
    if old is not None:
        path.write_bytes(old)
    elif not any(path.parent.iterdir()):
        path.parent.rmdir()
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch).resolve()
        for top in ('include', 'src', 'tools'):
            shutil.copytree(pathlib.Path(sys.argv[1]) / top, root / top)
        for name, text, part in FORBIDDEN:
            found = new_violations(root, name, text)
            if len(found) != 1 or part not in found[0] or not found[0].startswith(name):
                failures.append(f'{name} with {text!r}: wanted one violation with "{part}", got {found}')
        for name, text in ALLOWED:
            found = new_violations(root, name, text)
            if found:
                failures.append(f'{name} with {text!r}: is allowed, but got {found}')
    for line in failures:
        print(line)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
