/* test_kinds.c - the language of graph texts: what is said of each kind, the page, the
 * examples, and texts in place of weights.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

/* A file of this repository, as the test sees it. */
static const char *t_kinds_path(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "../../%s", name);
    return t_golden(path);
}

/* Nothing is left unsaid, and what is said of defaults is so. */
static void t_kinds_said(void)
{
    T_EQ(mango_kinds(), MGI_KINDS);
    for (mango_idx i = 0; i < mango_kinds(); i++) {
        mango_kind kind;
        T_OK(mango_kind_at(i, &kind), NULL);
        if (!T_CHECK(*kind.about && strstr(kind.shapes, "->") && kind.least <= kind.most))
            printf("  op_*.c of %s: .about and .shapes, see op.h\n", kind.name);
        for (mango_idx k = 0; k < kind.keys; k++) {
            mango_kind_key key;
            T_OK(mango_kind_key_at(i, k, &key), NULL);
            if (!T_CHECK(*key.meaning))
                printf("  op_*.c of %s: .keys has no line '%s ..'\n", kind.name, key.name);
            T_CHECK(*key.type && key.lo <= key.hi && (!key.needed || !*key.standard));
        }
        mango_kind_key key;
        T_STATUS(mango_kind_key_at(i, kind.keys, &key), MANGO_E_ARG);
    }
    mango_kind kind;
    T_STATUS(mango_kind_at(mango_kinds(), &kind), MANGO_E_ARG);
    T_STATUS(mango_kind_at(-1, &kind), MANGO_E_ARG);
}

/* Each default that is told is the value of a layer without the key: with it the text is
 * the same. Needed keys get their least value; what then fits no map is passed over. */
static int t_kinds_default_is(const mango_kind *kind, const mango_kind_key *key,
                              const char *needed)
{
    static const char head[] = "mango-graph 1\nnet\nin input - shape=16x8x8\n";
    char text[2][600], out[2][1500];
    int read = 0;
    for (int k = 0; k < 2; k++) {
        mango_net *net = NULL;
        snprintf(text[k], sizeof text[k], "%sz %s %s%s%s%s%s%s\n", head, kind->name,
                 kind->least < 2 ? "in" : "in,in", needed, k ? " " : "", k ? key->name : "",
                 k ? "=" : "", k ? key->standard : "");
        if (mango_net_parse(&net, text[k], (mango_idx)strlen(text[k]), NULL, NULL) >= 0) {
            mango_net_text(net, out[k], sizeof out[k]);
            read++;
        }
        mango_net_destroy(net);
    }
    if (read == 2 && !T_STR(out[1], out[0]))
        printf("  default of %s %s\n", kind->name, key->name);
    return read == 2;
}

static void t_kinds_needed(mango_idx i, char *out, size_t cap)
{
    mango_kind kind;
    mango_kind_at(i, &kind);
    out[0] = 0;
    if (!strcmp(kind.name, "lif"))
        snprintf(out, cap, " preset=snntorch");
    for (mango_idx k = 0; k < kind.keys; k++) {
        mango_kind_key key;
        char value[40];
        mango_kind_key_at(i, k, &key);
        if (!key.needed)
            continue;
        snprintf(value, sizeof value, "%.0f", key.lo);
        if (key.words)
            snprintf(value, sizeof value, "%.*s", (int)strcspn(key.words, "|"), key.words);
        else if (!strcmp(key.type, "HxW"))
            snprintf(value, sizeof value, "2x2");
        else if (!strcmp(key.type, "CxHxW or N"))
            snprintf(value, sizeof value, "1024");
        const size_t n = strlen(out);
        snprintf(out + n, cap - n, " %s=%s", key.name, value);
    }
}

static void t_kinds_defaults(void)
{
    int told = 0, held = 0;
    for (mango_idx i = 0; i < mango_kinds(); i++) {
        mango_kind kind;
        char needed[300];
        mango_kind_at(i, &kind);
        if (kind.least == 0)
            continue;
        t_kinds_needed(i, needed, sizeof needed);
        for (mango_idx k = 0; k < kind.keys; k++) {
            mango_kind_key key;
            mango_kind_key_at(i, k, &key);
            if (!*key.standard || strstr(needed, key.name) ||
                (!strcmp(kind.name, "lif") && !strcmp(key.name, "alpha"))) /* adds a current */
                continue;
            told++;
            held += t_kinds_default_is(&kind, &key, needed);
        }
    }
    T_CHECK(told > 50 && held > told * 3 / 4);
    if (held <= told * 3 / 4)
        printf("  %d of %d\n", held, told);
}

