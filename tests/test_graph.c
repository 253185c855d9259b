/* test_graph.c - graph, text form and zoo: parameter lists against the source
 * frameworks' state dicts, exact round trips, strict refusals.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_graph_specs[] = {
    "sngan", "vqvae", "snn_conv", "spiking_resnet18", "resnet18", "densenet", "alexnet", "vgg16",
    "vgg19", "sngan_dsc", "sngan,width=0.25,latent=32,out=1x16x24", "sngan_dsc,width=0.1",
    "vqvae,in=1x28x28,hidden=20,codes=32,dim=6", "snn_conv,in=1x28x28,width=0.1,hidden=30,T=25",
    "snn_conv,preset=spikingjelly,slope=3", "snn_conv,beta=0.125,U_thr=0.7,classes=4",
    "spiking_resnet18,width=0.25,classes=100,T=8,tau=1.5", "resnet18,width=0.5",
    "sngan,width=0.0625,classes=10", "densenet,width=0.2", "alexnet,classes=10", "vgg16,in=3x64x64,classes=2"};

static mango_net *t_graph_zoo(const char *spec)
{
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&n, spec, NULL, &err), &err);
    return n;
}

/* ---- parameters ------------------------------------------------------------- */

/* Every entry of the state dict is a parameter of that shape, or foreign. */
static void t_graph_keys_of(const mgi_json *j, const mgi_json_value *arch)
{
    mango_net *n = t_graph_zoo(arch->key);
    int found = 0;
    if (!n)
        return;
    for (mango_idx at = arch->child; at >= 0; at = j->v[at].next) {
        const mgi_json_value *v = &j->v[at];
        const int p = mgi_param_find(n, v->key);
        if (p < 0) {
            if (!T_CHECK(mgi_param_foreign(n, v->key)))
                printf("  %s has no parameter %s\n", arch->key, v->key);
            continue;
        }
        found++;
        T_CHECK(!mgi_param_foreign(n, v->key));
        T_EQ(n->param[p].rank, v->n);
        for (int k = 0; k < n->param[p].rank; k++)
            T_EQ(n->param[p].shape[k], mgi_json_at(j, v, k)->i);
    }
    T_EQ(found, n->n_params);
    mango_net_destroy(n);
}

static void t_graph_keys(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *text = NULL;
    mango_idx size = 0, archs = 0;
    mgi_json j;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_file_read(t_golden("state_dict_keys.json"), 1 << 22, &al, &text, &size,
                                 &err),
                   &err);
    if (T_OK(mgi_json_parse(&j, (const char *)text, size, &al, &err), &err)) {
        for (mango_idx at = j.v[0].child; at >= 0; at = j.v[at].next, archs++)
            t_graph_keys_of(&j, &j.v[at]);
        mgi_json_free(&j);
    }
    T_EQ(archs, 9);
    mgi_del(&al, text, size + 1, 1);
}

/* Every spec: a limit kept, parameters of nodes in range, widths of 8. */
static void t_graph_zoo_sane(void)
{
    for (mango_idx s = 0; s < MGI_COUNT(t_graph_specs); s++) {
        mango_net *n = t_graph_zoo(t_graph_specs[s]);
        T_REQUIRE(n != NULL);
        T_CHECK(n->n_nodes <= MGI_MAX_NODES && n->output == n->n_nodes - 1);
        T_CHECK(n->input == 0);
        for (int i = 0; i < n->n_nodes; i++) {
            const mgi_node *q = &n->node[i];
            for (int k = 0; k < q->n_in; k++)
                T_CHECK(q->in[k] >= 0 && q->in[k] < i);
            T_CHECK(q->C >= 1 && q->H >= 1 && q->W >= 1);
            if (q->kind == MGI_CONV || q->kind == MGI_BATCHNORM)
                T_CHECK(q->weight >= 0);
        }
        mango_net_destroy(n);
    }
}

static void t_graph_shape_is(const char *spec, const char *layer, mango_idx C, mango_idx H,
                             mango_idx W)
{
    mango_net *n = t_graph_zoo(spec);
    mango_layer l;
    mango_idx i = -1;
    mango_err err = {""};
    T_REQUIRE(n != NULL);
    T_OK(mango_net_find(n, layer, &i, &err), &err);
    T_STATUS(mango_net_layer(n, i, &l), MANGO_OK);
    T_STR(l.name, layer);
    T_EQ(l.C, C);
    T_EQ(l.H, H);
    T_EQ(l.W, W);
    mango_net_destroy(n);
}

