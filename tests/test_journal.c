/* test_journal.c - a journal is read line by line, whatever its size.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* Memory in use now and at most. */
typedef struct t_journal_heap {
    size_t now, most;
} t_journal_heap;

static void *t_journal_realloc(void *ud, void *p, size_t old, size_t size)
{
    t_journal_heap *h = ud;
    h->now = h->now - old + size;
    h->most = h->now > h->most ? h->now : h->most;
    if (size > 0)
        return realloc(p, size);
    free(p);
    return NULL;
}

/* A journal of n lines, each with `width` bytes of text. */
static void t_journal_write(const char *path, mango_idx n, mango_idx width)
{
    mgi_journal j;
    mgi_str s;
    mango_err err = {""};
    char block[100];
    memset(block, 'x', sizeof block);
    mgi_str_init(&s, NULL);
    T_OK_OR_RETURN(mgi_journal_open(&j, path, 0, 0, NULL, &err), &err);
    T_OK_OR_RETURN(mgi_journal_append(&j, &err), &err);
    mgi_str_puts(&s, "{\"mango\":\"journal\",\"format\":1");
    T_OK(mgi_journal_write(&j, &s, 0, &err), &err);
    for (mango_idx i = 0; i < n; i++) {
        s.n = 0;
        mgi_str_printf(&s, "{\"note\":%lld,\"text\":\"", (long long)i);
        for (mango_idx k = 0; k < width; k += 100)
            mgi_str_put(&s, block, MGI_MIN(100, width - k));
        mgi_str_puts(&s, "\"");
        T_OK_OR_RETURN(mgi_journal_write(&j, &s, 0, &err), &err);
    }
    mgi_journal_close(&j);
    mgi_str_free(&s);
}

/* Lines that are there, in order; the status of the reading. */
static mango_status t_journal_read(const char *path, mango_idx *lines, const mango_alloc *al,
                                   mango_err *err)
{
    mgi_journal j;
    mgi_json v;
    *lines = 0;
    mango_status st = mgi_journal_open(&j, path, 1, 0, al, err);
    while (st == MANGO_OK && mgi_journal_more(&j)) {
        st = mgi_journal_next(&j, *lines == 0 ? "mango" : "note", &v, err);
        if (st < 0)
            break;
        T_CHECK(*lines == 0 || mgi_json_get(&v, v.v, "note")->i == *lines - 1);
        ++*lines;
        mgi_json_free(&v);
    }
    mgi_journal_close(&j);
    return st;
}

/* Reading takes a window, not the file: so no limit on its size is needed. */
static void t_journal_window(void)
{
    t_journal_heap h = {0, 0};
    const mango_alloc al = {t_journal_realloc, &h};
    mango_err err = {""};
    mango_idx n = 0;
    char path[1024];
    mgi_copy(path, sizeof path, t_tmp("window.jsonl"));
    t_journal_write(path, 20000, 200); /* 5 MB */
    T_OK(t_journal_read(path, &n, &al, &err), &err);
    T_EQ(n, 20001);
    T_CHECK(h.now == 0 && h.most < 200000);
    remove(path);
    t_journal_write(path, 3, 300000); /* a line is longer than the first window */
    T_OK(t_journal_read(path, &n, &al, &err), &err);
    T_EQ(n, 4);
}

/* What a journal of over 1 GiB needs, with MANGO_TEST_HUGE=1: it takes disk space. */
static void t_journal_huge(void)
{
    t_journal_heap h = {0, 0};
    const mango_alloc al = {t_journal_realloc, &h};
    mango_err err = {""};
    mango_idx n = 0;
    char path[1024];
    if (!getenv("MANGO_TEST_HUGE"))
        T_SKIP("needs 1.2 GB of disk: MANGO_TEST_HUGE=1");
    mgi_copy(path, sizeof path, t_tmp("huge.jsonl"));
    t_journal_write(path, 1200, 1000000);
    T_OK(t_journal_read(path, &n, &al, &err), &err);
    T_EQ(n, 1201);
    T_CHECK(h.most < 20000000);
    remove(path);
}

static unsigned char *t_journal_bytes(const char *path, mango_idx *n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_err err = {""};
    T_OK(mgi_file_read(path, 1 << 20, &al, &p, n, &err), &err);
    return p;
}

/* Cut after any byte: the lines before are there, and writing goes on behind them. Damage
 * before the last line is told with its number, after the lines in front of it. */
static void t_journal_tail(void)
{
    char path[1024], part[1024];
    const mango_alloc al = mgi_alloc_get(NULL);
    mango_err err = {""};
    mango_idx size = 0, n = 0, whole = 0;
    mgi_copy(path, sizeof path, t_tmp("tail.jsonl"));
    mgi_copy(part, sizeof part, t_tmp("part.jsonl"));
    t_journal_write(path, 4, 10);
    unsigned char *p = t_journal_bytes(path, &size);
    T_REQUIRE(p != NULL);
    for (mango_idx cut = 0; cut <= size; cut++) {
        t_write(part, p, (size_t)cut);
        T_OK(t_journal_read(part, &n, NULL, &err), &err);
        whole += cut > 0 && p[cut - 1] == '\n';
        T_EQ(n, whole);
    }
    p[size / 2] ^= 1;
    t_write(part, p, (size_t)size);
    T_STATUS(t_journal_read(part, &n, NULL, &err), MANGO_E_FORMAT);
    T_EQ(n, 2);
    T_CHECK(strstr(err.text, "line 3: damaged") != NULL);
    mgi_del(&al, p, size + 1, 1);
}

void t_journal(void)
{
    T_CASE(t_journal_window);
    T_CASE(t_journal_huge);
    T_CASE(t_journal_tail);
}
