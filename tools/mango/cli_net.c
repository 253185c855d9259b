/* cli_net.c - finds weights files by name, opens networks, makes folders.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "system.h"
#include "../../src/base/file.h"
#include <errno.h>
#include <stdlib.h>

/* Short names for the weights that come with the project. */
static const char *const cli_alias[][2] = {
    {"vae", "vqvae_cifar10"},
    {"vqvae", "vqvae_cifar10"},
    {"gan", "sngan_cifar10"},
    {"sngan", "sngan_cifar10"},
    {"snn", "snn_conv_cifar10"},
    {"snn_conv", "snn_conv_cifar10"},
    {"spiking_resnet18", "spiking_resnet18_cifar10"},
    {"resnet18", "resnet18_cifar10"},
};

static int cli_is_folder(const char *path)
{
    return sys_kind(path) == 2;
}

static int cli_is_file(const char *path)
{
    return sys_kind(path) == 1;
}

/* dir/name or dir/name.safetensors; dir "" is the working folder. */
static int cli_try(const char *dir, const char *name, char *path, mango_idx cap)
{
    static const char *const ext[] = {"", ".safetensors"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, (size_t)cap, "%s%s%s%s", dir, *dir ? "/" : "", name, ext[i]);
        if (n > 0 && n < cap && cli_is_file(path))
            return 1;
    }
    return 0;
}

/* A folder so many names up from the program's own file. */
static void cli_program_dir(int up, const char *folder, char *dir, size_t cap)
{
    char exe[3000];
    dir[0] = 0;
    if (!sys_program(exe, sizeof exe))
        return;
    for (int i = 0; i < up && strrchr(exe, '/'); i++)
        *strrchr(exe, '/') = 0;
    snprintf(dir, cap, "%s/%s", exe, folder);
}

static int cli_search(const char *name, char *path, mango_idx cap)
{
    static const struct {
        int up;
        const char *folder;
    } beside[] = {{1, "weights"}, {2, "weights"}, {2, "share/mango/weights"}};
    char dir[3072];
    const char *env = getenv("MANGO_WEIGHTS");
    if (cli_try("", name, path, cap) || (env && *env && cli_try(env, name, path, cap)) ||
        cli_try("weights", name, path, cap))
        return 1;
    for (mango_idx i = 0; i < MGI_COUNT(beside); i++) {
        cli_program_dir(beside[i].up, beside[i].folder, dir, sizeof dir);
        if (dir[0] && cli_try(dir, name, path, cap))
            return 1;
    }
    return cli_try(cli_datadir, name, path, cap);
}

mango_status cli_net_path(const char *what, char *path, mango_idx cap, mango_err *err)
{
    if (cli_search(what, path, cap))
        return MANGO_OK;
    for (mango_idx i = 0; i < MGI_COUNT(cli_alias); i++)
        if (!strcmp(what, cli_alias[i][0]) && cli_search(cli_alias[i][1], path, cap))
            return MANGO_OK;
    if (cli_is_folder(what))
        return mgi_fail(err, MANGO_E_IO, "%s: is a folder, a weights file was expected",
                        what);
    if (sys_kind(what) == 3)
        return mgi_fail(err, MANGO_E_IO, "%s: a pipe or device, a regular file was expected",
                        what);
    return mgi_fail(err, MANGO_E_IO,
                    "%s: no such weights file, here or in weights/ (a path, a name in "
                    "weights/, a graph's text, or zoo:NAME expected)",
                    what);
}

mango_status cli_fill(const char *text, uint64_t *seed, double *gain, mango_err *err)
{
    char buf[64], *comma;
    int64_t s;
    *gain = 1.0;
    if (mgi_copy(buf, (mango_idx)sizeof buf, text)) {
        comma = strchr(buf, ',');
        if (comma)
            *comma = 0;
        if (mgi_parse_int(buf, 0, INT64_MAX, &s) &&
            (!comma || mgi_parse_real(comma + 1, gain)) && *gain < 1e30 && *gain > -1e30) {
            *seed = (uint64_t)s;
            return MANGO_OK;
        }
    }
    return mgi_fail(err, MANGO_E_ARG, "--fill %s: SEED,GAIN expected, for example 7,1.0",
                    text);
}

