/* verb_import.c - `mango import`: a weights file from a foreign checkpoint.
 * SPDX-License-Identifier: MIT */
#include "import.h"
#include "image.h"
#include "reference.h"

static const cli_doc import_doc = {
    "import", "make a weights file from a PyTorch checkpoint or an ONNX model",
    "mango import IN.pt|.pth|.pkl|.safetensors --arch NAME --out W [options]\n"
    "       mango import NET.onnx --out W [--set in=CxHxW]\n"
    "       mango import W [--reference DATA --root DIR] [--features NET,..] --out W2",
    "Reads the tensors of a checkpoint (nothing in it is ever run), fits them to an\n"
    "architecture by name, and writes a self-describing weights file. Names are taken as "
    "they\n"
    "are or with one prefix stripped or added throughout. Parameters that are missing, "
    "left\n"
    "over or of the wrong shape are listed, and nothing is written. A neuron's scalars set "
    "its\n"
    "rule: threshold, beta, reset_mechanism_val (snnTorch), w (SpikingJelly's "
    "ParametricLIF);\n"
    "one that no rule can honour is refused by name. The content says what a file is; a "
    "pipe\n"
    "is read, too.\n"
    "An ONNX model (PyTorch's torch.onnx.export, tf2onnx, MATLAB's exportONNXNetwork) brings\n"
    "its own architecture: its nodes become layers, named after the modules or weights of\n"
    "the source. A node that cannot be honoured is refused by name. Where the file leaves\n"
    "the size of the input open, --set in=CxHxW says it; mean and std of the pictures are\n"
    "0 and 1 unless set. A map (N,H,W,C) at either end is CxHxW here.\n"
    "A generator may carry reference codes, from which `mango mei` starts: with --reference\n"
    "a VQ-VAE encodes pictures of a data set (DATA as for `mango train`), as many of each\n"
    "class, and with --features networks describe them by 64 numbers each: principal\n"
    "components of what their layers answer on the average over a picture, and of what the\n"
    "last linear layer reads. Any networks that take such pictures will do, best trained\n"
    "ones; only the numbers are kept. Without --arch the file is a weights file, which gets\n"
    "these beside what it has.\n",
    "  mango import snn_cifar10.pt --arch snn_conv --out snn.safetensors\n"
    "  mango import ckpt.pth --arch resnet18 --prefix module --out r18.safetensors\n"
    "  mango import net.onnx --set mean=0.485,0.456,0.406,std=0.229,0.224,0.225 "
    "--out n.safetensors\n"
    "  mango import net.pt --arch snn_conv --set mean=0.5,0.5,0.5,std=0.5,0.5,0.5,T=50 "
    "--out n.safetensors\n"
    "  mango import vae_vq_cifar10.pt --arch vqvae --reference cifar10 --root data/cifar10 \\\n"
    "    --features sr18,snn --out vae.safetensors\n"
    "  mango import vqvae_cifar10.safetensors --features my_net --out mine.safetensors\n"};

typedef struct verb_import_args {
    const char *arch, *out, *prefix, *dtype, *set[17];
    const char *reference, *root, *features;
    int64_t references;
} verb_import_args;

/* NAME[,k=v] and the --set pairs that belong to the architecture. */
static mango_status verb_import_build(const verb_import_args *a, mango_net **net,
                                      mango_err *err)
{
    mgi_str spec;
    mango_status st = MANGO_OK;
    mgi_str_init(&spec, NULL);
    mgi_str_puts(&spec, strncmp(a->arch, "zoo:", 4) ? a->arch : a->arch + 4);
    for (int i = 0; a->set[i] && st >= 0; i++)
        st = import_settings(a->set[i], NULL, &spec, err);
    if (st >= 0)
        st = spec.bad ? MANGO_E_MEM : mango_net_zoo(net, spec.p, NULL, err);
    mgi_str_free(&spec);
    for (int i = 0; a->set[i] && st >= 0; i++)
        st = import_settings(a->set[i], *net, NULL, err);
    return st;
}

/* Where the weights come from: file name without its folder, SHA-256 of what was read. */
static mango_status verb_import_origin(mango_net *net, const char *path, const char *hex)
{
    const char *base = strrchr(path, '/');
    mango_net_info info;
    base = base ? base + 1 : path;
    MGI_TRY(mango_net_get(net, &info));
    MGI_TRY(mango_net_meta_set(net, "source", base));
    MGI_TRY(mango_net_meta_set(net, "source_sha256", hex));
    MGI_TRY(mango_net_meta_set(net, "trainer", "imported"));
    return mango_net_meta_set(net, "arch", info.arch);
}

static void verb_import_json(cli *c, const char *out, const mango_net_info *net,
                             const mango_archive_info *from, const mango_match_info *r)
{
    const char *const fact[][2] = {{"out", out},          {"arch", net->arch},
                                   {"format", from->format}, {"stripped", r->strip},
                                   {"added", r->add},     {"source_sha256", from->sha256}};
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (mango_idx i = 0; i < MGI_COUNT(fact); i++) {
        mgi_str_puts(&s, i ? "," : "{");
        cli_quote(&s, fact[i][0], fact[i][1]);
    }
    mgi_str_printf(&s, ",\"parameters\":%td,\"rules\":%td,\"ignored\":%td}", r->filled,
                   r->rules, r->ignored);
    cli_json(c, &s);
    mgi_str_free(&s);
}