static void t_graph_shapes(void)
{
    t_graph_shape_is("sngan", "tanh", 3, 32, 32);
    t_graph_shape_is("sngan", "reshape", 256, 4, 4);
    t_graph_shape_is("sngan,out=1x16x24", "tanh", 1, 16, 24);
    t_graph_shape_is("sngan,classes=7", "class_softmax", 7, 1, 1);
    t_graph_shape_is("sngan_dsc", "block2.add", 128, 8, 8);
    t_graph_shape_is("sngan_dsc", "l5", 1, 1, 1);
    t_graph_shape_is("vqvae", "_vq_vae", 64, 8, 8);
    t_graph_shape_is("vqvae,in=1x28x28", "_vq_vae", 64, 7, 7);
    t_graph_shape_is("vqvae,in=1x28x28", "_decoder._conv_trans_2", 1, 28, 28);
    t_graph_shape_is("snn_conv", "spiking0", 200, 14, 14);
    t_graph_shape_is("snn_conv", "spiking1", 64, 5, 5);
    t_graph_shape_is("snn_conv,width=0.5", "spiking1", 32, 5, 5);
    t_graph_shape_is("snn_conv,width=0.5", "final_spiking", 10, 1, 1);
    t_graph_shape_is("snn_conv,in=1x28x28,width=0.1,hidden=30", "spiking2", 30, 1, 1);
    t_graph_shape_is("spiking_resnet18", "sn1", 64, 16, 16);
    t_graph_shape_is("spiking_resnet18", "layer4.1.sn2", 512, 1, 1);
    t_graph_shape_is("resnet18", "layer4.1.relu2", 512, 4, 4);
    t_graph_shape_is("densenet", "features.norm5", 2208, 2, 2);
    t_graph_shape_is("alexnet", "avgpool", 256, 6, 6);
    t_graph_shape_is("vgg19", "features.36", 512, 7, 7);
}

static void t_graph_time(void)
{
    mango_net *n = t_graph_zoo("snn_conv,T=33");
    T_REQUIRE(n != NULL);
    T_EQ(mango_net_steps(n), 33);
    T_EQ(n->node[mgi_net_find(n, "spiking0")].spiking_input, 0);
    T_EQ(n->node[mgi_net_find(n, "conv1")].spiking_input, 1);
    const mango_lif *r = &n->node[mgi_net_find(n, "spiking0")].lif;
    T_NEAR(r->beta, 0.9f, 0);
    T_NEAR(r->slope, 10, 0);
    T_EQ(r->reset, MANGO_RESET_SUBTRACT);
    T_EQ(r->fires_on_equal, 0);
    mango_net_destroy(n);
    n = t_graph_zoo("spiking_resnet18");
    T_REQUIRE(n != NULL);
    T_EQ(mango_net_steps(n), 50);
    r = &n->node[mgi_net_find(n, "layer3.0.sn1")].lif;
    T_NEAR(r->tau, 2, 0);
    T_EQ(r->decay_input, 1);
    T_EQ(r->detach_reset, 1);
    T_EQ(r->surrogate, MANGO_SURROGATE_ATAN);
    mango_net_destroy(n);
    n = t_graph_zoo("resnet18");
    T_REQUIRE(n != NULL);
    T_EQ(mango_net_steps(n), 1);
    mango_net_destroy(n);
}

/* ---- text form -------------------------------------------------------------- */

