/* test_import_fit.c - tensors under the names of other sources: what torch.compile and
 * DataParallel put in, torchvision's and older names, weights in parts, what may be left
 * over, renamings; architectures completed by shapes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_FIT_MOST = 640 };

typedef struct t_fit_set {
    mango_offers o;
    mango_offer offer[T_FIT_MOST];
    char name[T_FIT_MOST][200];
    float first[T_FIT_MOST]; /* value k of a tensor: first + k */
} t_fit_set;

static mango_status t_fit_values(void *ud, mango_idx i, float *out, mango_err *err)
{
    const t_fit_set *s = (const t_fit_set *)ud;
    mango_idx n = 1;
    (void)err;
    for (int r = 0; r < s->offer[i].rank; r++)
        n *= s->offer[i].shape[r];
    for (mango_idx k = 0; k < n; k++)
        out[k] = s->first[i] + (float)k;
    return MANGO_OK;
}

static t_fit_set *t_fit_new(void)
{
    static t_fit_set s;
    memset(&s, 0, sizeof s);
    mango_offers_defaults(&s.o);
    s.o.offer = s.offer;
    s.o.values = t_fit_values;
    s.o.ud = &s;
    return &s;
}

static void t_fit_add(t_fit_set *s, const char *name, float first, int rank, mango_idx a,
                      mango_idx b, mango_idx c, mango_idx d)
{
    const mango_idx shape[4] = {a, b, c, d};
    mango_offer *o = &s->offer[s->o.n];
    snprintf(s->name[s->o.n], sizeof s->name[0], "%s", name);
    o->name = s->name[s->o.n];
    o->rank = rank;
    memcpy(o->shape, shape, sizeof shape);
    s->first[s->o.n++] = first;
}

/* Every parameter of a net, the text `from` in its name replaced by `to`. */
static t_fit_set *t_fit_net(const char *spec, const char *from, const char *to)
{
    t_fit_set *s = t_fit_new();
    mango_net *net = NULL;
    mango_err err = {""};
    if (!T_OK(mango_net_zoo(&net, spec, NULL, &err), &err))
        return s;
    for (int i = 0; i < net->n_params && i < T_FIT_MOST; i++) {
        const mgi_param *p = &net->param[i];
        const char *at = *from ? strstr(p->name, from) : NULL;
        char name[200];
        snprintf(name, sizeof name, "%.*s%s%s", at ? (int)(at - p->name) : 0, p->name,
                 at ? to : "", at ? at + strlen(from) : p->name);
        t_fit_add(s, name, 1, p->rank, p->shape[0], p->shape[1], p->shape[2], p->shape[3]);
    }
    mango_net_destroy(net);
    return s;
}

static mango_status t_fit_into(const char *spec, t_fit_set *s, mango_match_info *r,
                               mango_err *err)
{
    mango_net *net = NULL;
    mango_match *m = NULL;
    memset(r, 0, sizeof *r);
    mango_status st = mango_net_zoo(&net, spec, NULL, err);
    if (st >= 0)
        st = mango_net_match(net, &s->o, &m, err);
    if (m)
        mango_match_get(m, r);
    r->strip = r->add = r->unused = "";
    mango_match_destroy(m);
    mango_net_destroy(net);
    return st;
}

