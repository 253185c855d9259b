/* status.c - the text of status codes, and the message of a failing call.
 * SPDX-License-Identifier: MIT */
#include "mgi.h"
#include <stdio.h>

#define STATUS_LINE 5000 /* longest message before it is cut: a path and more */

int mango_version_number(void)
{
    return MANGO_VERSION_NUMBER;
}

const char *mango_status_text(mango_status st)
{
    switch (st) {
    case MANGO_OK: return "done";
    case MANGO_E_ARG: return "an argument is out of its documented range";
    case MANGO_E_MEM: return "out of memory";
    case MANGO_E_IO: return "a file could not be opened, read or written";
    case MANGO_E_FORMAT: return "the input is malformed";
    case MANGO_E_LIMIT: return "the input exceeds a limit";
    case MANGO_E_SHAPE: return "sizes do not fit together";
    case MANGO_E_NAME: return "no such name";
    case MANGO_E_STATE: return "called in the wrong order";
    case MANGO_E_NONFINITE: return "a number is NaN or infinite";
    case MANGO_E_CALLBACK: return "a callback reported failure";
    case MANGO_E_UNSUPPORTED: return "not provided by this build";
    case MANGO_E_SYSTEM: return "the system failed: disk full, I/O error, no descriptors left";
    case MANGO_STOP_BUDGET: return "stopped: the budget is spent";
    case MANGO_STOP_TARGET: return "stopped: the wanted value was reached";
    case MANGO_STOP_SPACE: return "stopped: every code was tried";
    case MANGO_STOP_USER: return "stopped: the caller asked to";
    case MANGO_STOP_STAGNATION: return "stopped: no improvement for as long as was allowed";
    case MANGO_STOP_TIME: return "stopped: the time is up";
    }
    return "unknown status";
}

mango_status mgi_fail(mango_err *err, mango_status st, const char *fmt, ...)
{
    if (!err)
        return st;
    /* Formatted aside: an argument may be err->text itself. */
    char line[STATUS_LINE] = "";
    const size_t room = sizeof err->text, tail = room - room / 4 - 4;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0)
        line[0] = '\0';
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    const size_t len = strlen(line);
    if (len >= room) { /* a long path: its middle goes, the reason stays */
        memcpy(line + room / 4, "...", 3);
        memmove(line + room / 4 + 3, line + len - tail, tail + 1);
    }
    memcpy(err->text, line, room);
    return st;
}

#undef STATUS_LINE
