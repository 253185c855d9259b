/* verb_data.c - `mango data`: proves that a data set is right, or fetches it.
 * SPDX-License-Identifier: MIT */
#include "fetch.h"
#include "image.h"
#include "system.h"
#include <stdlib.h>

static const cli_doc data_doc = {
    "data", "check or fetch a data set",
    "mango data check NAME --root DIR [options]\n       mango data get NAME --root DIR "
    "[--url BASE]",
    "check reads everything: sizes, counts, CRCs, the range of labels, the balance of "
    "classes,\n"
    "checksums of the official archives and sums of the official pixels; prints what each "
    "split\n"
    "holds. NAME: cifar10, mnist, fashion-mnist, folder. get loads the official archives "
    "with\n"
    "curl, goes on where a broken download stopped, verifies their checksums, unpacks, "
    "checks.\n",
    "  mango data check cifar10 --root data/cifar10\n"
    "  mango data get mnist --root data/mnist\n"
    "  mango data get cifar10 --root data/cifar10 --url http://mirror.local/cifar/\n"};

/* What the official splits hold. sum: of all pixel bytes, a channel; 0: not known. */
typedef struct data_fact {
    const char *name, *split;
    mango_idx count, a_class[10]; /* a_class[1] 0: all as a_class[0] */
    int64_t sum[3];
} data_fact;
static const data_fact data_facts[] = {
    {"cifar10", "train", 50000, {5000}, {6415714204, 6295060180, 5829907619}},
    {"cifar10", "test", 10000, {1000}, {0}},
    {"mnist",
     "train",
     60000,
     {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949},
     {1567298545}},
    {"mnist",
     "test",
     10000,
     {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009},
     {264923200}},
    {"fashion-mnist", "train", 60000, {6000}, {3431114169}},
    {"fashion-mnist", "test", 10000, {1000}, {0}},
};

typedef struct data_args {
    const char *root, *split, *url, *sums;
} data_args;

/* What a split turned out to hold. */
typedef struct data_found {
    mango_idx *per_class;
    int64_t sum[3];
    mango_idx blank; /* pictures of a single value */
} data_found;

static const data_fact *data_known(const char *name, const char *split)
{
    for (mango_idx i = 0; i < MGI_COUNT(data_facts); i++)
        if (!strcmp(data_facts[i].name, name) && !strcmp(data_facts[i].split, split))
            return &data_facts[i];
    return NULL;
}

/* Read every picture: sums, blanks, counts. */
static mango_status data_scan(cli *c, const mango_data *d, data_found *f, mango_err *err)
{
    mango_data_info info;
    const double since = cli_now();
    mango_data_get(d, &info);
    const mango_idx plane = info.H * info.W, n = info.C * plane;
    unsigned char *p = (unsigned char *)malloc((size_t)n);
    mango_status st = p ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "out of memory");
    for (mango_idx i = 0; i < info.count && st >= 0; i++) {
        int label = -1, blank = 1;
        st = mango_data_picture(d, i, p, &label, err);
        if (st < 0)
            break;
        if (label >= 0)
            f->per_class[label]++;
        for (mango_idx k = 0; k < n; k++) {
            f->sum[MGI_MIN(k / plane, 2)] += p[k];
            blank &= p[k] == p[0];
        }
        f->blank += blank;
        if (cli_interrupted())
            st = mgi_fail(err, MANGO_E_CALLBACK, "interrupted");
        cli_progress(c, since, 0, (double)(i + 1), (double)info.count, info.split);
    }
    cli_progress_end(c);
    free(p);
    return st;
}