char cli_kind_of(const char *path)
{
    unsigned char b[8] = {0};
    FILE *f = sys_look(path);
    size_t n = f ? fread(b, 1, sizeof b, f) : 0;
    if (f)
        fclose(f);
    if (n >= 4 &&
        (!memcmp(b, "PK\3\4", 4) || (b[0] == 0x80 && b[1] >= 2 && b[1] <= 5 && b[7])))
        return 'p';
    const char *ext = strrchr(path, '.');
    if ((n >= 8 && b[0] == 8 && b[1] < 32 && b[2] && strchr("\x12\x1a\"(2:Br", b[2])) ||
        (ext && !strcmp(ext, ".onnx")))
        return 'o'; /* ModelProto: its version, then one of its other fields */
    if (ext && (!strcmp(ext, ".pt") || !strcmp(ext, ".pth") || !strcmp(ext, ".pkl")))
        return 'p'; /* whatever it holds */
    return n >= 6 && !memcmp(b, "\x93NUMPY", 6) ? 'n' : 's';
}

/* The first word of a file that is not a comment. */
static int cli_is_graph(const char *path)
{
    char line[512];
    FILE *f = sys_look(path);
    int found = 0, parts = 0, inside = 0; /* of a line longer than that */
    while (f && !found && parts++ < 1000 && fgets(line, sizeof line, f)) {
        const char *z = line + strspn(line, " \t\r\n");
        if (!inside)
            found = !strncmp(z, "mango-graph", 11) ? 1 : *z && *z != '#' ? 2 : 0;
        inside = !strchr(line, '\n');
    }
    if (f)
        fclose(f);
    return found == 1;
}

int cli_is_blank(const char *what)
{
    char path[4096];
    mango_err err = {""};
    return !strncmp(what, "zoo:", 4) ||
           (cli_net_path(what, path, (mango_idx)sizeof path, &err) == MANGO_OK &&
            cli_is_graph(path));
}

mango_status cli_net_blank(mango_net **net, const char *what, mango_err *err)
{
    char path[4096];
    unsigned char *text;
    mango_idx n;
    mango_err sub = {""};
    const mango_alloc al = mgi_alloc_get(NULL);
    if (!strncmp(what, "zoo:", 4))
        return mango_net_zoo(net, what + 4, NULL, err);
    MGI_TRY(cli_net_path(what, path, (mango_idx)sizeof path, err));
    MGI_TRY(mgi_file_read(path, 1 << 20, &al, &text, &n, err));
    const mango_status st = mango_net_parse(net, (const char *)text, n, NULL, &sub);
    mgi_del(&al, text, n + 1, 1);
    return st < 0 ? mgi_fail(err, st, "%s: %s", path, sub.text) : st;
}

/* A network without weights, filled. */
static mango_status cli_net_filled(mango_net **net, const char *what, const char *fill,
                                   int give, mango_err *err)
{
    uint64_t seed;
    double gain;
    if (!fill)
        return mgi_fail(err, MANGO_E_ARG, "%s has no weights: give --fill SEED,GAIN%s", what,
                        strncmp(what, "zoo:", 4)
                            ? ", or import some with `mango import WEIGHTS --graph`"
                            : "");
    MGI_TRY(cli_fill(fill, &seed, &gain, err));
    MGI_TRY(cli_net_blank(net, what, err));
    const mango_status st = mango_net_fill(*net, seed, gain);
    if (st < 0) {
        mango_net_destroy(*net);
        *net = NULL;
        return mgi_fail(err, st, "%s: %s", what, mango_status_text(st));
    }
    if (give)
        mango_net_give(*net);
    return st;
}

/* "3x32x32" or "3x32x32,levels=16": a generator whose code is the picture. */
static mango_status cli_net_pixels(mango_net **net, const char *text, mango_err *err)
{
    int C, H, W, levels = 16, end = 0, all = 0;
    const int n = sscanf(text, "%5dx%5dx%5d%n,levels=%6d%n", &C, &H, &W, &end, &levels, &all);
    if (n < 3 || text[n == 4 ? all : end])
        return mgi_fail(err, MANGO_E_ARG, "pixels:%.60s: pixels:CxHxW,levels=N expected, such "
                        "as pixels:3x32x32,levels=16", text);
    return mango_net_pixels(net, C, H, W, levels, NULL, err);
}

