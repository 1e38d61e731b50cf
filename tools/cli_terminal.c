/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE                  /* struct winsize and SIGWINCH outside glibc */
#include "cli_terminal.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Globals, because a signal handler has no argument: what the terminal was before, whether it is taken, and which signals came. */
static struct termios before;
static volatile sig_atomic_t is_taken, must_end, must_sleep;

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT}, fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static const char take_screen[] = "\033[?1049h\033[?25l\033[H\033[J", give_screen[] = "\033[?25h\033[?1049l";

static void write_all(const char *text, size_t size)
{
    ssize_t ignored = write(STDOUT_FILENO, text, size);      /* a terminal that is gone needs no restoring */
    (void)ignored;
}

uint32_t cli_terminal_columns(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

uint32_t cli_terminal_rows(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

bool cli_terminal_has_color(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

/* Only calls that are allowed in a signal handler. */
static void restore(void)
{
    if (!is_taken) return;
    is_taken = 0;
    write_all(give_screen, sizeof give_screen - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_ending(int number)
{
    (void)number;
    must_end = 1;
}

static void on_sleep(int number)
{
    (void)number;
    must_sleep = 1;
}

static void on_resize(int number)
{
    (void)number;                        /* it ends the wait for a key, and that is all it has to do */
}

/* The default action follows when the handler returns. */
static void on_fatal(int number)
{
    restore();
    raise(number);
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void take(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    is_taken = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_all(take_screen, sizeof take_screen - 1);
}

bool cli_terminal_enter(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) return false;

    for (uint32_t i = 0; i < sizeof ending / sizeof ending[0]; i++) handle(ending[i], on_ending, 0);
    for (uint32_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) handle(fatal[i], on_fatal, (int)SA_RESETHAND);
    handle(SIGTSTP, on_sleep, 0);
    handle(SIGWINCH, on_resize, 0);
    atexit(restore);
    take();
    return true;
}

void cli_terminal_leave(void)
{
    restore();
}

bool cli_terminal_must_end(void)
{
    return must_end;
}

bool cli_terminal_sleep_if_asked(void)
{
    if (!must_sleep) return false;

    must_sleep = 0;
    restore();
    raise(SIGSTOP);
    take();
    return true;
}

int cli_terminal_key(double seconds)
{
    char key;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int n = poll(&input, 1, (int)lround(seconds * 1000));
    if (n <= 0) return 0;
    if (input.revents & POLLIN && read(STDIN_FILENO, &key, 1) == 1) return (unsigned char)key;
    must_end = 1;                        /* the terminal is gone */
    return 0;
}
