/* journal.c - an append-only file of JSON lines, each with a checksum.
 * SPDX-License-Identifier: MIT */
#include "journal.h"
#include "../base/hash.h"

#define JOURNAL_LIMIT ((mango_idx)1 << 30)
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

/* Where does the good part end? A bad line is damage unless it is the last. */
static mango_status journal_scan(mgi_journal *j, mango_err *err)
{
    const mango_idx first = (mango_idx)strlen(JOURNAL_FIRST);
    mango_idx line = 1;
    while (j->good < j->size) {
        const unsigned char *p = j->text + j->good;
        const unsigned char *end = memchr(p, '\n', (size_t)(j->size - j->good));
        const mango_idx n = end ? end - p : j->size - j->good;
        if (line == 1 && memcmp(p, JOURNAL_FIRST, (size_t)MGI_MIN(n, first)) != 0)
            return mgi_fail(err, MANGO_E_FORMAT, "%.150s: is not a journal", j->path.p);
        if (end && journal_check(p, n, &j->crc)) {
            j->good += n + 1, line++;
            continue;
        }
        if (end && j->good + n + 1 < j->size)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%.150s, line %td: damaged, checksum expected", j->path.p,
                            line);
        break;
    }
    return MANGO_OK;
}

mango_status mgi_journal_open(mgi_journal *j, const char *path, int resume, int sync,
                              const mango_alloc *al, mango_err *err)
{
    memset(j, 0, sizeof *j);
    j->al = mgi_alloc_get(al), j->sync = sync;
    mgi_str_init(&j->path, al);
    mgi_str_puts(&j->path, path);
    if (j->path.bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory");
    MGI_TRY(mgi_applog_open(&j->log, path, 0, err));
    if (!j->log.f)
        return MANGO_OK;
    MGI_TRY(mgi_applog_read(&j->log, JOURNAL_LIMIT, &j->al, &j->text, &j->size, err));
    if (!resume && j->size > 0)
        return mgi_fail(err, MANGO_E_STATE,
                        "%.150s: exists; resume it or choose another place", path);
    return journal_scan(j, err);
}

int mgi_journal_more(const mgi_journal *j)
{
    return j->at < j->good;
}

static mango_idx journal_length(const mgi_journal *j)
{
    const unsigned char *p = j->text + j->at;
    return (const unsigned char *)memchr(p, '\n', (size_t)(j->good - j->at)) - p;
}

int mgi_journal_is(const mgi_journal *j, const char *kind)
{
    char head[32];
    if (!mgi_journal_more(j))
        return 0;
    head[0] = '{', head[1] = '"';
    if (!mgi_copy(head + 2, 24, kind))
        return 0;
    const size_t n = strlen(head);
    const unsigned char *p = j->text + j->at;
    return (mango_idx)n < journal_length(j) && memcmp(p, head, n) == 0 && p[n] == '"';
}

mango_status mgi_journal_next(mgi_journal *j, const char *kind, mgi_json *line,
                              mango_err *err)
{
    j->line++;
    if (!mgi_journal_is(j, kind))
        return mgi_fail(err, MANGO_E_FORMAT, "%.150s, line %td: \"%s\" expected", j->path.p,
                        j->line, kind);
    const mango_idx n = journal_length(j);
    mango_err why = {""};
    const mango_status st =
        mgi_json_parse(line, (const char *)j->text + j->at, n, &j->al, &why);
    if (st < 0)
        return mgi_fail(err, st, "%.100s, line %td: %.100s", j->path.p, j->line, why.text);
    j->at += n + 1;
    return MANGO_OK;
}

static void journal_forget(mgi_journal *j)
{
    if (j->text)
        mgi_del(&j->al, j->text, j->size + 1, 1);
    j->text = NULL;
    j->at = j->good = j->size = 0;
}

mango_status mgi_journal_append(mgi_journal *j, mango_err *err)
{
    const int torn = j->good < j->size;
    const mango_idx good = j->good;
    journal_forget(j);
    if (!j->log.f)
        return mgi_applog_open(&j->log, j->path.p, 1, err);
    return torn ? mgi_applog_cut(&j->log, good, err) : MANGO_OK;
}

mango_status mgi_journal_write(mgi_journal *j, mgi_str *body, int now, mango_err *err)
{
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    const uint32_t crc = mgi_crc32(j->crc, body->p, body->n);
    mgi_str_printf(body, ",\"crc\":\"%08lx\"}\n", (unsigned long)crc);
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    const time_t second = j->sync == 2 ? time(NULL) : 0;
    const int sync = now && (j->sync == 1 || (j->sync == 2 && second != j->synced));
    MGI_TRY(mgi_applog_append(&j->log, body->p, body->n, sync, err));
    j->due = j->sync && !sync, j->synced = sync ? second : j->synced;
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

#undef JOURNAL_LIMIT
#undef JOURNAL_TAIL
#undef JOURNAL_FIRST