/* A training starts from values that a layer can work with. */
static void t_kinds_first_values(void)
{
    static const char text[] =
        "mango-graph 1\nnet T=3\nin input - shape=4x4x4\na prelu in\nb prelu a slope=channel\n"
        "c layernorm b\nd layernorm c dims=1\ne groupnorm d groups=2\n"
        "f instancenorm e weight=1 bias=1\ng layernorm f over=channels\n"
        "p globalavg g\nh lif p beta=each U_thr=channel recurrent=all\nz linear h out=2\n";
    mango_net *net = NULL;
    mango_err e = {""};
    T_OK_OR_RETURN(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e), &e);
    T_OK(mango_train_init(net, MANGO_TRAIN_NET, 3, &e), &e);
    for (mango_idx i = 0; i < mango_net_params(net); i++) {
        mango_param p;
        mango_net_param_at(net, i, &p);
        const int slope = p.name[0] == 'a' || p.name[0] == 'b';
        const int norm = p.name[0] >= 'c' && p.name[0] <= 'g' && !strstr(p.name, "bias");
        const int zero = p.name[0] >= 'c' && p.name[0] <= 'g' && strstr(p.name, "bias");
        double least = 1e9, most = -1e9;
        for (mango_idx k = 0; k < p.count; k++) {
            least = fmin(least, (double)p.values[k]);
            most = fmax(most, (double)p.values[k]);
        }
        T_CHECK(!slope || (least == 0.25 && most == 0.25));
        T_CHECK(!norm || (least == 1 && most == 1));
        T_CHECK(!zero || (least == 0 && most == 0));
        T_CHECK(strcmp(p.name, "h.beta") || (fabs(least - 0.9) < 1e-6 && least == most));
        T_CHECK(strcmp(p.name, "h.threshold") || (least == 1 && most == 1));
        T_CHECK(strcmp(p.name, "h.recurrent.weight") || (least < -0.1 && most > 0.1));
    }
    mango_net_destroy(net);
}

/* `make graph-page` writes it. */
static void t_kinds_page(void)
{
    unsigned char *page = NULL;
    mango_idx n = 0;
    mango_err e = {""};
    const mango_alloc al = mgi_alloc_get(NULL);
    t_ran r = t_tool_run("info --kinds");
    T_EQ(r.rc, 0);
    if (T_OK(mgi_file_read(t_kinds_path("examples/graph.md"), 1 << 20, &al, &page, &n, &e), &e)) {
        if (!T_CHECK(n == r.n_out && !memcmp(page, r.out, (size_t)n)))
            printf("  examples/graph.md is not what the tables give: make graph-page\n");
        mgi_del(&al, page, n + 1, 1);
    }
    t_ran_free(&r);
}

static void t_kinds_json(void)
{
    mgi_json j;
    t_ran r = t_tool_run("info --kinds --json");
    if (T_CHECK(t_json(&r, &j))) {
        const mgi_json_value *kinds = mgi_json_get(&j, &j.v[0], "kinds");
        T_CHECK(kinds != NULL && mgi_json_at(&j, kinds, MGI_KINDS - 1) != NULL &&
                mgi_json_at(&j, kinds, MGI_KINDS) == NULL);
        mgi_json_free(&j);
    }
    t_ran_free(&r);
    t_tool_is("info --kinds x", 2, "--kinds goes without a FILE");
    t_tool_is("info --kinds --presets", 2, "exclude each other");
}

/* ---- the examples ----------------------------------------------------------------------- */

/* A run of all layers, then a search; `layer` is that of the target. */
static void t_kinds_example(const char *graph, const char *gen, const char *target)
{
    static int number;
    char command[1500], path[700];
    mgi_tensors f;
    mgi_json j;
    mango_err e = {""};
    snprintf(path, sizeof path, "%s", t_here(t_kinds_path(graph)));
    snprintf(command, sizeof command,
             "run --net %s --fill 7,1 --fill-input 3 --batch 2 --record all --out y.st", path);
    t_tool_is(command, 0, "2 inputs");
    if (T_OK(mgi_tensors_read(&f, t_work("y.st"), NULL, &e), &e)) {
        T_CHECK(f.n > 5);
        mgi_tensors_free(&f);
    }
    snprintf(command, sizeof command,
             "mei --gen %s --net %s --fill 7,1 --target %s --opt tt-b --budget 60 --out kinds%d "
             "--json",
             gen, path, target, number++);
    t_ran r = t_tool_run(command);
    if (T_CHECK(t_json(&r, &j))) {
        T_CHECK(t_json_number(&j, "best") > 0);
        T_EQ(t_json_number(&j, "queries"), 60);
        mgi_json_free(&j);
    } else {
        printf("  %s: %s\n", graph, r.err);
    }
    t_ran_free(&r);
}

