/* zoo.c - architectures by name: reads a specification, calls the builder.
 * SPDX-License-Identifier: MIT */
#include "zoo.h"
#include <stdio.h>

/* Input statistics, and the range of a generator's pictures. */
#define ZOO_CIFAR {0.4914f, 0.4822f, 0.4465f}, {0.2471f, 0.2435f, 0.2616f}, 1, 0
#define ZOO_IMAGENET {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 1, 0
#define ZOO_SIGNED                                                                         \
    {0.5f, 0.5f, 0.5f},                                                                    \
    {                                                                                      \
        0.5f, 0.5f, 0.5f                                                                   \
    }
#define ZOO_UNSET                                                                          \
    {0, 0, 0},                                                                             \
    {                                                                                      \
        1, 1, 1                                                                            \
    }

typedef struct zoo_arch {
    const char *name;
    void (*build)(mango_net *n, const mgi_zoo *z);
    const char *keys; /* that its specification may set, each followed by a space */
    mango_idx size;   /* of its square RGB pictures */
    mango_idx classes, T;
    float mean[3], std[3], out_scale, out_shift;
    const char *lif; /* its neurons' rule, as attributes */
    const int *plan; /* of a family */
    int stem;        /* or, of vgg, 1 with batch-norm */
} zoo_arch;

/* Blocks of each layer, 1: bottlenecks. Dense layers of each block, growth. */
static const int zoo_resnet18[] = {2, 2, 2, 2, 0};
static const int zoo_resnet34[] = {3, 4, 6, 3, 0};
static const int zoo_resnet50[] = {3, 4, 6, 3, 1};
static const int zoo_resnet101[] = {3, 4, 23, 3, 1};
static const int zoo_resnet152[] = {3, 8, 36, 3, 1};
static const int zoo_densenet121[] = {6, 12, 24, 16, 32};
static const int zoo_densenet161[] = {6, 12, 36, 24, 48};
static const int zoo_densenet169[] = {6, 12, 32, 32, 32};
static const int zoo_densenet201[] = {6, 12, 48, 32, 32};
/* Channels of convolutions, 0 a pool, -1 the end. */
static const int zoo_vgg11[] = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1};
static const int zoo_vgg13[] = {64, 64,  0,   128, 128, 0,   256, 256,
                                0,  512, 512, 0,   512, 512, 0,   -1};
static const int zoo_vgg16[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 0,
                                512, 512, 512, 0,   512, 512, 512, 0,   -1};
static const int zoo_vgg19[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 256, 0,
                                512, 512, 512, 512, 0,   512, 512, 512, 512, 0,   -1};

static const zoo_arch zoo_list[] = {
    {"sngan", mgi_zoo_sngan, "width latent out classes ", 32, 0, 1, ZOO_UNSET, 0.5f, 0.5f,
     NULL, NULL, 0},
    {"sngan_dsc", mgi_zoo_sngan_dsc, "width in classes sn ", 32, 0, 1, ZOO_SIGNED, 1, 0,
     NULL, NULL, 0},
    {"vqvae", mgi_zoo_vqvae, "width in hidden codes dim ", 32, 0, 1, ZOO_SIGNED, 0.5f, 0.5f,
     NULL, NULL, 0},
    {"snn_conv", mgi_zoo_snn_conv, "width in hidden classes T lif ", 32, 10, 100, ZOO_CIFAR,
     "preset=snntorch slope=10", NULL, 0},
    {"spiking_resnet18", mgi_zoo_spiking_resnet, "width in classes stem T lif ", 32, 10, 50,
     ZOO_CIFAR, "preset=spikingjelly detach_reset=1", zoo_resnet18, 7},
    {"spiking_resnet34", mgi_zoo_spiking_resnet, "width in classes stem T lif ", 32, 10, 50,
     ZOO_CIFAR, "preset=spikingjelly detach_reset=1", zoo_resnet34, 7},
    {"spiking_resnet50", mgi_zoo_spiking_resnet, "width in classes stem T lif ", 32, 10, 50,
     ZOO_CIFAR, "preset=spikingjelly detach_reset=1", zoo_resnet50, 7},
    {"spiking_resnet101", mgi_zoo_spiking_resnet, "width in classes stem T lif ", 32, 10,
     50, ZOO_CIFAR, "preset=spikingjelly detach_reset=1", zoo_resnet101, 7},
    {"spiking_resnet152", mgi_zoo_spiking_resnet, "width in classes stem T lif ", 32, 10,
     50, ZOO_CIFAR, "preset=spikingjelly detach_reset=1", zoo_resnet152, 7},
    {"resnet18", mgi_zoo_resnet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_resnet18, 3},
    {"resnet34", mgi_zoo_resnet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_resnet34, 3},
    {"resnet50", mgi_zoo_resnet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_resnet50, 3},
    {"resnet101", mgi_zoo_resnet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_resnet101, 3},
    {"resnet152", mgi_zoo_resnet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_resnet152, 3},
    {"densenet", mgi_zoo_densenet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_densenet161, 3},
    {"densenet121", mgi_zoo_densenet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_densenet121, 3},
    {"densenet161", mgi_zoo_densenet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_densenet161, 3},
    {"densenet169", mgi_zoo_densenet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_densenet169, 3},
    {"densenet201", mgi_zoo_densenet, "width in classes stem ", 32, 10, 1, ZOO_CIFAR, NULL,
     zoo_densenet201, 3},
    {"alexnet", mgi_zoo_alexnet, "in classes ", 224, 1000, 1, ZOO_IMAGENET, NULL, NULL, 0},
    {"vgg11", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg11, 0},
    {"vgg13", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg13, 0},
    {"vgg16", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg16, 0},
    {"vgg19", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg19, 0},
    {"vgg11_bn", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg11, 1},
    {"vgg13_bn", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg13, 1},
    {"vgg16_bn", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg16, 1},
    {"vgg19_bn", mgi_zoo_vgg, "in classes hidden pool ", 224, 1000, 1, ZOO_IMAGENET, NULL,
     zoo_vgg19, 1},
};