/* Counts against the official ones; a message when they differ. */
static mango_status data_counts(const mango_data_info *info, const data_fact *k,
                                const data_found *f, mango_err *err)
{
    if (!k)
        return MANGO_OK;
    if (info->count != k->count)
        return mgi_fail(err, MANGO_E_FORMAT, "%s %s: %td pictures, %td expected",
                        info->name, info->split, info->count, k->count);
    for (mango_idx i = 0; i < info->classes; i++) {
        const mango_idx want = k->a_class[1] ? k->a_class[i] : k->a_class[0];
        if (f->per_class[i] != want)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s %s: class %td has %td pictures, %td expected", info->name,
                            info->split, i, f->per_class[i], want);
    }
    return MANGO_OK;
}

/* "official", "re-encoded" or "not known": do the pixels add up? */
static const char *data_pixels(const data_fact *k, const data_found *f)
{
    if (!k || !k->sum[0])
        return "not known";
    return f->sum[0] == k->sum[0] && f->sum[1] == k->sum[1] && f->sum[2] == k->sum[2]
               ? "official"
               : "re-encoded";
}

static void data_report(cli *c, const mango_data *d, const data_found *f,
                        const char *pixels, mgi_str *s)
{
    mango_data_info info;
    mango_data_get(d, &info);
    cli_print(c, "%s %s: %td pictures of %tdx%tdx%td, %td classes, labels in range\n",
              info.name, info.split, info.count, info.C, info.H, info.W, info.classes);
    mgi_str_puts(s, s->p && s->n && s->p[s->n - 1] == '}' ? ",{" : "{");
    cli_quote(s, "split", info.split);
    mgi_str_printf(s, ",\"pictures\":%td,", info.count);
    cli_quote(s, "pixels", pixels);
    mgi_str_printf(s, ",\"blank\":%td,\"classes\":{", f->blank);
    for (mango_idx k = 0; k < info.classes; k++) {
        const char *name = mango_data_class(d, k);
        if (k < 40)
            cli_print(c, "  %4td %-24s %td\n", k, name, f->per_class[k]);
        else if (k == 40)
            cli_print(c, "  ... and %td classes more\n", info.classes - 40);
        mgi_str_puts(s, k ? "," : "");
        mgi_json_quote(s, name, (mango_idx)strlen(name));
        mgi_str_printf(s, ":%td", f->per_class[k]);
    }
    mgi_str_puts(s, "}}");
    if (f->blank)
        cli_print(c, "  %td pictures are of one colour throughout\n", f->blank);
    if (!strcmp(pixels, "official"))
        cli_print(c, "  pixels: their sums are those of the official pictures\n");
    if (!strcmp(pixels, "re-encoded"))
        cli_print(
            c,
            "  pixels: a re-encoding; their sums are not those of the official pictures\n");
}

static mango_status data_check_split(cli *c, const char *name, const char *split,
                                     const data_args *a, mgi_str *s, mango_err *err)
{
    mango_data *d = NULL;
    mango_data_info info;
    mango_data_options o;
    data_found f;
    mango_data_defaults(&o);
    o.codecs = *image_codecs();
    memset(&f, 0, sizeof f);
    MGI_TRY(mango_data_open(&d, name, a->root, split, &o, NULL, err));
    mango_data_get(d, &info);
    const data_fact *k = data_known(name, split);
    f.per_class = (mango_idx *)calloc((size_t)info.classes + 1, sizeof *f.per_class);
    mango_status st = f.per_class ? data_scan(c, d, &f, err) : MANGO_E_MEM;
    if (st >= 0)
        st = data_counts(&info, k, &f, err);
    if (st >= 0)
        data_report(c, d, &f, data_pixels(k, &f), s);
    free(f.per_class);
    mango_data_destroy(d);
    return st;
}

