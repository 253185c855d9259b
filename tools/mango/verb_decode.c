/* verb_decode.c - `mango decode`: codes to pictures.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "image.h"
#include "mei_wish.h"
#include <stdlib.h>

static const cli_doc decode_doc = {
    "decode", "draw codes with a generator",
    "mango decode --gen G --codes C.npy --out DIR [options]",
    "C.npy holds whole numbers (B,d) or (d): codes as `mango mei` and `mango encode` write "
    "them\n"
    "(VQ-VAE: codebook indices; SN-GAN: levels on its latent grid); or floats (B,d) for a\n"
    "generator without a codebook: the latent itself. Writes DIR/000000.png, ... and "
    "images.npy\n"
    "(B,C,H,W) in [0,1]; --sheet puts the first hundred side by side into one more "
    "picture.\n"
    "Pixels have 8 bits, as `mei` shows them. Codes of a search with --latent-range or\n"
    "--levels, and its controls, are drawn as there with the same options; pictures have the\n"
    "generator's size.\n",
    "  mango decode --gen sngan_cifar10 --codes mei-3/codes.npy --limit 100 --out pictures "
    "--sheet "
    "all.png\n"};

typedef struct decode_job {
    const char *gen_name, *fill, *codes, *out, *sheet;
    int64_t limit;
    mei_wish wish;
    mango_net *gen;
    mango_drawing *drawing;
    mango_space_info space;
    mango_drawing_info out_l;
    mango_npy a;
    mango_idx B, px;
    float *z, *y;       /* (B,d) latents; (B,C,H,W) pictures */
    unsigned char *rgb; /* (B,H,W,3) */
} decode_job;

static mango_status decode_read(decode_job *j, mango_err *err)
{
    MGI_TRY(mango_npy_read(&j->a, j->codes, NULL, err));
    mango_idx d = j->space.modes.d, rows = j->a.rank == 2 ? j->a.shape[0] : 1;
    if ((j->a.rank != 1 && j->a.rank != 2) || j->a.shape[j->a.rank - 1] != d || rows < 1)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: codes of shape (B,%td) expected", j->codes,
                        d);
    j->B = j->limit && j->limit < rows ? (mango_idx)j->limit : rows;
    if (j->B > 100000)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: %td pictures are too many at once; give --limit", j->codes,
                        j->B);
    j->z = calloc((size_t)j->a.count, sizeof *j->z);
    mango_idx *I = calloc((size_t)j->a.count, sizeof *I);
    mango_status st =
        j->z && I ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "no memory for %td codes", rows);
    int whole = j->a.type != MANGO_NPY_F4 && j->a.type != MANGO_NPY_F8;
    if (st >= 0 && whole) {
        st = mango_npy_ints(&j->a, I, err);
        for (mango_idx i = 0; st >= 0 && i < j->B * d; i++)
            if (I[i] < 0 || I[i] >= j->space.modes.n[i % d])
                st = mgi_fail(err, MANGO_E_ARG,
                              "%s: value %td of code %td is %td, 0 to %td expected",
                              j->codes, i % d, i / d, I[i], j->space.modes.n[i % d] - 1);
        if (st >= 0)
            st = mango_space_latent(j->out_l.space, j->B, I, j->z);
    } else if (st >= 0 && j->space.codebook)
        st =
            mgi_fail(err, MANGO_E_FORMAT,
                     "%s: whole numbers expected, this generator has a codebook", j->codes);
    else if (st >= 0) {
        st = mango_npy_floats(&j->a, j->z, err);
        for (mango_idx i = 0; st >= 0 && i < j->B * d; i++)
            if (j->z[i] - j->z[i] != 0.0f)
                st = mgi_fail(err, MANGO_E_NONFINITE,
                              "%s: value %td of latent %td is not finite", j->codes, i % d,
                              i / d);
    }
    free(I);
    return st;
}

static mango_status decode_draw(decode_job *j, cli *c, mango_err *err)
{
    const mango_idx n = j->out_l.C * j->out_l.H * j->out_l.W, chunk = j->out_l.batch;
    double since = cli_now();
    j->px = j->out_l.H * j->out_l.W * 3;
    j->y = calloc((size_t)(j->B * n), sizeof *j->y);
    j->rgb = calloc((size_t)(j->B * j->px), 1);
    if (!j->y || !j->rgb)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %td pictures", j->B);
    mango_status st = MANGO_OK;
    for (mango_idx b = 0; b < j->B && st >= 0; b += chunk) {
        const mango_idx B = MGI_MIN(chunk, j->B - b);
        st = mango_drawing_latents(j->drawing, B, j->z + b * j->space.modes.d, j->y + b * n);
        for (mango_idx i = b; st >= 0 && i < b + B; i++)
            image_from_planes(j->out_l.C, j->out_l.H, j->out_l.W, j->y + i * n,
                              j->rgb + i * j->px);
        cli_progress(c, since, 0, (double)(b + B), (double)j->B, "pictures");
    }
    cli_progress_end(c);
    return st < 0 ? mgi_fail(err, st, "%s", mango_drawing_error(j->drawing)) : st;
}

