/* alloc.c - checked sizes, the allocator value, and the planned arena.
 * SPDX-License-Identifier: MIT */
#include "mgi.h"
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define ALLOC_ALIGN 64
#define ALLOC_LARGE ((size_t)2 << 20) /* bytes of a large page */

int mgi_mul(mango_idx a, mango_idx b, mango_idx *r)
{
    if (a < 0 || b < 0 || (b > 0 && a > PTRDIFF_MAX / b))
        return 0;
    *r = a * b;
    return 1;
}

int mgi_add(mango_idx a, mango_idx b, mango_idx *r)
{
    if (a < 0 || b < 0 || a > PTRDIFF_MAX - b)
        return 0;
    *r = a + b;
    return 1;
}

int mgi_prod(int n, const mango_idx *a, mango_idx *r)
{
    mango_idx p = 1;
    int zero = 0;
    for (int i = 0; i < n; i++) { /* a zero may follow sizes that overflow */
        if (a[i] < 0)
            return 0;
        zero |= a[i] == 0;
    }
    for (int i = 0; i < n && !zero; i++)
        if (!mgi_mul(p, a[i], &p))
            return 0;
    *r = zero ? 0 : p;
    return 1;
}

/* The C library as an allocator value. */
static void *alloc_libc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    (void)ud;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return ptr ? realloc(ptr, new_size) : malloc(new_size);
}

mango_alloc mgi_alloc_get(const mango_alloc *al)
{
    if (al && al->fn)
        return *al;
    const mango_alloc libc = {alloc_libc, NULL};
    return libc;
}

/* Bytes of count elements, at least 1; false when they do not fit. */
static int alloc_bytes(mango_idx count, size_t size, size_t *bytes)
{
    mango_idx n;
    if (size > (size_t)PTRDIFF_MAX || !mgi_mul(count, (mango_idx)size, &n))
        return 0;
    *bytes = n > 0 ? (size_t)n : 1;
    return 1;
}

/* Asks for large pages in the middle of a large block: its first use then costs
 * one fault per 2 MiB, not 512, and walks through it miss fewer translations. */
static void alloc_large(unsigned char *p, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    const size_t skip = (ALLOC_LARGE - (uintptr_t)p % ALLOC_LARGE) % ALLOC_LARGE;
    if (bytes >= skip + ALLOC_LARGE)
        (void)madvise(p + skip, (bytes - skip) / ALLOC_LARGE * ALLOC_LARGE, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void *mgi_new(const mango_alloc *al, mango_idx count, size_t size)
{
    size_t bytes;
    if (!alloc_bytes(count, size, &bytes))
        return NULL;
    const int libc = al->fn == alloc_libc; /* its large blocks come zeroed and untouched */
    void *p = libc ? calloc(bytes, 1) : al->fn(al->ud, NULL, 0, bytes);
    if (p && libc && bytes >= ALLOC_LARGE)
        alloc_large(p, bytes);
    if (p && !libc)
        memset(p, 0, bytes);
    return p;
}

void *mgi_resize(const mango_alloc *al, void *p, mango_idx old_count, mango_idx count,
                 size_t size)
{
    size_t was, bytes;
    if (!p)
        return mgi_new(al, count, size);
    if (!alloc_bytes(old_count, size, &was) || !alloc_bytes(count, size, &bytes))
        return NULL;
    unsigned char *q = al->fn(al->ud, p, was, bytes);
    if (q && bytes > was)
        memset(q + was, 0, bytes - was);
    return q;
}

void mgi_del(const mango_alloc *al, void *p, mango_idx count, size_t size)
{
    size_t bytes;
    if (!p)
        return;
    if (!alloc_bytes(count, size, &bytes))
        bytes = 0;
    al->fn(al->ud, p, bytes, 0);
}

void mgi_arena_init(mgi_arena *a, const mango_alloc *al)
{
    memset(a, 0, sizeof *a);
    a->al = mgi_alloc_get(al);
}

/* Bytes of one piece, rounded up to the alignment. */
static int alloc_piece(mango_idx count, size_t size, mango_idx *bytes)
{
    mango_idx n;
    if (size > (size_t)PTRDIFF_MAX || !mgi_mul(count, (mango_idx)size, &n) ||
        !mgi_add(n, ALLOC_ALIGN - 1, &n))
        return 0;
    *bytes = n - n % ALLOC_ALIGN;
    return 1;
}

void mgi_arena_plan(mgi_arena *a, mango_idx count, size_t size)
{
    mango_idx n;
    if (!alloc_piece(count, size, &n) || !mgi_add(a->planned, n, &a->planned))
        a->planned = -1; /* sticks: mgi_add refuses negative operands */
}

mango_idx mgi_arena_bytes(const mgi_arena *a)
{
    return a->planned;
}

mango_status mgi_arena_commit(mgi_arena *a)
{
    mango_idx n;
    if (a->raw)
        return MANGO_E_STATE;
    if (!mgi_add(a->planned, ALLOC_ALIGN, &n))
        return MANGO_E_MEM;
    a->raw = mgi_new(&a->al, n, 1);
    if (!a->raw)
        return MANGO_E_MEM;
    a->raw_size = n;
    a->base = a->raw + (ALLOC_ALIGN - (uintptr_t)a->raw % ALLOC_ALIGN) % ALLOC_ALIGN;
    a->used = 0;
    return MANGO_OK;
}

void *mgi_arena_take(mgi_arena *a, mango_idx count, size_t size)
{
    mango_idx n;
    if (!a->raw || !alloc_piece(count, size, &n) || n > a->planned - a->used)
        return NULL;
    void *p = a->base + a->used;
    a->used += n;
    return p;
}

MGI_FN mango_status mgi_arena_all(mgi_arena *a, mango_idx n, const mgi_piece *piece)
{
    for (mango_idx i = 0; i < n; i++)
        mgi_arena_plan(a, piece[i].count, piece[i].size);
    MGI_TRY(mgi_arena_commit(a));
    for (mango_idx i = 0; i < n; i++) {
        void *p = mgi_arena_take(a, piece[i].count, piece[i].size);
        memcpy(piece[i].to, &p, sizeof p);
    }
    return MANGO_OK;
}

void mgi_arena_free(mgi_arena *a)
{
    mgi_del(&a->al, a->raw, a->raw_size, 1);
    a->raw = a->base = NULL;
    a->planned = a->used = a->raw_size = 0;
}

int mgi_copy(char *dst, mango_idx cap, const char *src)
{
    const size_t n = strlen(src);
    const size_t room = cap > 0 ? (size_t)cap - 1 : 0;
    const size_t take = n < room ? n : room;
    if (cap <= 0)
        return 0;
    memcpy(dst, src, take);
    dst[take] = '\0';
    return take == n;
}

#undef ALLOC_ALIGN
#undef ALLOC_LARGE