/* The official archives, when they lie there. */
static mango_status data_archives(cli *c, const char *name, const char *root, mgi_str *s,
                                  mango_err *err)
{
    mango_err scrap;
    const fetch_set *set = fetch_find(name, &scrap);
    for (const fetch_file *f = set ? set->file : NULL; f && f->name; f++) {
        char path[4096], md5[65], sha[65];
        MGI_TRY(cli_join(path, (mango_idx)sizeof path, root, f->name, err));
        if (sys_kind(path) == 0)
            continue;
        MGI_TRY(fetch_hash(path, md5, sha, err));
        const int same = !strcmp(md5, f->md5);
        cli_print(c, "%s: md5 %s, %s\n", f->name, md5,
                  same ? "the official archive" : "not the official archive's");
        mgi_str_printf(s, "%s\"%s\":{\"md5\":\"%s\",\"sha256\":\"%s\",\"official\":%s}",
                       s->n ? "," : "", f->name, md5, sha, same ? "true" : "false");
    }
    return MANGO_OK;
}

static mango_status data_check(cli *c, const char *name, const data_args *a, mango_err *err)
{
    const char *const splits[2] = {a->split ? a->split : "train", "test"};
    const int n = a->split || !strcmp(name, "folder") ? 1 : 2;
    mgi_str s, archives, out;
    mango_status st = MANGO_OK;
    mgi_str_init(&s, NULL);
    mgi_str_init(&archives, NULL);
    mgi_str_init(&out, NULL);
    for (int i = 0; i < n && st >= 0; i++)
        st = data_check_split(c, name, splits[i], a, &s, err);
    if (st >= 0)
        st = data_archives(c, name, a->root, &archives, err);
    if (st >= 0) {
        cli_print(c, "%s in %s: right\n", name, a->root);
        mgi_str_puts(&out, "{");
        cli_quote(&out, "name", name);
        mgi_str_printf(&out, ",\"ok\":true,\"splits\":[%s],\"archives\":{%s}}",
                       s.p ? s.p : "", archives.p ? archives.p : "");
        cli_json(c, &out);
    }
    mgi_str_free(&s);
    mgi_str_free(&archives);
    mgi_str_free(&out);
    return st;
}

static int data_get(cli *c, const char *name, const data_args *a)
{
    mango_err err = {""};
    int interrupted = 0;
    const fetch_set *set = fetch_find(name, &err);
    mango_status st = set ? fetch_get(c, set, a->root, a->url, a->sums, &interrupted, &err)
                          : MANGO_E_NAME;
    if (st >= 0)
        st = data_check(c, name, a, &err);
    if (st >= 0)
        return CLI_OK;
    return interrupted ? cli_failf(c, CLI_INTERRUPTED, "%s", err.text)
                       : cli_fail(c, st, &err);
}

int verb_data(int argc, char **argv)
{
    data_args a = {NULL, NULL, NULL, NULL};
    const cli_opt opt[] = {
        {"--root", CLI_STR, &a.root, 0, 0, "DIR", "folder of the data set", 1},
        {"--split", CLI_STR, &a.split, 0, 0, "S", "check this split only: train or test",
         0},
        {"--url", CLI_STR, &a.url, 0, 0, "BASE",
         "get: take the archives from this folder URL", 0},
        {"--sums", CLI_STR, &a.sums, 0, 0, "FILE",
         "get: \"HEX  NAME\" lines that replace the known checksums", 0},
    };
    mango_err err = {""};
    cli c;
    memset(&c, 0, sizeof c);
    int code = cli_parse(&c, &data_doc, opt, (int)MGI_COUNT(opt), 2, argc, argv);
    if (code >= 0)
        return code;
    if (c.n_pos != 2 || (strcmp(c.pos[0], "check") && strcmp(c.pos[0], "get")))
        return cli_usage(&c, "check NAME or get NAME expected");
    cli_catch_signals();
    if (!strcmp(c.pos[0], "get"))
        return data_get(&c, c.pos[1], &a);
    mango_status st = data_check(&c, c.pos[1], &a, &err);
    if (st >= 0)
        return CLI_OK;
    return cli_interrupted() ? cli_failf(&c, CLI_INTERRUPTED, "%s", err.text)
                             : cli_fail(&c, st, &err);
}
