/* journal.h - an append-only file of JSON lines, each with a checksum.
 *
 * A line is one JSON object whose last member is "crc":"XXXXXXXX", the CRC-32
 * of everything before that member's comma, going on from the line before: a
 * line that is changed, missing or out of place breaks the chain.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_JOURNAL_H
#define MGI_JOURNAL_H

#include "../base/json.h"
#include <time.h>

typedef struct mgi_journal {
    mango_alloc al;
    mgi_str path;
    mgi_applog log;          /* open from the start when it exists; locked */
    int sync;                /* 1: to the disk with each line; 2: once a second; 0: never */
    int due;                 /* lines wait for the disk */
    time_t synced;           /* when they last went there */
    uint32_t crc;            /* of the chain so far */
    /* reading: a window of the file, in which the next line lies whole */
    unsigned char *text;     /* (cap) */
    mango_idx cap, have, at; /* bytes of it read; where the next line begins */
    mango_idx length;        /* of the next line, with its newline; 0: none */
    int64_t good;            /* bytes of the file up to the end of the next line */
    mango_idx line;          /* lines taken */
    int torn;                /* the file ends in an unfinished line */
    mango_status bad;        /* the next line is damaged: why */
    mango_err why;
} mgi_journal;

/* mgi_journal_open - find and lock the file. `resume` 0: it must be absent,
 * empty, or hold no more than one line, its header. It is read line by line, in a
 * window as large as its longest line. Damage in the last line is cut off (later, by
 * mgi_journal_append); before it mgi_journal_next tells MANGO_E_FORMAT with the line's
 * number. MANGO_E_STATE when another process has it open: a journal has one writer. */
MGI_FN mango_status mgi_journal_open(mgi_journal *j, const char *path, int resume, int sync,
                                     const mango_alloc *al, mango_err *err);
/* Is there another line, or damage that mgi_journal_next tells? */
MGI_FN int mgi_journal_more(const mgi_journal *j);
/* The next line, parsed; it must have the member `kind`. Free with mgi_json_free. */
MGI_FN mango_status mgi_journal_next(mgi_journal *j, const char *kind, mgi_json *line,
                                     mango_err *err);
/* Does the next line have the member `kind`? */
MGI_FN int mgi_journal_is(const mgi_journal *j, const char *kind);
/* mgi_journal_append - done reading: cut the tail, open for writing. */
MGI_FN mango_status mgi_journal_append(mgi_journal *j, mango_err *err);
/* mgi_journal_write - body is an object without its closing brace. now: to the
 * disk when sync is 1, or 2 and the last time was in an earlier second; else it
 * follows with the next such line, or when the journal is closed. */
MGI_FN mango_status mgi_journal_write(mgi_journal *j, mgi_str *body, int now,
                                      mango_err *err);
MGI_FN void mgi_journal_close(mgi_journal *j);
/* Close, and remove the file if it is of this journal's own making. */
MGI_FN void mgi_journal_drop(mgi_journal *j);

#endif
