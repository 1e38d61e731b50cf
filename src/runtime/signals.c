/* SPDX-License-Identifier: MIT */
#include "runtime/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "runtime/files.h"
#include "starling/error.h"

/* The pipe that the signal handler writes to. It is a global because a handler has no argument, and a handler because libraries start threads before
 * main() that block no signals: a signal that is only blocked here would end the process in one of those. */
static volatile sig_atomic_t wake_read = -1, wake_write = -1;

static const int asking[] = {SIGINT, SIGTERM, SIGHUP};

enum { ASKING_SIGNALS = sizeof asking / sizeof asking[0] };

static void on_signal(int number)
{
    (void)number;
    int kept = errno;
    ssize_t ignored = write(wake_write, "", 1);              /* a full pipe has woken the loop already */
    (void)ignored;
    errno = kept;
}

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void set_handlers(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (uint32_t i = 0; i < ASKING_SIGNALS; i++)
        if (asking[i] != SIGHUP || !is_ignored(SIGHUP)) sigaction(asking[i], &action, NULL);
}

int sl_signals_open(int *out_descriptor, char *why, size_t why_size)
{
    int ends[2];
    if (pipe(ends) != 0) return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot watch for signals (%s)", strerror(errno));

    for (uint32_t i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
    wake_read = ends[0];
    wake_write = ends[1];
    set_handlers(on_signal);

    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    *out_descriptor = ends[0];
    return SL_OK;
}

bool sl_signals_taken(void)
{
    char bytes[16];
    return read(wake_read, bytes, sizeof bytes) > 0;
}

void sl_signals_hold_back(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    for (uint32_t i = 0; i < ASKING_SIGNALS; i++) sigaddset(&signals, asking[i]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

void sl_signals_close(void)
{
    if (wake_read < 0) return;

    int ends[] = {wake_read, wake_write};
    set_handlers(SIG_DFL);
    wake_read = wake_write = -1;
    close(ends[0]);
    close(ends[1]);
}
