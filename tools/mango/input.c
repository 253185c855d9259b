/* input.c - inputs of a network from pictures, .npy, .safetensors or the formula.
 * SPDX-License-Identifier: MIT */
#include "input.h"
#include "image.h"
#include "system.h"
#include <stdlib.h>

/* The node that takes B vectors or maps: its name and shape. */
static mango_layer input_layer(const mango_net *net, mango_idx from)
{
    mango_layer l;
    mango_net_layer(net, from >= 0 ? from : cli_info(net).input, &l);
    return l;
}

static mango_status input_alloc(input_batch *b, mango_idx B, mango_idx size, mango_err *err)
{
    mango_idx n;
    if (B < 1 || B > (mango_idx)1 << 20 || !mgi_mul(B, size, &n) ||
        n > MGI_LIMIT(UINT64_C(1) << 31))
        return mgi_fail(err, MANGO_E_LIMIT, "%td inputs of %td values: too many at once", B,
                        size);
    b->x = calloc((size_t)n, sizeof(float));
    if (!b->x)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %td inputs", B);
    b->B = B;
    b->size = size;
    return MANGO_OK;
}

/* What its first bytes say: 'n' .npy, 't' a file of tensors, 'p' anything else: a picture. */
static char input_kind(const char *path)
{
    unsigned char b[38] = {0};
    FILE *f = sys_look(path);
    const size_t n = f ? fread(b, 1, sizeof b, f) : 0;
    if (f)
        fclose(f);
    if (n >= 6 && !memcmp(b, "\x93NUMPY", 6))
        return 'n';
    const int zip = n >= 4 && !memcmp(b, "PK\3\4", 4), pickle = n >= 2 && b[0] == 0x80;
    const int header = n > 8 && b[8] == '{' && !b[5] && !b[6] && !b[7];
    return zip || pickle || header ? 't' : 'p';
}

/* (B,...) with the product of the rest equal to the layer's size; B missing: 1. */
static mango_status input_shape(const char *path, int rank, const mango_idx *shape,
                                const mango_layer *l, mango_idx *B, mango_err *err)
{
    mango_idx full[4] = {0, l->C, l->H, l->W}, flat[2] = {0, l->C * l->H * l->W};
    int map = l->H * l->W > 1, want = map ? 4 : 2;
    const mango_idx *w = map ? full : flat;
    for (int lead = 1; lead >= 0; lead--)
        if (rank == want - 1 + lead) {
            int ok = 1;
            for (int i = lead; i < rank; i++)
                ok = ok && shape[i] == w[i + 1 - lead];
            *B = lead ? shape[0] : 1;
            if (ok && *B >= 1)
                return MANGO_OK;
        }
    char got[160] = "";
    for (int i = 0; i < rank; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%td", i ? "," : "",
                 shape[i]);
    if (map)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s: shape (%s), but '%s' wants (B,%td,%td,%td)", path, got,
                        l->name, l->C, l->H, l->W);
    return mgi_fail(err, MANGO_E_SHAPE, "%s: shape (%s), but '%s' wants (B,%td)", path, got,
                    l->name, flat[1]);
}

/* The VQ node whose codes are fed, and the shape of such codes as a layer. */
static mango_status input_codes_layer(input_batch *b, const mango_net *net, mango_layer *l,
                                      mango_err *err)
{
    b->from = cli_vq(net);
    if (b->from < 0)
        return mgi_fail(err, MANGO_E_SHAPE, "this network has no codes to be fed");
    *l = cli_layer(net, b->from);
    l->C = l->H * l->W;
    l->H = l->W = 1;
    return MANGO_OK;
}

/* Arrays of NumPy: pictures lie in [0,1], or are bytes; vectors are taken as they are. */
static mango_status input_scale(input_batch *b, const mango_layer *l, const char *path,
                                int bytes, mango_err *err)
{
    b->raw = l->H * l->W == 1;
    for (mango_idx i = 0; !b->raw && i < b->B * b->size; i++) {
        if (bytes)
            b->x[i] /= 255.0f;
        else if (!(b->x[i] >= 0.0f && b->x[i] <= 1.0f))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: value %td is %g; a picture's lie in [0,1]", path, i,
                            (double)b->x[i]);
    }
    return MANGO_OK;
}