static void t_kinds_examples(void)
{
    char decoder[700];
    snprintf(decoder, sizeof decoder, "%s",
             t_here(t_kinds_path("examples/graphs/decoder.graph")));
    t_kinds_example("examples/graphs/snn.graph", T_GEN, "spike1:3");
    t_kinds_example("examples/graphs/cnn.graph", T_GEN, "class:3");
    t_kinds_example("examples/graphs/probe.graph", T_GEN, "probe:0");
    t_kinds_example("examples/graphs/grey.graph", T_GEN, "spike1:4");
    t_kinds_example("examples/graphs/snn.graph", decoder, "spike2:3");
}

/* ---- a text in place of weights --------------------------------------------------------- */

static void t_kinds_write(const char *name, const char *text)
{
    mango_err e = {""};
    T_OK(mgi_file_write(t_work(name), text, (mango_idx)strlen(text), &e), &e);
}

static void t_kinds_texts(void)
{
    t_kinds_write("a.graph", "# mine\n\n   # a long remark\nmango-graph 1\nnet arch=mine\n"
                             "in input - shape=2x3x3\nc conv in out=2 kernel=3\n");
    t_kinds_write("b.graph", "mango-graph 1\nnet\nin input - shape=2\nc conv in kernel=1\n");
    t_kinds_write("c.txt", "mango\n");
    t_tool_is("info a.graph", 0, "mine, T 1");
    t_tool_is("info a.graph --graph", 0,
              "c conv in out=2 kernel=3 stride=1 pad=0 bias=1\n");
    t_tool_is("run --net a.graph --fill 7,1 --fill-input 3 --out y2", 0, "1 inputs, T 1");
    t_tool_refuses("run --net a.graph --fill-input 3 --out y3", 3,
                   "a.graph has no weights: give --fill SEED,GAIN, or import some");
    t_tool_refuses("run --net b.graph --fill 7,1 --fill-input 3 --out y3", 3,
                   "b.graph: graph line 4: node c: attribute 'out' is missing");
    t_tool_refuses("info b.graph", 3, "b.graph: graph line 4");
    t_tool_refuses("run --net c.txt --fill 7,1 --fill-input 3 --out y3", 3,
                   "'c.txt' has weights of its own");
    t_tool_refuses("info c.txt", 3, "c.txt");
}

/* What `info --graph` prints of a network is read again, and is the same network. */
static void t_kinds_printed(void)
{
    static const char *const zoo[] = {"resnet18,width=0.125", "densenet,width=0.125", "alexnet",
                                      "snn_conv", "spiking_resnet18,width=0.125", "vqvae",
                                      "sngan,width=0.125", "sngan_dsc,width=0.125"};
    for (mango_idx i = 0; i < MGI_COUNT(zoo); i++) {
        char command[200], *text;
        snprintf(command, sizeof command, "info zoo:%s --graph", zoo[i]);
        t_ran r = t_tool_run(command);
        T_EQ(r.rc, 0);
        text = r.rc == 0 ? strstr(r.out, "mango-graph 1\n") : NULL;
        if (T_CHECK(text != NULL)) {
            t_kinds_write("z.graph", text);
            t_ran again = t_tool_run("info z.graph --graph");
            char *same = again.rc == 0 ? strstr(again.out, "mango-graph 1\n") : NULL;
            T_STR(same ? same : "", text);
            t_ran_free(&again);
        }
        t_ran_free(&r);
    }
}

void t_kinds(void)
{
    T_CASE(t_kinds_said);
    T_CASE(t_kinds_defaults);
    T_CASE(t_kinds_first_values);
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_kinds_page);
    T_CASE(t_kinds_json);
    T_CASE(t_kinds_texts);
    T_CASE(t_kinds_examples);
    T_CASE(t_kinds_printed);
}