static mango_status cli_net_any(mango_net **net, const char *what, const char *fill, int give,
                                mango_err *err)
{
    char path[4096];
    *net = NULL;
    if (!strncmp(what, "pixels:", 7) && !fill)
        return cli_net_pixels(net, what + 7, err);
    if (cli_is_blank(what))
        return cli_net_filled(net, what, fill, give, err);
    if (fill)
        return mgi_fail(err, MANGO_E_ARG,
                        "--fill goes with zoo:NAME or a graph's text, '%s' has weights of its "
                        "own",
                        what);
    MGI_TRY(cli_net_path(what, path, (mango_idx)sizeof path, err));
    if (cli_kind_of(path) == 'p')
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: a PyTorch checkpoint; `mango import` makes a weights file of it",
                        path);
    if (cli_kind_of(path) == 'o') {
        MGI_TRY(cli_onnx_open(net, path, err));
        if (give)
            mango_net_give(*net);
        return MANGO_OK;
    }
    return give ? mango_net_open(net, path, NULL, err) : mango_net_load(net, path, NULL, err);
}

mango_status cli_net(mango_net **net, const char *what, const char *fill, mango_err *err)
{
    return cli_net_any(net, what, fill, 0, err);
}

mango_status cli_net_open(mango_net **net, const char *what, const char *fill, mango_err *err)
{
    return cli_net_any(net, what, fill, 1, err);
}

mango_idx cli_steps(cli *c, const mango_net *net, int64_t T)
{
    if (cli_info(net).spiking)
        return T ? (mango_idx)T : mango_net_steps(net);
    if (T > 1)
        cli_note(c, "--T %lld does nothing: no layer of the network spikes, so one step is run",
                 (long long)T);
    return 1;
}

mango_layer cli_layer(const mango_net *net, mango_idx i)
{
    mango_layer l = {0};
    mango_net_layer(net, i < 0 ? cli_info(net).output : i, &l);
    return l;
}

mango_net_info cli_info(const mango_net *net)
{
    mango_net_info info = {0};
    mango_net_get(net, &info);
    return info;
}

mango_idx cli_vq(const mango_net *net)
{
    for (mango_idx i = 0; i < mango_net_layers(net); i++)
        if (cli_layer(net, i).codes > 0)
            return i;
    return -1;
}

const char *cli_kernels(void)
{
    mango_kernels_info info = {0};
    mango_kernels_get(&info);
    return info.name;
}

mango_status cli_join(char *buf, mango_idx cap, const char *dir, const char *name,
                      mango_err *err)
{
    int n = snprintf(buf, (size_t)cap, "%s/%s", dir, name);
    return n > 0 && n < cap ? MANGO_OK
                            : mgi_fail(err, MANGO_E_LIMIT, "%s: path too long", dir);
}

mango_status cli_mkdir(const char *path, mango_err *err)
{
    char buf[4096];
    if (!*path || !mgi_copy(buf, (mango_idx)sizeof buf, path))
        return mgi_fail(err, MANGO_E_LIMIT, "%s: not a usable path", path);
    for (char *p = buf + 1; *p; p++)
        if (sys_separator(*p)) {
            const char was = *p;
            *p = 0;
            if (sys_folder_make(buf) != 0 && errno != EEXIST)
                return mgi_fail(err, MANGO_E_IO, "%s: cannot make this folder: %s", buf,
                                strerror(errno));
            *p = was;
        }
    if (sys_folder_make(buf) != 0 && errno != EEXIST)
        return mgi_fail(err, MANGO_E_IO, "%s: cannot make this folder: %s", buf,
                        strerror(errno));
    if (sys_kind(buf) != 2)
        return mgi_fail(err, MANGO_E_IO, "%s: is there and no folder", buf);
    if (sys_folder_writable(buf) != 0)
        return mgi_fail(err, MANGO_E_IO, "%s: cannot be written to: %s", buf,
                        strerror(errno));
    return MANGO_OK;
}

mango_idx cli_missing(const char *path)
{
    char buf[4096];
    if (!mgi_copy(buf, (mango_idx)sizeof buf, path))
        return 0;
    for (mango_idx i = 1; buf[0]; i++) {
        const char was = buf[i];
        if (was && !sys_separator(was))
            continue;
        buf[i] = 0;
        if (sys_kind(buf) == 0)
            return i;
        buf[i] = was;
        if (!was)
            break;
    }
    return 0;
}

void cli_rmdir(const char *path, mango_idx from)
{
    char buf[4096];
    if (from == 0 || !mgi_copy(buf, (mango_idx)sizeof buf, path))
        return;
    for (mango_idx i = (mango_idx)strlen(buf); i >= from; i--) {
        buf[i] = 0;
        const int whole = sys_separator(path[i]) || !path[i];
        if (whole && sys_folder_remove(buf) != 0 && errno != ENOENT)
            return;
    }
}