static void verb_import_result(cli *c, const char *out, const mango_net_info *net,
                               const mango_archive_info *from, const mango_match_info *r)
{
    const int model = !strcmp(from->format, "onnx");
    cli_print(c,
              "%s: %td parameters of %s from %s%s%s%s%s, %td neuron values, %td "
              "tensors of no use\n",
              out, r->filled, model ? "a network" : net->arch, model ? "an ONNX model" : "a ",
              model ? "" : from->format, model ? "" : " checkpoint",
              *from->under ? ", under " : "", from->under, r->rules, r->ignored);
    if (*r->strip || *r->add)
        cli_print(c, "names: prefix '%s' stripped, '%s' added\n", r->strip, r->add);
    cli_print(c, "inputs: (x - mean)/std with mean %g,%g,%g and std %g,%g,%g\n",
              (double)net->mean[0], (double)net->mean[1], (double)net->mean[2],
              (double)net->std[0], (double)net->std[1], (double)net->std[2]);
    verb_import_json(c, out, net, from, r);
}

/* What a generator carries beside its weights. */
static mango_status verb_import_reference(cli *c, const verb_import_args *a, mango_net *net,
                                          mango_err *err)
{
    if (a->features)
        MGI_TRY(reference_check(net, a->features, err));
    if (a->reference)
        MGI_TRY(reference_encode(c, net, a->reference, a->root, (mango_idx)a->references, err));
    return a->features ? reference_features(c, net, a->features, err) : MANGO_OK;
}

/* What was read goes out, with its origin and what else was asked for. */
static mango_status verb_import_save(cli *c, const verb_import_args *a, mango_net *net,
                                     const mango_archive *file, const mango_match_info *r,
                                     mango_err *err)
{
    mango_archive_info from;
    mango_net_info info;
    MGI_TRY(mango_archive_get(file, &from));
    if (verb_import_origin(net, c->pos[0], from.sha256) < 0)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", c->pos[0]);
    MGI_TRY(verb_import_reference(c, a, net, err));
    MGI_TRY(mango_net_save(net, a->out, a->dtype ? a->dtype : "F32", err));
    MGI_TRY(mango_net_get(net, &info));
    verb_import_result(c, a->out, &info, &from, r);
    return MANGO_OK;
}

/* Read, match, save; what does not fit is said, a line each. */
static mango_status verb_import_all(cli *c, const verb_import_args *a, mango_net *net,
                                    mango_archive **file, mango_match **match, mango_err *err)
{
    mango_match_info r;
    MGI_TRY(mango_archive_open(file, c->pos[0], image_codecs(), NULL, err));
    const mango_status st = mango_archive_import(*file, net, a->prefix, match, err);
    for (mango_idx i = 0; st < 0 && i < mango_match_lines(*match); i++)
        cli_note(c, "%s", mango_match_line(*match, i));
    MGI_TRY(st);
    MGI_TRY(mango_match_get(*match, &r));
    return verb_import_save(c, a, net, *file, &r, err);
}

/* ",in=CxHxW" and no other key, for a model that brings its architecture. */
static mango_status verb_import_size(const char *spec, mango_idx in[3], int *given,
                                     mango_err *err)
{
    char end;
    *given = spec && *spec;
    if (!*given)
        return MANGO_OK;
    in[1] = in[2] = 1;
    if (sscanf(spec, ",in=%tdx%tdx%td%c", &in[0], &in[1], &in[2], &end) == 3 ||
        sscanf(spec, ",in=%td%c", &in[0], &end) == 1)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_ARG,
                    "--set %s: of an ONNX model mean, std, out_scale, out_shift and in=CxHxW can "
                    "be set",
                    spec + 1);
}

/* An ONNX model: its graph and its tensors. */
static mango_status verb_import_model(cli *c, const verb_import_args *a, mango_net **net,
                                      mango_archive **file, mango_err *err)
{
    mango_match_info r = {"", "", 0, 0, 0, 0, 0, 0, ""};
    mango_idx in[3];
    mgi_str spec;
    int given = 0;
    mango_status st = MANGO_OK;
    mgi_str_init(&spec, NULL);
    for (int i = 0; a->set[i] && st >= 0; i++)
        st = import_settings(a->set[i], NULL, &spec, err);
    if (st >= 0)
        st = verb_import_size(spec.p, in, &given, err);
    mgi_str_free(&spec);
    MGI_TRY(st);
    MGI_TRY(mango_archive_open_shape(file, c->pos[0], given ? in : NULL, image_codecs(), NULL,
                                     err));
    MGI_TRY(cli_onnx_net(net, *file, err));
    for (int i = 0; a->set[i]; i++)
        MGI_TRY(import_settings(a->set[i], *net, NULL, err));
    r.filled = mango_net_params(*net);
    return verb_import_save(c, a, *net, *file, &r, err);
}

