/* verb_import.c - `mango import`: a weights file from a foreign checkpoint.
 * SPDX-License-Identifier: MIT */
#include "import.h"
#include "image.h"
#include "reference.h"

static const cli_doc import_doc = {
    "import", "make a weights file from a checkpoint of another program",
    "mango import IN [--arch NAME | --graph FILE] --out W [options]\n"
    "       mango import NET.onnx --out W [--set in=CxHxW]\n"
    "       mango import W [--reference DATA --root DIR] [--features NET,..] --out W2",
    "IN: a checkpoint of PyTorch (torch.save), .safetensors, .npz or a model with its "
    "graph;\n"
    "its content says what it is, not its name; a pipe is read, too. Nothing in it is "
    "ever\n"
    "run: objects beside the weights are passed over, names that only an attack needs and\n"
    "whole pickled modules are refused (save the state_dict, or use mango_export.py).\n"
    "The network: --graph FILE, a graph's text (examples/graph.md) or a weights file "
    "whose\n"
    "graph is taken; --arch, whose stem, width, classes and head the shapes of the "
    "tensors\n"
    "say; or what IN holds itself, or the only architecture that fits.\n"
    "Which dict: net, model, state_dict, model_state_dict, or the only one of tensors, or "
    "the\n"
    "only one that fits; --key KEY.KEY says another.\n"
    "Names are taken as they are, without torch.compile's _orig_mod and DataParallel's\n"
    "module, with one prefix stripped or added, and by torchvision's names or those of "
    "older\n"
    "sources; --rename A=B changes a part. spectral_norm and weight_norm are worked in.\n"
    "Parameters that are missing, left over or of the wrong shape are listed, and nothing "
    "is\n"
    "written; --ignore says what may be left over. Counters, averages and membranes are\n"
    "passed over, and listed. A neuron's scalars set its rule: threshold, beta (clamped "
    "to\n"
    "[0,1] as snnTorch does), reset_mechanism_val, w (SpikingJelly's ParametricLIF); one "
    "that\n"
    "no rule can honour is refused by name.\n"
    "An ONNX model (PyTorch's torch.onnx.export, tf2onnx, MATLAB's exportONNXNetwork) brings\n"
    "its own architecture: its nodes become layers, named after the modules or weights of\n"
    "the source. A node that cannot be honoured is refused by name. Where the file leaves\n"
    "the size of the input open, --set in=CxHxW says it; mean and std of the pictures are\n"
    "0 and 1 unless set. A map (N,H,W,C) at either end is CxHxW here.\n"
    "A generator may carry reference codes, from which `mango mei` starts: with "
    "--reference\n"
    "a VQ-VAE encodes pictures of a data set (DATA as for `mango train`), as many of each\n"
    "class, and with --features networks describe them by 64 numbers each: principal\n"
    "components of what their layers answer on the average over a picture, and of what "
    "the\n"
    "last linear layer reads. Any networks that take such pictures will do, best trained\n"
    "ones; only the numbers are kept. Without --arch the file is a weights file, which "
    "gets\n"
    "these beside what it has.\n",
    "  mango import snn_cifar10.pt --arch snn_conv --out snn.safetensors\n"
    "  mango import resnet18-f37072fd.pth --arch resnet18 --out r18.safetensors\n"
    "  mango import own.pt --graph own.graph --out own.safetensors\n"
    "  mango import gan.pt --arch sngan --key generator --out g.safetensors\n"
    "  mango import ckpt.pth --arch resnet18 --ignore 'criterion.*' --rename head=fc \\\n"
    "    --out r18.safetensors\n"
    "  mango import net.onnx --set mean=0.485,0.456,0.406,std=0.229,0.224,0.225 "
    "--out n.safetensors\n"
    "  mango import net.pt --arch snn_conv --set mean=0.5,0.5,0.5,std=0.5,0.5,0.5,T=50 "
    "--out n.safetensors\n"
    "  mango import vae_vq_cifar10.pt --arch vqvae --reference cifar10 --root data/cifar10 "
    "\\\n"
    "    --features sr18,snn --out vae.safetensors\n"
    "  mango import vqvae_cifar10.safetensors --features my_net --out mine.safetensors\n"};

