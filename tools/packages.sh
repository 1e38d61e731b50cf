#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing of the Debian packages that are named, and says so. Words: `build` (to compile), `tests` (to compile and test), or a package.
# Where there is no dpkg it says nothing and does nothing: meson then names what it misses.
set -eu

build="build-essential pkg-config meson ninja-build python3 libzmq3-dev libczmq-dev libsodium-dev libmsgpack-dev \
liblapacke-dev libopenblas-dev zlib1g-dev libjansson-dev libmicrohttpd-dev"
tests="$build clang libcriterion-dev git"

if [ $# -eq 0 ] || [ "$1" = --help ]; then
    printf 'usage: tools/packages.sh build | tests | PACKAGE ...\n\n'
    printf 'Installs what is missing of these Debian packages.\n  build: %s\n  tests: %s\n\n' "$build" "$tests"
    printf 'example:\n  tools/packages.sh build dataset-fashion-mnist\n'
    exit 0
fi
command -v dpkg-query >/dev/null 2>&1 || exit 0

missing=
for word in "$@"; do
    case $word in
    build) packages=$build ;;
    tests) packages=$tests ;;
    *) packages=$word ;;
    esac
    for package in $packages; do
        case " $missing " in *" $package "*) continue ;; esac
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        printf 'packages: missing:%s\nrun as root: apt-get update && apt-get install%s\n' "$missing" "$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
printf 'packages: installing%s\n' "$missing" >&2
export DEBIAN_FRONTEND=noninteractive
{
    $as_root apt-get -q update &&
        # shellcheck disable=SC2086  # a list of words
        $as_root apt-get -q -y --no-install-recommends install $missing
} >&2 || {
    printf 'packages: could not install:%s\n' "$missing" >&2
    exit 1
}