MGI_FN const char *mgi_zoo_at(mango_idx i)
{
    return i >= 0 && i < MGI_COUNT(zoo_list) ? zoo_list[i].name : NULL;
}

/* Keys of a neuron rule: checked by the LIF nodes' own attributes. */
static const char zoo_lif_keys[] =
    "preset beta tau decay_input input_gain U_thr fires_on reset U_reset reset_delay "
    "detach_reset surrogate slope ";

MGI_FN mango_idx mgi_zoo_wide(const mgi_zoo *z, mango_idx c)
{
    if (z->width == 1)
        return c;
    const mango_idx eighths = (mango_idx)(z->width * (double)c / 8 + 0.5);
    return 8 * MGI_MAX(eighths, 1);
}

MGI_FN const char *mgi_zoo_name(mgi_zoo_label *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->z, sizeof b->z, fmt, ap);
    va_end(ap);
    return b->z;
}

MGI_FN int mgi_zoo_join(mango_net *n, const char *name, mgi_kind kind, int a, int b)
{
    const int in[2] = {a, b};
    return mgi_net_node(n, name, kind, 2, in, "");
}

/* ---- the specification ------------------------------------------------------ */

/* Is key one of the words of list? */
static int zoo_has(const char *list, const char *key)
{
    const size_t n = strlen(key);
    for (; *list; list += strcspn(list, " ") + 1)
        if (strcspn(list, " ") == n && !memcmp(list, key, n))
            return 1;
    return 0;
}

/* "CxHxW", or "C" for a vector. */
static int zoo_shape(mgi_zoo *z, const char *v)
{
    int64_t d[3];
    char part[16];
    for (int k = 0; k < 3; k++) {
        const size_t n = strcspn(v, "x");
        if (n >= sizeof part || (k < 2) != (v[n] == 'x'))
            return 0;
        memcpy(part, v, n);
        part[n] = 0;
        if (!mgi_parse_int(part, 1, 4096, &d[k]))
            return 0;
        v += n + (v[n] == 'x');
    }
    z->C = (mango_idx)d[0];
    z->H = (mango_idx)d[1];
    z->W = (mango_idx)d[2];
    return 1;
}

/* Append " key=value" to the rule; a preset goes to its front. */
static int zoo_rule(mgi_zoo *z, const char *key, const char *v)
{
    char old[sizeof z->lif];
    memcpy(old, z->lif, sizeof old);
    const int front = !strcmp(key, "preset");
    const int n = front ? snprintf(z->lif, sizeof z->lif, " %s=%s%s", key, v, old)
                        : snprintf(z->lif, sizeof z->lif, "%s %s=%s", old, key, v);
    return n > 0 && (size_t)n < sizeof z->lif;
}

/* The architecture's own rule, but for the keys that were set. */
static int zoo_rule_base(mgi_zoo *z, const char *base, const char *seen)
{
    char user[sizeof z->lif], key[32], value[32];
    if (!base || zoo_has(seen, "preset"))
        return 1;
    memcpy(user, z->lif, sizeof user);
    z->lif[0] = 0;
    for (; *base; base += strcspn(base, " "), base += *base == ' ')
        if (sscanf(base, "%31[^=]=%31[^ ]", key, value) == 2 && !zoo_has(seen, key) &&
            !zoo_rule(z, key, value))
            return 0;
    const size_t used = strlen(z->lif);
    return mgi_copy(z->lif + used, (mango_idx)(sizeof z->lif - used), user);
}