static int verb_import_run(cli *c, const verb_import_args *a)
{
    mango_net *net = NULL;
    mango_archive *file = NULL;
    mango_match *match = NULL;
    mango_err err = {""};
    mango_status st = a->arch ? verb_import_build(a, &net, &err)
                              : verb_import_model(c, a, &net, &file, &err);
    if (st >= 0 && a->arch)
        st = verb_import_all(c, a, net, &file, &match, &err);
    mango_match_destroy(match);
    mango_archive_destroy(file);
    mango_net_destroy(net);
    return st < 0 ? cli_fail(c, st, &err) : CLI_OK;
}

/* The type that its weights have; NULL after an error. */
static const char *verb_import_dtype(const char *path, mango_err *err)
{
    mango_archive *file = NULL;
    const char *type = "F16";
    mango_tensor t;
    if (mango_archive_open(&file, path, image_codecs(), NULL, err) < 0)
        return NULL;
    for (mango_idx i = 0; mango_archive_tensor(file, i, &t) >= 0; i++)
        if (t.rank > 1 && !strcmp(t.dtype, "F32"))
            type = "F32";
    mango_archive_destroy(file);
    return type;
}

/* A weights file gets reference codes, or features of those that it has; its weights,
 * graph and provenance stay. */
static int verb_import_again(cli *c, const verb_import_args *a)
{
    mango_net *net = NULL;
    mango_err err = {""};
    mgi_str s;
    char path[4096];
    const char *type = a->dtype;
    mango_status st = cli_net_path(c->pos[0], path, (mango_idx)sizeof path, &err);
    if (st >= 0)
        st = mango_net_load(&net, path, NULL, &err);
    if (st >= 0 && !type)
        type = verb_import_dtype(path, &err);
    if (st >= 0)
        st = type ? verb_import_reference(c, a, net, &err) : MANGO_E_FORMAT;
    if (st >= 0)
        st = mango_net_save(net, a->out, type, &err);
    if (st >= 0) {
        cli_print(c, "%s: weights of %s, and what was asked for\n", a->out, c->pos[0]);
        mgi_str_init(&s, NULL);
        mgi_str_puts(&s, "{");
        cli_quote(&s, "out", a->out);
        mgi_str_puts(&s, ",");
        cli_quote(&s, "arch", cli_info(net).arch);
        mgi_str_puts(&s, "}");
        cli_json(c, &s);
        mgi_str_free(&s);
    }
    mango_net_destroy(net);
    return st < 0 ? cli_fail(c, st, &err) : CLI_OK;
}

int verb_import(int argc, char **argv)
{
    verb_import_args a = {.references = 1000};
    const cli_opt opt[] = {
        {"--arch", CLI_STR, &a.arch, 0, 0, "NAME",
         "architecture of the zoo, NAME or NAME,k=v", 0},
        {"--out", CLI_STR, &a.out, 0, 0, "W", "weights file to write (.safetensors)", 1},
        {"--prefix", CLI_STR, &a.prefix, 0, 0, "P",
         "strip P. from the names; default: whatever fits best", 0},
        {"--set", CLI_MULTI, a.set, 0, 0, "K=V",
         "mean=,std= (inputs), out_scale=,out_shift= (pictures), or a key of the "
         "architecture",
         0},
        {"--dtype", CLI_STR, &a.dtype, 0, 0, "T",
         "F32 or F16; default F32, or what a weights file has", 0},
        {"--reference", CLI_STR, &a.reference, 0, 0, "DATA",
         "VQ-VAE: encode pictures of this data set as reference codes", 0},
        {"--root", CLI_STR, &a.root, 0, 0, "DIR", "where the data set lies", 0},
        {"--references", CLI_INT, &a.references, 1, 100000, "N",
         "how many, as many of each class; default 1000", 0},
        {"--features", CLI_STR, &a.features, 0, 0, "NET,..",
         "networks that describe the pictures of the reference codes", 0},
    };
    cli c;
    memset(&c, 0, sizeof c);
    int code = cli_parse(&c, &import_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (code >= 0)
        return code;
    if (c.n_pos != 1)
        return cli_usage(&c, "one checkpoint expected");
    if (a.dtype && strcmp(a.dtype, "F32") && strcmp(a.dtype, "F16"))
        return cli_usage(&c, "--dtype %s: F32 or F16 expected", a.dtype);
    if (!a.reference != !a.root)
        return cli_usage(&c, "--reference DATA and --root DIR go together");
    const int model = !a.arch && cli_kind_of(c.pos[0]) == 'o';
    if (model && a.prefix)
        return cli_usage(&c, "--prefix P goes with --arch NAME");
    if (!a.arch && !model && ((!a.reference && !a.features) || a.prefix || a.set[0]))
        return cli_usage(&c, "--arch NAME is missing");
    return a.arch || model ? verb_import_run(&c, &a) : verb_import_again(&c, &a);
}