typedef struct verb_import_args {
    const char *arch, *graph, *key, *out, *prefix, *dtype, *set[17], *ignore[17],
        *rename[17];
    const char *reference, *root, *features;
    int64_t references;
} verb_import_args;

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
    const char *const fact[][2] = {
        {"out", out},           {"arch", net->arch}, {"format", from->format},
        {"stripped", r->strip}, {"added", r->add},   {"source_sha256", from->sha256}};
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (mango_idx i = 0; i < MGI_COUNT(fact); i++) {
        mgi_str_puts(&s, i ? "," : "{");
        cli_quote(&s, fact[i][0], fact[i][1]);
    }
    mgi_str_puts(&s, ",");
    cli_quote(&s, "under", from->under);
    mgi_str_puts(&s, ",");
    cli_quote(&s, "unused", r->unused);
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
    if (*r->unused)
        cli_print(c, "of no use: %s\n", r->unused);
    if (from->beside && *from->beside)
        cli_print(c, "beside the weights, passed over unread: %s\n", from->beside);
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
        MGI_TRY(
            reference_encode(c, net, a->reference, a->root, (mango_idx)a->references, err));
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

/* Remarks, a line each. */
static void verb_import_notes(cli *c, mgi_str *notes)
{
    for (char *p = notes->p, *end; p && *p; p = end + 1) {
        end = strchr(p, '\n');
        if (!end)
            return;
        *end = 0;
        cli_note(c, "%s", p);
    }
}

/* The tensors into the net; lines of what does not fit, or was changed. */
static mango_status verb_import_match(cli *c, const mango_archive *file,
                                      const import_source *from, mango_net *net,
                                      mango_match **match, mango_err *err)
{
    mango_offers o;
    mango_err sub = {""};
    MGI_TRY(import_offers(file, from, &o));
    const mango_status st = mango_net_match(net, &o, match, &sub);
    for (mango_idx i = 0; i < mango_match_lines(*match); i++)
        cli_note(c, "%s", mango_match_line(*match, i));
    if (st >= 0)
        return MANGO_OK;
    return mgi_fail(err, st, st == MANGO_E_SHAPE ? "%s %s" : "%s: %s", c->pos[0], sub.text);
}

/* Read, match, save. */
static mango_status verb_import_all(cli *c, const verb_import_args *a, mango_net **net,
                                    mango_archive **file, mango_match **match,
                                    mango_err *err)
{
    const import_source from = {a->arch, a->graph,  a->key,   a->prefix,
                                a->set,  a->ignore, a->rename};
    mango_match_info r;
    mgi_str notes;
    MGI_TRY(mango_archive_open(file, c->pos[0], image_codecs(), NULL, err));
    mgi_str_init(&notes, NULL);
    const mango_status st = import_build(*file, &from, net, &notes, err);
    verb_import_notes(c, &notes);
    mgi_str_free(&notes);
    MGI_TRY(st);
    MGI_TRY(verb_import_match(c, *file, &from, *net, match, err));
    MGI_TRY(mango_match_get(*match, &r));
    return verb_import_save(c, a, *net, *file, &r, err);
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
                    "--set %s: of an ONNX model mean, std, out_scale, out_shift and "
                    "in=CxHxW can be set",
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
    const int model = !a->arch && !a->graph && cli_kind_of(c->pos[0]) == 'o';
    const mango_status st = model ? verb_import_model(c, a, &net, &file, &err)
                                  : verb_import_all(c, a, &net, &file, &match, &err);
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
        {"--graph", CLI_STR, &a.graph, 0, 0, "FILE",
         "the network: a graph's text, or a file that holds one", 0},
        {"--out", CLI_STR, &a.out, 0, 0, "W", "weights file to write (.safetensors)", 1},
        {"--key", CLI_STR, &a.key, 0, 0, "K",
         "the dict of tensors in IN, keys joined by dots; `mango info IN` lists them", 0},
        {"--ignore", CLI_MULTI, a.ignore, 0, 0, "GLOB",
         "names that may be left over, for example 'criterion.*'; may be repeated", 0},
        {"--rename", CLI_MULTI, a.rename, 0, 0, "A=B",
         "the part A of names is B, nothing when B is empty; may be repeated", 0},
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
    if (a.arch && a.graph)
        return cli_usage(&c, "--arch and --graph exclude each other");
    for (int i = 0; a.rename[i]; i++)
        if (!strchr(a.rename[i], '=') || a.rename[i][0] == '=')
            return cli_usage(&c, "--rename %s: A=B expected", a.rename[i]);
    if (a.prefix && !a.arch && !a.graph && cli_kind_of(c.pos[0]) == 'o')
        return cli_usage(&c, "--prefix P goes with --arch NAME");
    const int other =
        a.arch || a.graph || a.key || a.prefix || a.set[0] || a.ignore[0] || a.rename[0];
    return !other && (a.reference || a.features) ? verb_import_again(&c, &a)
                                                 : verb_import_run(&c, &a);
}
