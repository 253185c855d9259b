/* verb_encode.c - `mango encode`: pictures to VQ-VAE codes.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "image.h"
#include "input.h"
#include "system.h"
#include <stdlib.h>

static const cli_doc encode_doc = {
    "encode", "turn pictures into VQ-VAE codes",
    "mango encode --gen vqvae --images X --out C.npy [options]",
    "X is a picture, pictures as .npy (float in [0,1] or uint8, (C,H,W) or (B,C,H,W)), or "
    "a\n"
    "folder of pictures, sorted by name, each shrunk and cropped to the generator's size "
    "where\n"
    "it has another. Writes int32 codes (B,H*W), the code grid row by row: what `mango "
    "decode`\n"
    "and `mango run` take.\n",
    "  mango encode --gen vqvae_cifar10 --images cat.png --out cat.npy\n"
    "  mango encode --gen vqvae_cifar10 --images pictures/ --out codes.npy\n"};

static mango_status encode_folder(input_batch *in, const mango_net *net, const char *path,
                                  mango_err *err)
{
    mango_data *d = NULL;
    mango_data_info info;
    mango_data_options o;
    mango_layer l;
    MGI_TRY(mango_net_layer(net, cli_info(net).input, &l));
    mango_data_defaults(&o);
    o.codecs = *image_codecs();
    o.resize = l.H;
    o.crop = l.H;
    o.allow_empty = 1;
    o.channels = l.C == 1 ? 1 : 3;
    MGI_TRY(mango_data_open(&d, "folder", path, NULL, &o, NULL, err));
    mango_data_get(d, &info);
    mango_idx n = info.C * info.H * info.W;
    unsigned char *px = malloc((size_t)n);
    mango_status st = MANGO_OK;
    if (info.C != l.C || info.H != l.H || info.W != l.W)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: pictures of %tdx%tdx%td, the generator wants %tdx%tdx%td", path,
                      info.C, info.H, info.W, l.C, l.H, l.W);
    in->x = calloc((size_t)(info.count * n), sizeof(float));
    if (!px || !in->x)
        st = mgi_fail(err, MANGO_E_MEM, "no memory for %td pictures", info.count);
    for (mango_idx b = 0; b < info.count && st >= 0; b++) {
        st = mango_data_picture(d, b, px, NULL, err);
        for (mango_idx i = 0; i < n; i++)
            in->x[b * n + i] = (float)px[i] / 255.0f;
    }
    in->B = info.count;
    in->size = n;
    in->raw = 0;
    free(px);
    mango_data_destroy(d);
    return st;
}

static mango_status encode_codes(const mango_net *net, mango_idx vq, const input_batch *in,
                                 const char *out, mango_err *err)
{
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_layer l;
    mango_idx chunk = MGI_MIN(in->B, 64);
    MGI_TRY(mango_net_layer(net, vq, &l));
    mango_idx n = l.H * l.W, shape[2] = {in->B, n};
    float *q = calloc((size_t)(chunk * n), sizeof *q);
    int32_t *codes = calloc((size_t)(in->B * n), sizeof *codes);
    mango_reading rd = {vq, MANGO_READ_CODES, q};
    mango_plan_defaults(&o);
    o.batch = chunk;
    o.raw = in->raw;
    mango_status st = q && codes ? mango_plan_create(&p, net, &o, 1, &rd, NULL, err)
                                 : mgi_fail(err, MANGO_E_MEM, "no memory");
    for (mango_idx b = 0; b < in->B && st >= 0; b += chunk) {
        mango_idx B = MGI_MIN(chunk, in->B - b);
        st = mango_plan_run(p, B, in->x + b * in->size);
        for (mango_idx i = 0; st >= 0 && i < B * n; i++)
            codes[b * n + i] = (int32_t)q[i];
    }
    if (st >= 0)
        st = mango_npy_write(out, MANGO_NPY_I4, 2, shape, codes, err);
    mango_plan_destroy(p);
    free(q);
    free(codes);
    return st;
}

static mango_status encode_all(const char *gen, const char *fill, const char *images,
                               const char *out, input_batch *in, mango_net **net,
                               mango_err *err)
{
    MGI_TRY(cli_net(net, gen, fill, err));
    const mango_idx vq = cli_vq(*net);
    if (vq < 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: not a VQ-VAE, it cannot encode", gen);
    if (sys_kind(images) == 2)
        MGI_TRY(encode_folder(in, *net, images, err));
    else
        MGI_TRY(input_read(in, *net, images, err));
    if (in->from >= 0)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: holds codes already", images);
    return encode_codes(*net, vq, in, out, err);
}

int verb_encode(int argc, char **argv)
{
    cli c;
    mgi_str s;
    mango_err err = {""};
    mango_net *net = NULL;
    input_batch in = {0, 0, 0, -1, NULL};
    const char *gen = NULL, *fill = NULL, *images = NULL, *out = NULL;
    const cli_opt opt[] = {
        {"--gen", CLI_STR, &gen, 0, 0, "G", "VQ-VAE: weights file or name", 1},
        {"--fill", CLI_STR, &fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
        {"--images", CLI_STR, &images, 0, 0, "X", "picture, .npy, or folder of pictures",
         1},
        {"--out", CLI_STR, &out, 0, 0, "C.npy", "codes, int32 (B,H*W)", 1},
    };
    int rc = cli_parse(&c, &encode_doc, opt, (int)MGI_COUNT(opt), 0, argc, argv);
    if (rc >= 0)
        return rc;
    mango_status st = encode_all(gen, fill, images, out, &in, &net, &err);
    rc = st < 0 ? cli_fail(&c, st, &err) : CLI_OK;
    if (rc == CLI_OK) {
        cli_print(&c, "%s: codes of %td pictures\n", out, in.B);
        mgi_str_init(&s, NULL);
        mgi_str_printf(&s, "{\"pictures\":%td,\"out\":", in.B);
        mgi_json_quote(&s, out, (mango_idx)strlen(out));
        mgi_str_puts(&s, "}");
        cli_json(&c, &s);
        mgi_str_free(&s);
    }
    input_free(&in);
    mango_net_destroy(net);
    return rc;
}
