/* fetch.c - downloads with curl (started without a shell), verifies, unpacks.
 * SPDX-License-Identifier: MIT */
#include "fetch.h"
#include "image.h"
#include "system.h"
#include "../../src/base/hash.h"
#include "system.h"
#include <errno.h>
#include <stdlib.h>

enum { FETCH_PATH = 4096, FETCH_CIFAR_BIN = 30730000, FETCH_UNPACKED = 200 * 1000 * 1000 };

static const fetch_set fetch_sets[] = {
    {"cifar10",
     "https://www.cs.toronto.edu/~kriz/",
     {{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"}, {NULL, NULL}}},
    {"mnist",
     "https://ossci-datasets.s3.amazonaws.com/mnist/",
     {{"train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"},
      {"train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"},
      {"t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"},
      {"t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"},
      {NULL, NULL}}},
    {"fashion-mnist",
     "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
     {{"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
      {"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"},
      {"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"},
      {"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"},
      {NULL, NULL}}},
};

const fetch_set *fetch_find(const char *name, mango_err *err)
{
    const char *names[MGI_COUNT(fetch_sets)];
    char near[128];
    for (mango_idx i = 0; i < MGI_COUNT(fetch_sets); i++) {
        names[i] = fetch_sets[i].name;
        if (!strcmp(name, names[i]))
            return &fetch_sets[i];
    }
    mgi_near(name, MGI_COUNT(names), names, near, (mango_idx)sizeof near);
    mgi_fail(err, MANGO_E_NAME, "no data set '%s' to get; near: %s", name, near);
    return NULL;
}

mango_status fetch_hash(const char *path, char *md5, char *sha256, mango_err *err)
{
    unsigned char *block = (unsigned char *)malloc(1 << 20);
    FILE *f = sys_look(path);
    mango_status st = MANGO_OK;
    mgi_hash a, b;
    char scrap[65];
    size_t n;
    mgi_md5_init(&a);
    mgi_sha256_init(&b);
    if (!f || !block)
        st = mgi_fail(err, MANGO_E_IO, "%s: %s", path,
                      f ? "out of memory" : strerror(errno));
    while (st >= 0 && (n = fread(block, 1, 1 << 20, f)) > 0) {
        if (md5)
            mgi_hash_add(&a, block, (mango_idx)n);
        if (sha256)
            mgi_hash_add(&b, block, (mango_idx)n);
    }
    if (st >= 0 && ferror(f))
        st = mgi_fail(err, MANGO_E_IO, "%s: read failed", path);
    mgi_hash_end(&a, md5 ? md5 : scrap);
    mgi_hash_end(&b, sha256 ? sha256 : scrap);
    if (f)
        fclose(f);
    free(block);
    return st;
}

/* ---- checksums --------------------------------------------------------------- */

/* The checksum of `name` in a file of "HEX  NAME" lines; "" when not there. */
static mango_status fetch_listed(const char *sums, const char *name, char hex[65],
                                 mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_idx n = 0;
    hex[0] = 0;
    MGI_TRY(mgi_file_read(sums, 1 << 20, &al, &p, &n, err));
    char *line = (char *)p;
    while (line && *line) {
        char *next = strchr(line, '\n');
        if (next)
            *next = 0;
        const size_t digits = strspn(line, "0123456789abcdef");
        const char *file = line + digits + strspn(line + digits, " *");
        const size_t len = strcspn(file, "\r");
        if ((digits == 32 || digits == 64) && len == strlen(name) &&
            !memcmp(file, name, len)) {
            memcpy(hex, line, digits);
            hex[digits] = 0;
        }
        line = next ? next + 1 : NULL;
    }
    mgi_del(&al, p, n + 1, 1);
    return *hex ? MANGO_OK
                : mgi_fail(err, MANGO_E_FORMAT, "%s: no MD5 or SHA-256 of %s in it", sums,
                           name);
}

/* Does the file have this checksum (32 or 64 digits)? *got: what it has. */
static mango_status fetch_same(const char *path, const char *want, int *same, char got[65],
                               mango_err *err)
{
    const int md5 = strlen(want) == 32;
    MGI_TRY(fetch_hash(path, md5 ? got : NULL, md5 ? NULL : got, err));
    *same = !strcmp(got, want);
    return MANGO_OK;
}

/* ---- curl -------------------------------------------------------------------- */

/* Run curl; its exit code, -1 when it could not be started or was killed. */
static int fetch_curl(const cli *c, const char *url, const char *part)
{
    const char *const how =
        c->quiet || c->json || !sys_terminal() ? "--silent" : "--progress-bar";
    const char *argv[] = {"curl",        "--fail",
                          "--location",  "--show-error",
                          how,           "--proto",
                          "=http,https", "--max-redirs",
                          "10",          "--connect-timeout",
                          "20",          "--retry",
                          "3",           "--max-filesize",
                          "400000000",   "--continue-at",
                          "-",           "--output",
                          part,          "--",
                          url,           NULL};
    return sys_run(argv);
}

/* Load url into part; a server without ranges makes it start anew. */
static mango_status fetch_load(const cli *c, const char *url, const char *part,
                               int *interrupted, mango_err *err)
{
    int rc = fetch_curl(c, url, part);
    if ((rc == 33 || rc == 36) && !cli_interrupted()) {
        remove(part);
        rc = fetch_curl(c, url, part);
    }
    if (cli_interrupted()) {
        *interrupted = 1;
        return mgi_fail(err, MANGO_E_IO, "%s: interrupted; the next get goes on from there",
                        url);
    }
    if (rc == 127)
        return mgi_fail(err, MANGO_E_IO,
                        "curl is needed to download, and is not installed");
    if (rc != 0)
        return mgi_fail(
            err, MANGO_E_IO,
            "%s: download failed (curl's exit code %d); what came is kept in %s", url, rc,
            part);
    return MANGO_OK;
}

/* One file into root: kept, or loaded, verified and renamed. */
static mango_status fetch_one(cli *c, const fetch_file *f, const char *root,
                              const char *base, const char *sums, int *interrupted,
                              mango_err *err)
{
    char path[FETCH_PATH], part[FETCH_PATH + 8], url[FETCH_PATH], want[65], got[65];
    int same = 0;
    MGI_TRY(cli_join(path, FETCH_PATH, root, f->name, err));
    snprintf(part, sizeof part, "%s.part", path);
    if (snprintf(url, sizeof url, "%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/",
                 f->name) >= (int)sizeof url)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: URL too long", base);
    if (sums)
        MGI_TRY(fetch_listed(sums, f->name, want, err));
    else
        mgi_copy(want, (mango_idx)sizeof want, f->md5);
    if (sys_kind(path) == 1) {
        MGI_TRY(fetch_same(path, want, &same, got, err));
        if (same)
            return MANGO_OK;
        cli_note(c, "%s is there but has another checksum: loaded again", path);
    }
    if (sys_kind(part) == 1) /* complete already? */
        MGI_TRY(fetch_same(part, want, &same, got, err));
    if (!same) {
        cli_note(c, "loading %s", url);
        MGI_TRY(fetch_load(c, url, part, interrupted, err));
        MGI_TRY(fetch_same(part, want, &same, got, err));
    }
    if (!same) {
        remove(part);
        return mgi_fail(err, MANGO_E_FORMAT, "%s: checksum %s, %s expected; thrown away",
                        url, got, want);
    }
    if (rename(part, path) != 0)
        return mgi_fail(err, MANGO_E_IO, "%s: %s", path, strerror(errno));
    return MANGO_OK;
}

/* ---- unpacking cifar-10-binary.tar.gz ------------------------------------------ */

/* An octal field of a tar header; -1 when malformed. */
static mango_idx fetch_octal(const unsigned char *p, int n)
{
    mango_idx v = 0;
    int i = 0;
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = 8 * v + (p[i] - '0');
    return i < n && (p[i] == 0 || p[i] == ' ') ? v : -1;
}

/* A header's checksum: its bytes, with blanks where the sum itself stands. */
static int fetch_tar_sum(const unsigned char *p)
{
    mango_idx sum = 0;
    for (int i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : p[i];
    return sum == fetch_octal(p + 148, 8);
}

/* Write the wanted members into root; *found counts them. Names are taken from
 * a fixed list, so no path of the archive is ever used. */
static mango_status fetch_untar(const unsigned char *p, mango_idx n, const char *root,
                                int *found, mango_err *err)
{
    static const char *const want[] = {
        "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
        "data_batch_5.bin", "test_batch.bin",   "batches.meta.txt"};
    mango_idx at = 0;
    while (at + 512 <= n && p[at]) {
        char name[101], path[FETCH_PATH];
        const mango_idx size = fetch_octal(p + at + 124, 12);
        if (!fetch_tar_sum(p + at) || size < 0 || size > n - at - 512)
            return mgi_fail(err, MANGO_E_FORMAT, "%s: damaged tar archive at byte %td",
                            root, at);
        memcpy(name, p + at, 100);
        name[100] = 0;
        const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
        for (mango_idx k = 0; k < MGI_COUNT(want); k++) {
            if (strcmp(base, want[k]) || (p[at + 156] != '0' && p[at + 156] != 0))
                continue;
            if (k < 6 ? size != FETCH_CIFAR_BIN : size > 4096)
                return mgi_fail(err, MANGO_E_FORMAT, "%s: %td bytes in the archive",
                                want[k], size);
            MGI_TRY(cli_join(path, FETCH_PATH, root, want[k], err));
            MGI_TRY(mgi_file_write(path, p + at + 512, size, err));
            *found |= 1 << k;
        }
        at += 512 + (size + 511) / 512 * 512;
    }
    return MANGO_OK;
}

static mango_status fetch_unpack(const char *root, const char *archive, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    char path[FETCH_PATH];
    unsigned char *gz = NULL, *tar = NULL;
    mango_idx n_gz = 0, n_tar = 0;
    int found = 0;
    mango_status st;
    MGI_TRY(cli_join(path, FETCH_PATH, root, archive, err));
    MGI_TRY(mgi_file_read(path, 400000000, &al, &gz, &n_gz, err));
    st = mango_gunzip(gz, n_gz, FETCH_UNPACKED, path, image_codecs(), &al, &tar, &n_tar, err);
    mgi_del(&al, gz, n_gz + 1, 1);
    MGI_TRY(st);
    st = fetch_untar(tar, n_tar, root, &found, err);
    mgi_del(&al, tar, n_tar + 1, 1);
    if (st >= 0 && (found & 63) != 63)
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: not all of the six .bin files are in it",
                      path);
    return st;
}

mango_status fetch_get(cli *c, const fetch_set *set, const char *root, const char *base,
                       const char *sums, int *interrupted, mango_err *err)
{
    *interrupted = 0;
    if (base && strncmp(base, "http://", 7) && strncmp(base, "https://", 8))
        return mgi_fail(err, MANGO_E_ARG, "--url %s: http:// or https:// expected", base);
    MGI_TRY(cli_mkdir(root, err));
    for (const fetch_file *f = set->file; f->name; f++) {
        MGI_TRY(fetch_one(c, f, root, base ? base : set->url, sums, interrupted, err));
        const size_t n = strlen(f->name);
        if (n > 7 && !strcmp(f->name + n - 7, ".tar.gz"))
            MGI_TRY(fetch_unpack(root, f->name, err));
    }
    return MANGO_OK;
}
