/* journal.c - an append-only file of JSON lines, each with a checksum.
 * SPDX-License-Identifier: MIT */
#include "journal.h"
#include "../base/hash.h"

#define JOURNAL_LINE ((mango_idx)1 << 30) /* bytes of a line at most */
#define JOURNAL_WINDOW 65536
#define JOURNAL_TAIL 18 /* ,"crc":"XXXXXXXX"} */
#define JOURNAL_FIRST "{\"mango\":\"journal\","

static int journal_nibble(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is p[0..n) (no newline) a whole line that continues the chain? */
static int journal_check(const unsigned char *p, mango_idx n, uint32_t *crc)
{
    uint32_t v = 0;
    if (n < JOURNAL_TAIL || memcmp(p + n - JOURNAL_TAIL, ",\"crc\":\"", 8) != 0 ||
        memcmp(p + n - 2, "\"}", 2) != 0)
        return 0;
    for (mango_idx i = n - 10; i < n - 2; i++) {
        const int h = journal_nibble(p[i]);
        if (h < 0)
            return 0;
        v = v << 4 | (uint32_t)h;
    }
    if (mgi_crc32(*crc, p, n - JOURNAL_TAIL) != v)
        return 0;
    *crc = v;
    return 1;
}

/* More of the file behind what the window has: the window moves on to the next line,
 * and grows when that fills it. *more 0: the end. */
static mango_status journal_read(mgi_journal *j, mango_idx *more, mango_err *err)
{
    j->have -= j->at;
    memmove(j->text, j->text + j->at, (size_t)j->have);
    j->at = 0;
    if (j->have == j->cap) {
        if (j->cap >= JOURNAL_LINE)
            return mgi_fail(err, MANGO_E_LIMIT, "%.150s, line %td: longer than 2^30 bytes",
                            j->path.p, j->line + 1);
        unsigned char *p = mgi_resize(&j->al, j->text, j->cap, 2 * j->cap, 1);
        if (!p)
            return mgi_fail(err, MANGO_E_MEM, "%.150s, line %td: out of memory", j->path.p,
                            j->line + 1);
        j->text = p;
        j->cap *= 2;
    }
    MGI_TRY(mgi_applog_read(&j->log, j->cap - j->have, j->text + j->have, more, err));
    j->have += *more;
    return MANGO_OK;
}

/* Bytes of the next line with its newline; 0 when the file ends before one. */
static mango_status journal_find(mgi_journal *j, mango_idx *length, mango_err *err)
{
    const unsigned char *end = NULL;
    mango_idx from = 0, more = 1;
    *length = 0;
    while (more > 0) {
        const mango_idx rest = j->have - j->at;
        end = memchr(j->text + j->at + from, '\n', (size_t)(rest - from));
        if (end) {
            *length = end + 1 - (j->text + j->at);
            return MANGO_OK;
        }
        from = rest;
        MGI_TRY(journal_read(j, &more, err));
    }
    return MANGO_OK;
}

/* The next line is not good: damage, unless nothing follows it. */
static mango_status journal_broken(mgi_journal *j, mango_idx length, mango_err *err)
{
    mango_idx more = j->have - j->at - length;
    if (length > 0 && more == 0)
        MGI_TRY(journal_read(j, &more, err));
    if (length > 0 && more > 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%.150s, line %td: damaged, checksum expected", j->path.p,
                        j->line + 1);
    j->torn = j->have > j->at;
    return MANGO_OK;
}

/* Find and check the line after the last one taken. */
static mango_status journal_peek(mgi_journal *j, mango_err *err)
{
    const mango_idx first = (mango_idx)strlen(JOURNAL_FIRST);
    mango_idx n;
    j->at += j->length;
    j->length = 0;
    MGI_TRY(journal_find(j, &n, err));
    const unsigned char *p = j->text + j->at;
    if (j->line == 0 && memcmp(p, JOURNAL_FIRST, (size_t)MGI_MIN(j->have - j->at, first)) != 0)
        return mgi_fail(err, MANGO_E_FORMAT, "%.150s: is not a journal", j->path.p);
    if (n == 0 || !journal_check(p, n - 1, &j->crc))
        return journal_broken(j, n, err);
    j->length = n;
    j->good += n;
    return MANGO_OK;
}

/* Does the file end with the line that was just found? */
static mango_status journal_alone(mgi_journal *j, int *alone, mango_err *err)
{
    mango_idx more = j->have - j->at - j->length;
    if (j->length > 0 && more == 0)
        MGI_TRY(journal_read(j, &more, err));
    *alone = j->length > 0 && more == 0;
    return MANGO_OK;
}

mango_status mgi_journal_open(mgi_journal *j, const char *path, int resume, int sync,
                              const mango_alloc *al, mango_err *err)
{
    memset(j, 0, sizeof *j);
    j->al = mgi_alloc_get(al);
    j->sync = sync;
    mgi_str_init(&j->path, al);
    mgi_str_puts(&j->path, path);
    if (j->path.bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory");
    MGI_TRY(mgi_applog_open(&j->log, path, 0, err));
    if (!j->log.f)
        return MANGO_OK;
    j->text = mgi_new(&j->al, JOURNAL_WINDOW, 1);
    if (!j->text)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory");
    j->cap = JOURNAL_WINDOW;
    const mango_status st = journal_peek(j, err);
    if (resume || j->have == 0)
        return st;
    int alone = 0;
    MGI_TRY(journal_alone(j, &alone, err));
    return alone ? MANGO_OK
                 : mgi_fail(err, MANGO_E_STATE,
                            "%.150s: exists; resume it or choose another place", path);
}

int mgi_journal_more(const mgi_journal *j)
{
    return j->length > 0 || j->bad < 0;
}

int mgi_journal_is(const mgi_journal *j, const char *kind)
{
    char head[32];
    if (j->length == 0)
        return 0;
    head[0] = '{', head[1] = '"';
    if (!mgi_copy(head + 2, 24, kind))
        return 0;
    const mango_idx n = (mango_idx)strlen(head);
    const unsigned char *p = j->text + j->at;
    return n < j->length - 1 && memcmp(p, head, (size_t)n) == 0 && p[n] == '"';
}

mango_status mgi_journal_next(mgi_journal *j, const char *kind, mgi_json *line,
                              mango_err *err)
{
    if (j->bad < 0)
        return mgi_fail(err, j->bad, "%s", j->why.text);
    j->line++;
    if (!mgi_journal_is(j, kind))
        return mgi_fail(err, MANGO_E_FORMAT, "%.150s, line %td: \"%s\" expected", j->path.p,
                        j->line, kind);
    mango_err why = {""};
    const mango_status st =
        mgi_json_parse(line, (const char *)j->text + j->at, j->length - 1, &j->al, &why);
    if (st < 0)
        return mgi_fail(err, st, "%.100s, line %td: %.100s", j->path.p, j->line, why.text);
    j->bad = journal_peek(j, &j->why); /* told with the line that it concerns */
    return MANGO_OK;
}

static void journal_forget(mgi_journal *j)
{
    mgi_del(&j->al, j->text, j->cap, 1);
    j->text = NULL;
    j->cap = j->have = j->at = j->length = 0;
}

mango_status mgi_journal_append(mgi_journal *j, mango_err *err)
{
    journal_forget(j);
    if (!j->log.f)
        return mgi_applog_open(&j->log, j->path.p, 1, err);
    return j->torn ? mgi_applog_cut(&j->log, j->good, err) : MANGO_OK;
}

mango_status mgi_journal_write(mgi_journal *j, mgi_str *body, int now, mango_err *err)
{
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    const uint32_t crc = mgi_crc32(j->crc, body->p, body->n);
    mgi_str_printf(body, ",\"crc\":\"%08lx\"}\n", (unsigned long)crc);
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    if (body->n > JOURNAL_LINE)
        return mgi_fail(err, MANGO_E_LIMIT, "%.150s: a line would be longer than 2^30 bytes",
                        j->path.p);
    const time_t second = j->sync == 2 ? time(NULL) : 0;
    const int sync = now && (j->sync == 1 || (j->sync == 2 && second != j->synced));
    MGI_TRY(mgi_applog_append(&j->log, body->p, body->n, sync, err));
    j->due = j->sync && !sync;
    j->synced = sync ? second : j->synced;
    j->crc = crc;
    return MANGO_OK;
}

void mgi_journal_close(mgi_journal *j)
{
    if (j->log.f && j->due)
        (void)mgi_applog_append(&j->log, "", 0, 1, NULL);
    mgi_applog_close(&j->log);
    journal_forget(j);
    mgi_str_free(&j->path);
}

void mgi_journal_drop(mgi_journal *j)
{
    if (j->log.f)
        mgi_applog_drop(&j->log, j->path.p);
    mgi_journal_close(j);
}

#undef JOURNAL_LINE
#undef JOURNAL_WINDOW
#undef JOURNAL_TAIL
#undef JOURNAL_FIRST