static mango_status decode_write(const decode_job *j, mango_err *err)
{
    char path[4096], name[32];
    const mango_idx shape[4] = {j->B, j->out_l.C, j->out_l.H, j->out_l.W};
    image_sheet_options so = {MGI_MIN(j->B, 10), MGI_MAX(1, 64 / j->out_l.W), 4, NULL};
    unsigned char *sheet = NULL;
    mango_idx W = 0, H = 0;
    MGI_TRY(cli_mkdir(j->out, err));
    for (mango_idx i = 0; i < j->B; i++) {
        snprintf(name, sizeof name, "%06td.png", i);
        MGI_TRY(cli_join(path, (mango_idx)sizeof path, j->out, name, err));
        MGI_TRY(image_save(path, j->out_l.W, j->out_l.H, j->rgb + i * j->px, err));
    }
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, j->out, "images.npy", err));
    MGI_TRY(mango_npy_write(path, MANGO_NPY_F4, 4, shape, j->y, err));
    if (!j->sheet)
        return MANGO_OK;
    mango_status st = image_sheet(&so, MGI_MIN(j->B, 100), j->out_l.W, j->out_l.H, j->rgb,
                                  &sheet, &W, &H);
    if (st >= 0)
        st = image_save(j->sheet, W, H, sheet, err);
    free(sheet);
    return st;
}

static mango_status decode_all(decode_job *j, cli *c, mango_err *err)
{
    MGI_TRY(mei_wish_read(&j->wish, err));
    MGI_TRY(cli_net(&j->gen, j->gen_name, j->fill, err));
    MGI_TRY(mei_wish_latents(&j->wish, j->gen, err));
    mango_drawing_options o;
    MGI_TRY(mango_drawing_defaults(&o));
    o.controls = mei_wish_controls(&j->wish);
    o.batch = j->limit > 0 && j->limit < 32 ? (mango_idx)j->limit : 32;
    MGI_TRY(mango_drawing_create(&j->drawing, j->gen, &o, NULL, err));
    MGI_TRY(mango_drawing_get(j->drawing, &j->out_l));
    MGI_TRY(mango_space_get(j->out_l.space, &j->space));
    if (j->out_l.H * j->out_l.W == 1 || (j->out_l.C != 3 && j->out_l.C != 1))
        return mgi_fail(err, MANGO_E_SHAPE, "%s: draws no pictures", j->gen_name);
    MGI_TRY(decode_read(j, err));
    MGI_TRY(decode_draw(j, c, err));
    return decode_write(j, err);
}

int verb_decode(int argc, char **argv)
{
    cli c;
    mgi_str s;
    mango_err err = {""};
    decode_job j;
    memset(&j, 0, sizeof j);
    const cli_opt own[] = {
        {"--gen", CLI_STR, &j.gen_name, 0, 0, "G",
         "generator: weights file, name, zoo:NAME,k=v, or a graph's text", 1},
        {"--fill", CLI_STR, &j.fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
        {"--codes", CLI_STR, &j.codes, 0, 0, "C.npy", "codes (B,d)", 1},
        {"--limit", CLI_INT, &j.limit, 1, 1e9, "K", "the first K codes only", 0},
        {"--out", CLI_STR, &j.out, 0, 0, "DIR", "folder for the pictures", 1},
        {"--sheet", CLI_STR, &j.sheet, 0, 0, "FILE.png",
         "also a contact sheet of the first 100", 0},
    };
    cli_opt opt[32];
    memcpy(opt, own, sizeof own);
    mei_wish_begin(&j.wish);
    const int n = (int)MGI_COUNT(own) + mei_wish_opts(&j.wish, opt + MGI_COUNT(own));
    int rc = cli_parse(&c, &decode_doc, opt, n, 0, argc, argv);
    if (rc >= 0)
        return rc;
    mango_status st = decode_all(&j, &c, &err);
    rc = st < 0 ? cli_fail(&c, st, &err) : CLI_OK;
    if (rc == CLI_OK) {
        cli_print(&c, "%s: %td pictures\n", j.out, j.B);
        mgi_str_init(&s, NULL);
        mgi_str_printf(&s, "{\"pictures\":%td,\"out\":", j.B);
        mgi_json_quote(&s, j.out, (mango_idx)strlen(j.out));
        mgi_str_puts(&s, "}");
        cli_json(&c, &s);
        mgi_str_free(&s);
    }
    mango_npy_free(&j.a);
    mango_drawing_destroy(j.drawing);
    mango_net_destroy(j.gen);
    free(j.z);
    free(j.y);
    free(j.rgb);
    return rc;
}