static mango_status input_tensors(input_batch *b, const mango_net *net, const char *path,
                                  mango_err *err)
{
    mango_archive *f = NULL;
    mango_archive_info info;
    mango_tensor t;
    mango_idx B;
    MGI_TRY(mango_archive_open(&f, path, image_codecs(), NULL, err));
    mango_layer l = input_layer(net, -1);
    mango_idx at = mango_archive_find(f, "input");
    mango_status st = MANGO_OK;
    if (at < 0)
        at = mango_archive_find(f, l.name);
    if (at < 0 && (at = mango_archive_find(f, "codes")) >= 0)
        st = input_codes_layer(b, net, &l, err);
    if (at < 0 && mango_archive_tensors(f) == 1)
        at = 0; /* np.savez(file, x): the only one */
    if (at < 0)
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: holds no tensor named `input`", path);
    if (st >= 0)
        st = mango_archive_tensor(f, at, &t);
    if (st >= 0)
        st = input_shape(path, t.rank, t.shape, &l, &B, err);
    if (st >= 0)
        st = input_alloc(b, B, l.C * l.H * l.W, err);
    if (st >= 0)
        st = mango_archive_floats(f, at, b->x, err);
    b->raw = 1;
    if (st >= 0 && b->from < 0 && mango_archive_get(f, &info) >= 0 &&
        !strcmp(info.format, "npz"))
        st = input_scale(b, &l, path, !strcmp(t.dtype, "uint8"), err);
    mango_archive_destroy(f);
    return st;
}

/* [0,1] pictures, uint8 ones divided by 255; a vector is taken as it is. */
static mango_status input_npy(input_batch *b, const mango_net *net, const char *path,
                              mango_err *err)
{
    mango_npy a;
    mango_idx B;
    mango_layer l = input_layer(net, -1);
    MGI_TRY(mango_npy_read(&a, path, NULL, err));
    mango_status st = input_shape(path, a.rank, a.shape, &l, &B, err);
    if (st >= 0)
        st = input_alloc(b, B, l.C * l.H * l.W, err);
    if (st >= 0)
        st = mango_npy_floats(&a, b->x, err);
    if (st >= 0)
        st = input_scale(b, &l, path, a.type == MANGO_NPY_U1, err);
    mango_npy_free(&a);
    return st;
}

static mango_status input_picture(input_batch *b, const mango_net *net, const char *path,
                                  mango_err *err)
{
    unsigned char *rgb = NULL;
    mango_idx W = 0, H = 0;
    mango_layer l = input_layer(net, -1);
    if (l.H * l.W == 1 || (l.C != 3 && l.C != 1))
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s: this network takes %td values, not a picture", path, l.C);
    MGI_TRY(mango_image_read(path, image_codecs(), 0, &rgb, &W, &H, NULL, err));
    mango_status st = MANGO_OK;
    if (W != l.W || H != l.H)
        st = mgi_fail(err, MANGO_E_SHAPE, "%s: %tdx%td pixels, but '%s' wants %tdx%td",
                      path, W, H, l.name, l.W, l.H);
    if (st >= 0)
        st = input_alloc(b, 1, l.C * l.H * l.W, err);
    if (st >= 0 && l.C == 1)
        mango_image_grey(H * W, rgb, rgb);
    for (mango_idx i = 0; st >= 0 && i < l.C * H * W; i++)
        b->x[i] = (float)rgb[i % (H * W) * l.C + i / (H * W)] / 255.0f;
    b->raw = 0;
    free(rgb);
    return st;
}

mango_status input_read(input_batch *b, const mango_net *net, const char *path,
                        mango_err *err)
{
    const char kind = input_kind(path);
    b->from = -1;
    return kind == 't'   ? input_tensors(b, net, path, err)
           : kind == 'n' ? input_npy(b, net, path, err)
                         : input_picture(b, net, path, err);
}

mango_status input_fill(input_batch *b, const mango_net *net, uint64_t seed, mango_idx B,
                        mango_err *err)
{
    mango_layer l = input_layer(net, -1);
    int latent = !strcmp(l.name, "latent");
    MGI_TRY(input_alloc(b, B, l.C * l.H * l.W, err));
    mango_fill_u(latent ? "latent" : "input", seed, B * b->size, b->x);
    for (mango_idx i = 0; i < B * b->size; i++)
        b->x[i] = latent ? 2.0f * b->x[i] : 0.5f + 0.5f * b->x[i];
    b->raw = 1;
    b->from = -1;
    return MANGO_OK;
}

void input_free(input_batch *b)
{
    free(b->x);
    memset(b, 0, sizeof *b);
    b->from = -1;
}

mango_status input_data(mango_data **data, mango_data_info *info, const char *name,
                        const char *root, const char *split, const mango_layer *in,
                        mango_err *err)
{
    mango_data_options o;
    mango_data_defaults(&o);
    o.codecs = *image_codecs();
    if (!strcmp(name, "folder")) {
        o.channels = in->C == 1 ? 1 : 3;
        o.crop = in->H;
        o.resize = in->H == 224 ? 256 : in->H;
    }
    *data = NULL;
    MGI_TRY(mango_data_open(data, name, root, split, &o, NULL, err));
    mango_data_get(*data, info);
    if (info->C == in->C && info->H == in->H && info->W == in->W)
        return MANGO_OK;
    mango_data_destroy(*data);
    *data = NULL;
    return mgi_fail(err, MANGO_E_SHAPE,
                    "%s: pictures are %tdx%tdx%td, the network wants %tdx%tdx%td", name,
                    info->C, info->H, info->W, in->C, in->H, in->W);
}