static int zoo_set(mgi_zoo *z, const char *key, const char *v)
{
    const struct {
        const char *key;
        mango_idx *at;
        int64_t hi;
    } whole[] = {{"classes", &z->classes, 65536}, {"T", &z->T, MGI_MAX_T},
                 {"hidden", &z->hidden, 65536},   {"codes", &z->codes, 65536},
                 {"dim", &z->dim, 65536},         {"latent", &z->latent, 65536},
                 {"pool", &z->pool, 64}};
    int64_t i;
    if (!strcmp(key, "width"))
        return mgi_parse_real(v, &z->width) && z->width > 0 && z->width <= 16;
    if (!strcmp(key, "in") || !strcmp(key, "out"))
        return zoo_shape(z, v);
    if (!strcmp(key, "stem")) {
        z->stem = !strcmp(v, "7") ? 7 : 3;
        return z->stem == 7 || !strcmp(v, "3");
    }
    if (!strcmp(key, "sn")) {
        z->divide = strcmp(v, "0") != 0;
        return !z->divide || !strcmp(v, "1");
    }
    if (!strcmp(key, "hidden") && !strcmp(v, "0")) { /* vgg: none */
        z->hidden = 0;
        return z->pool > 0;
    }
    for (int k = 0; k < (int)MGI_COUNT(whole); k++)
        if (!strcmp(key, whole[k].key)) {
            const int ok = mgi_parse_int(v, 1, whole[k].hi, &i);
            *whole[k].at = ok ? (mango_idx)i : 1;
            return ok;
        }
    return zoo_rule(z, key, v);
}

static mango_status zoo_keys(const zoo_arch *a, mgi_zoo *z, char *rest, mango_err *err)
{
    char seen[512] = "";
    while (rest) {
        char *item = rest, *eq;
        rest = strchr(rest, ',');
        if (rest)
            *rest++ = 0;
        eq = strchr(item, '=');
        if (!eq || eq == item || !eq[1])
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: '%.40s' is not key=value", a->name,
                            item);
        *eq = 0;
        const int rule = zoo_has(a->keys, "lif") && zoo_has(zoo_lif_keys, item);
        if (!rule && (!zoo_has(a->keys, item) || !strcmp(item, "lif")))
            return mgi_fail(err, MANGO_E_NAME,
                            "zoo:%s: unknown key '%.40s', expected one of: %s", a->name,
                            item, a->keys);
        if (zoo_has(seen, item))
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: key '%s' is given twice", a->name,
                            item);
        strcat(strcat(seen, item), " "); /* all known keys together fit */
        if (strpbrk(eq + 1, " \t") || !zoo_set(z, item, eq + 1))
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: %s=%.40s is out of range", a->name,
                            item, eq + 1);
    }
    if (!zoo_rule_base(z, a->lif, seen))
        return mgi_fail(err, MANGO_E_LIMIT, "zoo:%s: the neurons' rule is too long",
                        a->name);
    return MANGO_OK;
}

static mango_status zoo_build(mango_net *n, const zoo_arch *a, const mgi_zoo *z,
                              mango_err *err)
{
    memcpy(n->mean, a->mean, sizeof n->mean);
    memcpy(n->std, a->std, sizeof n->std);
    if (z->C == 1 && a->classes) { /* grey classifiers: the statistics of MNIST */
        for (int c = 0; c < 3; c++) {
            n->mean[c] = 0.1307f;
            n->std[c] = 0.3081f;
        }
    }
    n->out_scale = a->out_scale;
    n->out_shift = a->out_shift;
    n->T = z->T;
    a->build(n, z);
    return mgi_net_finish(n, err);
}

static const zoo_arch *zoo_find(const char *name, mango_err *err)
{
    const char *names[MGI_COUNT(zoo_list)];
    char near[160] = "";
    for (int i = 0; i < (int)MGI_COUNT(zoo_list); i++) {
        names[i] = zoo_list[i].name;
        if (!strcmp(name, names[i]))
            return &zoo_list[i];
    }
    mgi_near(name, MGI_COUNT(zoo_list), names, near, (mango_idx)sizeof near);
    mgi_fail(err, MANGO_E_NAME, "no architecture '%.60s'; near: %s", name, near);
    return NULL;
}

mango_status mango_net_zoo(mango_net **net, const char *spec, const mango_alloc *al,
                           mango_err *err)
{
    char text[512];
    MGI_CHECK(err, net && spec, "mango_net_zoo: a NULL argument");
    *net = NULL;
    if (!mgi_copy(text, (mango_idx)sizeof text, spec))
        return mgi_fail(err, MANGO_E_LIMIT, "zoo: the specification is over 511 bytes");
    char *rest = strchr(text, ',');
    if (rest)
        *rest++ = 0;
    const zoo_arch *a = zoo_find(text, err);
    if (!a)
        return MANGO_E_NAME;
    mgi_zoo z = {.width = 1,
                 .C = 3,
                 .H = a->size,
                 .W = a->size,
                 .classes = a->classes,
                 .T = a->T,
                 .codes = 512,
                 .dim = 64,
                 .latent = 128,
                 .stem = a->stem,
                 .plan = a->plan,
                 .divide = 1};
    if (a->build == mgi_zoo_vgg) {
        z.norm = a->stem;
        z.hidden = 4096;
        z.pool = 7;
    }
    MGI_TRY(zoo_keys(a, &z, rest, err));
    mango_net *n;
    if (mgi_net_new(&n, a->name, al) < 0)
        return mgi_fail(err, MANGO_E_MEM, "zoo:%s: no memory", a->name);
    const mango_status st = zoo_build(n, a, &z, err);
    if (st < 0)
        mango_net_destroy(n);
    else
        *net = n;
    return st;
}

#undef ZOO_CIFAR
#undef ZOO_IMAGENET
#undef ZOO_SIGNED
#undef ZOO_UNSET