/* Names that mean the same. */
static void t_fit_names(void)
{
    static const struct {
        const char *from_spec, *from, *to, *spec;
    } t[] = {
        {"resnet18,width=0.1,stem=7", "", "", "resnet18,width=0.1,stem=7"},
        {"resnet18,width=0.1", "layer1.", "layer1._orig_mod.", "resnet18,width=0.1"},
        {"resnet18,width=0.1", "layer2.0.", "layer2.module.0.", "resnet18,width=0.1"},
        {"resnet18,width=0.1", "shortcut", "downsample", "resnet18,width=0.1"},
        {"resnet18,width=0.1", "linear", "fc", "resnet18,width=0.1"},
        {"resnet34,width=0.1,stem=7", "fc.", "head.", "resnet34,width=0.1,stem=7"},
        {"densenet121,width=0.25", ".norm1", ".norm.1", "densenet121,width=0.25"},
        {"densenet121,width=0.25", ".conv2", ".conv.2", "densenet121,width=0.25"},
        {"spiking_resnet50,width=0.1", "", "", "spiking_resnet50,width=0.1"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        mango_match_info r;
        mango_err err = {""};
        t_fit_set *s = t_fit_net(t[i].from_spec, t[i].from, t[i].to);
        T_OK(t_fit_into(t[i].spec, s, &r, &err), &err);
        T_EQ(r.filled, s->o.n);
    }
}

/* What is left over is refused, with the way to pass over it; then passed over. */
static void t_fit_left(void)
{
    static const char *const ignore[] = {"criterion.*", NULL}, *const all[] = {"*", NULL};
    mango_match_info r;
    mango_err err = {""};
    t_fit_set *s = t_fit_net("snn_conv,width=0.04", "features.", "model.features.");
    t_fit_add(s, "criterion.weight", 1, 1, 10, 0, 0, 0);
    T_STATUS(t_fit_into("snn_conv,width=0.04", s, &r, &err), MANGO_E_SHAPE);
    T_CHECK(strstr(err.text, "--ignore 'criterion.weight'") != NULL);
    s->o.ignore = ignore;
    T_OK(t_fit_into("snn_conv,width=0.04", s, &r, &err), &err);
    T_EQ(r.ignored, 1);
    s->o.ignore = all; /* no parameter is ignored by it */
    T_OK(t_fit_into("snn_conv,width=0.04", s, &r, &err), &err);
    T_EQ(r.filled, 8);
    t_fit_add(s, "n_averaged", 1, 0, 0, 0, 0, 0);
    s->o.ignore = ignore;
    T_OK(t_fit_into("snn_conv,width=0.04", s, &r, &err), &err);
    T_EQ(r.ignored, 2);
}

static void t_fit_renamed(void)
{
    static const char *const rename[] = {"stem.first=conv0", "trunk=features", NULL};
    static const char *const bad[] = {"noequals", NULL};
    mango_match_info r;
    mango_err err = {""};
    t_fit_set *s = t_fit_net("snn_conv,width=0.04", "features.conv0", "trunk.stem.first");
    T_STATUS(t_fit_into("snn_conv,width=0.04", s, &r, &err), MANGO_E_SHAPE);
    s->o.rename = rename;
    T_OK(t_fit_into("snn_conv,width=0.04", s, &r, &err), &err);
    s->o.rename = bad;
    T_STATUS(t_fit_into("snn_conv,width=0.04", s, &r, &err), MANGO_E_ARG);
}

/* W (2,3) = 1..6, u = (1,2), v = (0,1,2): Wv = (8,17), u.Wv = 42; both forms. */
static void t_fit_spectral(void)
{
    static const char graph[] = "mango-graph 1\nnet arch=g\nx input - shape=3\n"
                                "fc linear x out=2 bias=0\n";
    static const char *const form[2][3] = {
        {"fc.weight_orig", "fc.weight_u", "fc.weight_v"},
        {"fc.parametrizations.weight.original", "fc.parametrizations.weight.0._u",
         "fc.parametrizations.weight.0._v"}};
    for (int k = 0; k < 2; k++) {
        mango_net *net = NULL;
        mango_match *m = NULL;
        mango_err err = {""};
        t_fit_set *s = t_fit_new();
        t_fit_add(s, form[k][0], 1, 2, 2, 3, 0, 0);
        t_fit_add(s, form[k][1], 1, 1, 2, 0, 0, 0);
        t_fit_add(s, form[k][2], 0, 1, 3, 0, 0, 0);
        T_OK_OR_RETURN(mango_net_parse(&net, graph, (mango_idx)strlen(graph), NULL, &err),
                       &err);
        if (T_OK(mango_net_match(net, &s->o, &m, &err), &err)) {
            T_REL(net->param[0].v[0], 1.0 / 42, 1e-7);
            T_REL(net->param[0].v[5], 6.0 / 42, 1e-7);
        }
        mango_match_destroy(m);
        mango_net_destroy(net);
    }
}

/* v (2,2) = 3 4 5 6, g (2,1) = 10, 11: rows of length 5 and sqrt(61). */
static void t_fit_norm(void)
{
    static const char graph[] = "mango-graph 1\nnet arch=g\nx input - shape=2\n"
                                "fc linear x out=2 bias=0\n";
    mango_net *net = NULL;
    mango_match *m = NULL;
    mango_err err = {""};
    t_fit_set *s = t_fit_new();
    t_fit_add(s, "fc.weight_v", 3, 2, 2, 2, 0, 0);
    t_fit_add(s, "fc.weight_g", 10, 2, 2, 1, 0, 0);
    T_OK_OR_RETURN(mango_net_parse(&net, graph, (mango_idx)strlen(graph), NULL, &err), &err);
    if (T_OK(mango_net_match(net, &s->o, &m, &err), &err)) {
        T_REL(net->param[0].v[0], 6, 1e-6);
        T_REL(net->param[0].v[3], 6 * 11 / 7.8102496759, 1e-6);
    }
    mango_match_destroy(m);
    mango_net_destroy(net);
}

/* A graph that divides weights by their norm does not take divided ones. */
static void t_fit_twice(void)
{
    mango_match_info r;
    mango_err err = {""};
    t_fit_set *s = t_fit_net("sngan_dsc,width=0.1,sn=0", "l5.weight", "l5.weight_orig");
    for (mango_idx i = 0; i < s->o.n; i++)
        if (!strcmp(s->name[i], "l5.weight_orig")) {
            const mango_idx n = s->offer[i].shape[1];
            t_fit_add(s, "l5.weight_u", 1, 1, 1, 0, 0, 0);
            t_fit_add(s, "l5.weight_v", 1, 1, n, 0, 0, 0);
            break;
        }
    T_STATUS(t_fit_into("sngan_dsc,width=0.1", s, &r, &err), MANGO_E_UNSUPPORTED);
    T_OK(t_fit_into("sngan_dsc,width=0.1,sn=0", s, &r, &err), &err);
}

/* Shapes complete a specification; keys that are given stay. */
static void t_fit_infer(void)
{
    static const struct {
        const char *tensors, *spec, *want;
        int fits;
    } t[] = {
        {"resnet18,width=0.25,stem=7,classes=7,in=1x32x32", "resnet18",
         "resnet18,in=1x32x32,stem=7,width=0.25,classes=7", 1},
        {"densenet121,width=0.25,stem=7", "densenet121", "densenet121,stem=7,width=0.25", 1},
        {"vgg11_bn,hidden=0,pool=1,classes=10", "vgg11_bn",
         "vgg11_bn,hidden=0,pool=1,classes=10", 1},
        {"snn_conv,width=0.04,hidden=12,classes=3", "snn_conv,width=0.04",
         "snn_conv,width=0.04,hidden=12,classes=3", 1},
        {"resnet18,width=0.25", "resnet18,width=0.5", "resnet18,width=0.5", 0},
        {"resnet18,width=0.25", "densenet121", "densenet121", 0},
    };
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        char spec[512];
        int fits = -1;
        mango_err err = {""};
        t_fit_set *s = t_fit_net(t[i].tensors, "", "");
        T_OK(mango_net_zoo_infer(t[i].spec, &s->o, spec, 512, &fits, &err), &err);
        T_EQ(fits, t[i].fits);
        T_STR(spec, t[i].want);
    }
}

static void t_fit_which(void)
{
    char all[512];
    mango_idx n = -1;
    mango_err err = {""};
    t_fit_set *s = t_fit_net("vgg13,classes=10", "", "");
    T_OK(mango_net_zoo_fits(&s->o, all, 512, &n, &err), &err);
    T_EQ(n, 1);
    T_STR(all, "vgg13,classes=10");
}

void t_import_fit(void)
{
    T_CASE(t_fit_names);
    T_CASE(t_fit_left);
    T_CASE(t_fit_renamed);
    T_CASE(t_fit_spectral);
    T_CASE(t_fit_norm);
    T_CASE(t_fit_twice);
    T_CASE(t_fit_infer);
    T_CASE(t_fit_which);
}