static void t_graph_round(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    for (mango_idx s = 0; s < MGI_COUNT(t_graph_specs); s++) {
        mango_net *a = t_graph_zoo(t_graph_specs[s]), *b = NULL;
        mango_err err = {""};
        mgi_str x, y;
        T_REQUIRE(a != NULL);
        mgi_str_init(&x, &al);
        mgi_str_init(&y, &al);
        T_STATUS(mgi_graph_write(a, &x), MANGO_OK);
        T_OK_OR_RETURN(mango_net_parse(&b, x.p, x.n, NULL, &err), &err);
        T_STATUS(mgi_graph_write(b, &y), MANGO_OK);
        T_STR(y.p, x.p);
        T_EQ(b->n_nodes, a->n_nodes);
        T_MEM(b->node, a->node, (size_t)a->n_nodes * sizeof *a->node);
        T_EQ(b->n_params, a->n_params);
        T_MEM(b->param, a->param, (size_t)a->n_params * sizeof *a->param);
        T_STR(b->arch, a->arch);
        T_EQ(b->T, a->T);
        T_MEM(b->mean, a->mean, sizeof a->mean);
        T_MEM(b->std, a->std, sizeof a->std);
        T_CHECK(b->out_scale == a->out_scale && b->out_shift == a->out_shift);
        mgi_str_free(&x);
        mgi_str_free(&y);
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

#define T_GRAPH_HEAD "mango-graph 1\nnet arch=a\ninput input - shape=3x8x8\n"

static void t_graph_spelling(void)
{
    static const char text[] =
        "# a comment\n\n  mango-graph\t1  # the version\nnet mean=0.5 std=0.25,0.5,1\n"
        "x input - shape=2x9x7\n"
        "c conv x out=4 kernel=3x5 stride=2x1 pad=1x0 bias=0 # odd\n"
        "d convt c out=3 kernel=2 stride=2\n"
        "p avgpool d kernel=3\n"
        "r reshape p shape=18\n"
        "l lif r preset=spikingjelly U_thr=0.5 fires_on=>\n"
        "s softmax l";
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_parse(&n, text, (mango_idx)sizeof text - 1, NULL, &err), &err);
    const mgi_node *c = &n->node[1], *d = &n->node[2], *l = &n->node[5];
    T_EQ(c->C * 10000 + c->H * 100 + c->W, 40503);
    T_EQ(d->C * 10000 + d->H * 100 + d->W, 31006);
    T_EQ(n->node[3].pool.sh, 3);
    T_EQ(n->node[4].C, 18);
    T_EQ(l->lif.fires_on_equal, 0);
    T_NEAR(l->lif.U_thr, 0.5, 0);
    T_NEAR(n->mean[2], 0.5, 0);
    T_NEAR(n->std[1], 0.5, 0);
    T_EQ(c->bias_p, -1);
    T_EQ(n->param[d->weight].shape[0], 4);
    T_EQ(n->param[d->weight].shape[1], 3);
    mango_net_destroy(n);
}

static void t_graph_refused(const char *text, mango_status want, const char *part)
{
    mango_net *n = NULL;
    mango_err err = {""};
    const mango_status st = mango_net_parse(&n, text, (mango_idx)strlen(text), NULL, &err);
    if (!T_EQ(st, want) || !T_CHECK(strstr(err.text, part) != NULL))
        printf("  text '%s' gave '%s', expected '%s'\n", text, err.text, part);
    T_CHECK(n == NULL);
    mango_net_destroy(n);
}

static void t_graph_bad_text(void)
{
    static const struct {
        const char *text, *part;
    } t[] = {
        {"", "ends before its 'net' line"},
        {"mango-graph 1\n", "ends before"},
        {"mango-graph 2\nnet\n", "line 1: expected 'mango-graph 1'"},
        {"mango-graph 1 1\nnet\n", "expected 'mango-graph 1'"},
        {"mango-graph 1\nx input - shape=1\n", "line 2: expected 'net"},
        {"mango-graph 1\nnet\n", "no input node"},
        {"mango-graph 1\nnet q=1\n", "unknown key 'q'"},
        {"mango-graph 1\nnet T=2 T=3\n", "'T' is given twice"},
        {"mango-graph 1\nnet T=0\n", "T=0 is out of range"},
        {"mango-graph 1\nnet T=5000\n", "T=5000 is out of range"},
        {"mango-graph 1\nnet T=3\nx input - shape=1\n", "T=3, expected 1 where nothing spikes"},
        {"mango-graph 1\nnet mean=1,2\n", "mean=1"},
        {"mango-graph 1\nnet std=0\n", "std=0 is out of range"},
        {"mango-graph 1\nnet out_scale=nan\n", "out_scale=nan"},
        {T_GRAPH_HEAD "a", "expected NAME KIND INPUTS"},
        {T_GRAPH_HEAD "a b c", "unknown kind 'b'"},
        {T_GRAPH_HEAD "a relu b\nb relu a\n",
         "line 4: node a: input 'b' is not defined before it"},
        {T_GRAPH_HEAD "a relu a\n", "node a: input 'a' is not defined before it"},
        {T_GRAPH_HEAD "a relu nowhere\n", "node a: input 'nowhere' is not defined before it"},
        {T_GRAPH_HEAD "a add input,\n", "input '' is not defined"},
        {T_GRAPH_HEAD "a relu -\n", "node a: 0 inputs, relu takes 1"},
        {T_GRAPH_HEAD "a add input\n", "node a: 1 inputs, add takes at least 2"},
        {T_GRAPH_HEAD "a concat input\n", "at least 2"},
        {T_GRAPH_HEAD "a input - shape=1\n", "a second input beside 'input'"},
        {T_GRAPH_HEAD "input relu input\n", "used twice"},
        {T_GRAPH_HEAD "a,b relu input\n", "may not be ','"},
        {T_GRAPH_HEAD "a conv input kernel=3\n", "node a: attribute 'out' is missing"},
        {T_GRAPH_HEAD "a conv input out=4\n", "node a: attribute 'kernel' is missing"},
        {T_GRAPH_HEAD "a conv input out=4 kernel=3 kernel=3\n", "'kernel' is given twice"},
        {T_GRAPH_HEAD "a conv input out=4 kernel=3 size=3\n", "conv has no attribute 'size'"},
        {T_GRAPH_HEAD "a conv input out=0 kernel=3\n", "node a: out=0, expected"},
        {T_GRAPH_HEAD "a conv input out=-1 kernel=3\n", "out=-1"},
        {T_GRAPH_HEAD "a conv input out=4 kernel=3x\n", "kernel=3x"},
        {T_GRAPH_HEAD "a conv input out=4 kernel=3x3x3\n", "kernel=3x3x3"},
        {T_GRAPH_HEAD "a conv input out=99999999999999999999 kernel=3\n", "out=9999"},
        {T_GRAPH_HEAD "a conv input out=4 kernel=\n", "'kernel=' is not key=value"},
        {T_GRAPH_HEAD "a conv input out=4 =3\n", "'=3' is not key=value"},
        {T_GRAPH_HEAD "a relu input x=1\n", "relu has no attribute 'x'"},
        {T_GRAPH_HEAD "a upsample input mode=cubic\n", "expected nearest|bilinear"},
        {T_GRAPH_HEAD "a lif input\n", "needs preset, beta or tau"},
        {T_GRAPH_HEAD "a lif input beta=0.5 tau=2\n", "exclude each other"},
        {T_GRAPH_HEAD "a lif input beta=1.5\n", "node a: beta=1.5"},
        {T_GRAPH_HEAD "a lif input beta=0.5 U_thr=0\n", "node a: U_thr=0"},
        {T_GRAPH_HEAD "a lif input beta=0.5 U_reset=2\n", "node a: LIF rule: U_reset"},
        {T_GRAPH_HEAD "a lif input preset=izhikevich\n", "expected snntorch|spikingjelly"},
        {T_GRAPH_HEAD "a lif input beta=1 preset=snntorch\n", "preset comes before"},
        {T_GRAPH_HEAD "a batchnorm input eps=0\n", "eps=0"},
        {T_GRAPH_HEAD "a conv input out=1 kernel=1 param=b\nb conv a out=1 kernel=1\n",
         "parameter b.weight belongs to another node"},
        {T_GRAPH_HEAD "a\x01 relu input\n", "control byte at column 2"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        mango_net *n = NULL;
        mango_err err = {""};
        const mango_status st =
            mango_net_parse(&n, t[i].text, (mango_idx)strlen(t[i].text), NULL, &err);
        if (!T_CHECK(st < 0 && strstr(err.text, t[i].part) != NULL))
            printf("  case %d gave %d '%s', expected '%s'\n", (int)i, (int)st, err.text, t[i].part);
        T_CHECK(n == NULL);
        mango_net_destroy(n);
    }
}

static void t_graph_bad_shapes(void)
{
    t_graph_refused(T_GRAPH_HEAD "a conv input out=4 kernel=9\n", MANGO_E_SHAPE,
                    "node a: input 'input' of shape 3x8x8: the convolution's output would be empty");
    t_graph_refused(T_GRAPH_HEAD "a maxpool input kernel=9\n", MANGO_E_SHAPE,
                    "the pool's output would be empty");
    t_graph_refused(T_GRAPH_HEAD "a maxpool input kernel=2 pad=2\n", MANGO_E_SHAPE,
                    "padding over half");
    t_graph_refused(T_GRAPH_HEAD "a maxpool input kernel=2\nb add input,a\n", MANGO_E_SHAPE,
                    "cannot add 'input' of shape 3x8x8 and 'a' of 3x4x4");
    t_graph_refused(T_GRAPH_HEAD "a maxpool input kernel=2\nb concat a,input\n", MANGO_E_SHAPE,
                    "cannot join 'a' of shape 3x4x4 and 'input' of 3x8x8");
    t_graph_refused(T_GRAPH_HEAD "a reshape input shape=3x8x9\n", MANGO_E_SHAPE,
                    "'input' of shape 3x8x8 does not fold into 3x8x9");
    t_graph_refused("mango-graph 1\nnet\nx input - shape=1048576x1048576x1\n", MANGO_E_LIMIT,
                    "over the limit of 2^26");
    t_graph_refused("mango-graph 1\nnet\nx input - shape=1048576\nl linear x out=1048576\n",
                    MANGO_E_LIMIT, "parameter l.weight is over the limit");
}

/* Too many nodes, inputs, bytes. */
static void t_graph_limits(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_str s;
    mgi_str_init(&s, &al);
    mgi_str_puts(&s, T_GRAPH_HEAD);
    for (int i = 0; i < MGI_MAX_NODES; i++)
        mgi_str_printf(&s, "n%d relu input\n", i);
    t_graph_refused(s.p, MANGO_E_LIMIT, "over the limit of 1024 nodes");
    mgi_str_free(&s);
    mgi_str_init(&s, &al);
    mgi_str_puts(&s, T_GRAPH_HEAD "a concat input");
    for (int i = 0; i < MGI_MAX_INPUTS; i++)
        mgi_str_puts(&s, ",input");
    t_graph_refused(s.p, MANGO_E_LIMIT, "node a: over 64 inputs");
    for (int i = 0; i < 2000; i++)
        mgi_str_puts(&s, ",input");
    t_graph_refused(s.p, MANGO_E_LIMIT, "line 4: over 8191 bytes");
    mgi_str_free(&s);
    char name[200];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    mgi_str_init(&s, &al);
    mgi_str_printf(&s, T_GRAPH_HEAD "%s relu input\n", name);
    t_graph_refused(s.p, MANGO_E_LIMIT, "names have 1..95 bytes");
    mgi_str_free(&s);
    mango_net *n = NULL;
    mango_err err = {""};
    T_STATUS(mango_net_parse(&n, "mango-graph 1\0net", 17, NULL, &err), MANGO_E_FORMAT);
}

/* Cut anywhere, or with any byte changed, a text is read or refused, no more. */
static void t_graph_mangled(void)
{
    static const char text[] = T_GRAPH_HEAD
        "a conv input out=4 kernel=3 pad=1\nb lif a preset=snntorch slope=3\nc add a,b\n"
        "u upsample c mode=nearest\nd vq u codes=5\n";
    char copy[sizeof text];
    mango_rng r;
    mango_rng_init(&r, 1, 1, 1);
    for (int k = 0; k < 4000; k++) {
        const mango_idx n = k < (int)sizeof text ? k : (mango_idx)sizeof text - 1;
        memcpy(copy, text, sizeof text);
        if (k >= (int)sizeof text)
            for (mango_idx m = 1 + mango_rng_int(&r, 3); m > 0; m--)
                copy[mango_rng_int(&r, n)] = (char)mango_rng_int(&r, 256);
        mango_net *net = NULL;
        mango_err err = {""};
        const mango_status st = mango_net_parse(&net, copy, n, NULL, &err);
        T_CHECK((st == MANGO_OK) == (net != NULL) && (st == MANGO_OK || err.text[0]));
        mango_net_destroy(net);
    }
}

/* ---- specifications --------------------------------------------------------- */

static void t_graph_bad_spec(void)
{
    static const struct {
        const char *spec;
        mango_status st;
        const char *part;
    } t[] = {
        {"snn_con", MANGO_E_NAME, "snn_conv"},
        {"", MANGO_E_NAME, "no architecture ''"},
        {"snn_conv,", MANGO_E_ARG, "'' is not key=value"},
        {"snn_conv,T", MANGO_E_ARG, "'T' is not key=value"},
        {"snn_conv,T=0", MANGO_E_ARG, "T=0 is out of range"},
        {"snn_conv,T=9999", MANGO_E_ARG, "T=9999"},
        {"snn_conv,T=1,T=2", MANGO_E_ARG, "'T' is given twice"},
        {"snn_conv,codes=8", MANGO_E_NAME, "unknown key 'codes'"},
        {"snn_conv,lif=8", MANGO_E_NAME, "unknown key 'lif'"},
        {"resnet18,T=8", MANGO_E_NAME, "unknown key 'T'"},
        {"resnet18,beta=0.5", MANGO_E_NAME, "unknown key 'beta'"},
        {"alexnet,width=0.5", MANGO_E_NAME, "unknown key 'width'"},
        {"resnet18,width=0", MANGO_E_ARG, "width=0"},
        {"resnet18,width=nan", MANGO_E_ARG, "width=nan"},
        {"resnet18,in=3x32", MANGO_E_ARG, "in=3x32"},
        {"resnet18,in=3x32x32x1", MANGO_E_ARG, "in=3x32x32x1"},
        {"sngan,out=3x30x32", MANGO_E_ARG, "expected multiples of 8"},
        {"sngan,classes=1", MANGO_E_ARG, "classes=1 of 128 latents, expected 2..127"},
        {"sngan,latent=10,classes=10", MANGO_E_ARG, "classes=10 of 10 latents"},
        {"snn_conv,in=3x8x8", MANGO_E_SHAPE, "node conv1: input 'spiking0' of shape 200x2x2"},
        {"snn_conv,beta=2", MANGO_E_FORMAT, "node spiking0: beta=2"},
        {"snn_conv,beta=0.5,tau=2", MANGO_E_FORMAT, "exclude each other"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        mango_net *n = NULL;
        mango_err err = {""};
        T_STATUS(mango_net_zoo(&n, t[i].spec, NULL, &err), t[i].st);
        if (!T_CHECK(strstr(err.text, t[i].part) != NULL && n == NULL))
            printf("  %s gave '%s', expected '%s'\n", t[i].spec, err.text, t[i].part);
    }
}

/* ---- filling, names, metadata ------------------------------------------------ */

static void t_graph_fill(void)
{
    float u[8];
    mango_fill_u("input", 7, 6, u);
    T_NEAR(u[0], -0.1217496395111084, 0);
    T_NEAR(u[5], -0.765798807144165, 0);
    mango_fill_u("l1.bias", 123456789012345u, 3, u);
    T_NEAR(u[2], -0.3739438056945801, 0);
    mango_net *n = t_graph_zoo("vqvae");
    T_REQUIRE(n != NULL);
    T_STATUS(mango_net_fill(n, 7, 1.5), MANGO_OK);
    int rank = 0;
    mango_idx shape[4] = {0};
    const float *w = mango_net_param(n, "_decoder._conv_trans_1.weight", &rank, shape);
    T_REQUIRE(w != NULL);
    T_EQ(rank, 4);
    T_EQ(shape[0] * 1000 + shape[1], 128064);
    mango_fill_u("_decoder._conv_trans_1.weight", 7, 8, u);
    T_REL(w[7], 1.5 * sqrt(6.0 / (128 * 16)) * (double)u[7], 1e-7);
    w = mango_net_param(n, "_vq_vae._embedding.weight", NULL, NULL);
    mango_fill_u("_vq_vae._embedding.weight", 7, 8, u);
    T_REQUIRE(w != NULL);
    T_NEAR(w[3], u[3], 0);
    T_CHECK(mango_net_param(n, "nothing", NULL, NULL) == NULL);
    T_STATUS(mango_net_fill(n, 7, (double)INFINITY), MANGO_E_ARG);
    mango_net_destroy(n);
    n = t_graph_zoo("resnet18,width=0.1");
    T_REQUIRE(n != NULL && mango_net_fill(n, 9, 1) == MANGO_OK);
    mango_fill_u("bn1.weight", 9, 8, u);
    T_REL(mango_net_param(n, "bn1.weight", NULL, NULL)[2], 1 + 0.1 * (double)u[2], 1e-7);
    mango_fill_u("bn1.running_var", 9, 8, u);
    T_REL(mango_net_param(n, "bn1.running_var", NULL, NULL)[2], 1 + 0.25 * (double)u[2], 1e-7);
    mango_fill_u("bn1.running_mean", 9, 8, u);
    T_REL(mango_net_param(n, "bn1.running_mean", NULL, NULL)[2], 0.1 * (double)u[2], 1e-6);
    mango_net_destroy(n);
}

static void t_graph_names(void)
{
    mango_net *n = t_graph_zoo("spiking_resnet18,width=0.1");
    mango_idx i = -1;
    mango_err err = {""};
    mango_layer l;
    T_REQUIRE(n != NULL);
    T_STATUS(mango_net_find(n, "layer4.1.sn3", &i, &err), MANGO_E_NAME);
    T_CHECK(strstr(err.text, "layer4.1.sn3") && strstr(err.text, "layer4.1.sn2"));
    T_STATUS(mango_net_layer(n, -1, &l), MANGO_E_ARG);
    T_STATUS(mango_net_layer(n, mango_net_layers(n), &l), MANGO_E_ARG);
    T_STATUS(mango_net_find(n, "conv1", &i, &err), MANGO_OK);
    T_STATUS(mango_net_layer(n, i, &l), MANGO_OK);
    T_STR(l.kind, "conv");
    T_EQ(l.params, 8 * 3 * 49);
    T_EQ(l.spiking, 0);
    T_STATUS(mango_net_find(n, "bn1", &i, &err), MANGO_OK);
    T_STATUS(mango_net_layer(n, i, &l), MANGO_OK);
    T_EQ(l.params, 16);
    T_STATUS(mango_net_meta_set(n, "accuracy", "0.7"), MANGO_OK);
    T_STATUS(mango_net_meta_set(n, "accuracy", "0.85"), MANGO_OK);
    T_STR(mango_net_meta_get(n, "accuracy"), "0.85");
    T_CHECK(mango_net_meta_get(n, "epochs") == NULL);
    T_STATUS(mango_net_meta_set(n, "mango.graph", "x"), MANGO_E_ARG);
    mango_net_destroy(n);
    mango_net_destroy(NULL);
}

static mango_status t_graph_all(void *ud, const mango_alloc *al)
{
    mango_net *n = NULL, *m = NULL;
    mango_err err = {""};
    mgi_str s;
    const mango_alloc a = mgi_alloc_get(al);
    mango_idx i;
    mango_status st = mango_net_zoo(&n, ud, al, &err);
    mgi_str_init(&s, &a);
    if (st == MANGO_OK)
        st = mango_net_fill(n, 1, 1);
    if (st == MANGO_OK)
        st = mango_net_meta_set(n, "key", "value");
    if (st == MANGO_OK && mango_net_find(n, "none", &i, &err) != MANGO_E_NAME)
        st = MANGO_E_MEM;
    if (st == MANGO_OK)
        st = mgi_graph_write(n, &s);
    if (st == MANGO_OK)
        st = mango_net_parse(&m, s.p, s.n, al, &err);
    mgi_str_free(&s);
    mango_net_destroy(n);
    mango_net_destroy(m);
    return st;
}

static void t_graph_oom(void)
{
    char spec[] = "snn_conv,width=0.1";
    T_CHECK(t_oom_sweep(t_graph_all, spec) > 8);
}

void t_graph(void)
{
    T_CASE(t_graph_keys);
    T_CASE(t_graph_zoo_sane);
    T_CASE(t_graph_shapes);
    T_CASE(t_graph_time);
    T_CASE(t_graph_round);
    T_CASE(t_graph_spelling);
    T_CASE(t_graph_bad_text);
    T_CASE(t_graph_bad_shapes);
    T_CASE(t_graph_limits);
    T_CASE(t_graph_mangled);
    T_CASE(t_graph_bad_spec);
    T_CASE(t_graph_fill);
    T_CASE(t_graph_names);
    T_CASE(t_graph_oom);
}

#undef T_GRAPH_HEAD
