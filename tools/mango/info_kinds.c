/* info_kinds.c - the page about graph texts: its rules, then every kind of layer, all of it
 * from the library's own tables.
 * SPDX-License-Identifier: MIT */
#include "info_kinds.h"

static const char kinds_rules[] =
    "# The text of a network\n"
    "\n"
    "A network of your own is a text, one layer a line. `mango info --kinds` prints this\n"
    "page from the tables that the program reads such texts by.\n"
    "\n"
    "```\n"
    "mango-graph 1\n"
    "net arch=my_net T=50\n"
    "input  input   -      shape=3x32x32\n"
    "conv1  conv    input  out=16 kernel=3 pad=1\n"
    "spike1 lif     conv1  beta=0.9\n"
    "pool1  maxpool spike1 kernel=2\n"
    "fc     linear  pool1  out=10\n"
    "out    lif     fc     beta=0.9\n"
    "```\n"
    "\n"
    "- The first line is `mango-graph 1`, the second one `net` with what holds for all.\n"
    "- Each further line is `NAME KIND INPUTS KEY=VALUE ..`. INPUTS are names of earlier\n"
    "  lines, with commas between; `-` stands for none. The last line is the output.\n"
    "- `#` begins a comment. The order of keys is free (but `preset` comes first). A key\n"
    "  that is not given takes its default; one that is unknown, missing or out of range\n"
    "  is refused, with line, layer and what was expected.\n"
    "- A map is `CxHxW`: channels, height, width. A vector of N is `Nx1x1`, a sequence of\n"
    "  length L is `Cx1xL`.\n"
    "- Parameters are called `NAME.weight`, `NAME.bias` and so on, in PyTorch's shapes;\n"
    "  the key `param=PREFIX` puts another name in place of NAME.\n"
    "- One line is `input`. At most 1024 layers, 64 inputs a layer, names under 96 bytes,\n"
    "  2^26 values a map, 2^28 parameters.\n"
    "\n"
    "The `net` line:\n"
    "\n"
    "| key | value | meaning |\n"
    "|---|---|---|\n"
    "| `arch` | word | a name for the whole |\n"
    "| `T` | 1..4096 | steps, where a layer spikes |\n"
    "| `mean`, `std` | one or three numbers | fed is (x - mean)/std, x in [0,1] |\n"
    "| `out_scale`, `out_shift` | number | a picture drawn is y out_scale + out_shift |\n"
    "\n"
    "## Using it\n"
    "\n"
    "```\n"
    "mango info my.graph             # layers, shapes, numbers of parameters\n"
    "mango info FILE --graph         # the text of any weights file or zoo:NAME\n"
    "mango run --net my.graph --fill 7,1 --input x.npy --record all --out y.safetensors\n"
    "mango mei --gen vae --net my.graph --fill 7,1 --target spike1:3 --out my_mei\n"
    "mango train net --arch my.graph --data cifar10 --root DIR --out my_net\n"
    "mango import weights.pt --graph my.graph --out my_net.safetensors\n"
    "```\n"
    "\n"
    "A text has no weights. `--fill SEED,GAIN` gives it values by a formula, to try it;\n"
    "`mango train` learns them; `mango import` takes them from a checkpoint whose tensors\n"
    "have the parameters' names, and writes one file of both, which every `--net` and\n"
    "`--gen` takes. In a program: `mango_net_parse`.\n"
    "\n"
    "Five examples are in `examples/graphs/`: `snn.graph`, a spiking classifier;\n"
    "`cnn.graph`, one with group norm, a residual sum and a gate; `decoder.graph`, a\n"
    "generator; `probe.graph`, a direction in the activity of a layer; `grey.graph`, colour\n"
    "pictures for a network that sees grey ones.\n"
    "\n"
    "## The kinds of layers\n"
    "\n"
    "Defaults are PyTorch's. `needed`: must be given. `by rule`: the meaning tells.\n";

/* "0..1", "at least 0", "any", or the words. */
static void kinds_range(const mango_kind_key *k, char *text, size_t cap)
{
    const int open = k->lo <= -1e30, top = k->hi >= 1e30;
    char range[80];
    if (open && top)
        snprintf(range, sizeof range, "any");
    else if (top)
        snprintf(range, sizeof range, "%.10g and more", k->lo);
    else
        snprintf(range, sizeof range, "%.10g..%.10g", k->lo, k->hi);
    if (!strcmp(k->type, "word") || !strcmp(k->type, "name"))
        snprintf(text, cap, "%s", k->words ? k->words : "name");
    else
        snprintf(text, cap, "%s, %s%s%s", k->type, range, k->words ? ", or " : "",
                 k->words ? k->words : "");
}

/* s with `|` kept apart from the columns of a table. */
static void kinds_cell(mgi_str *s, const char *text)
{
    for (; *text; text++)
        mgi_str_printf(s, "%s%c", *text == '|' ? "\\" : "", *text);
}

static void kinds_key_row(mango_idx i, mango_idx k, mgi_str *s)
{
    mango_kind_key key;
    char range[160];
    mango_kind_key_at(i, k, &key);
    kinds_range(&key, range, sizeof range);
    if (k == 0)
        mgi_str_puts(s, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    mgi_str_printf(s, "| `%s` | ", key.name);
    kinds_cell(s, range);
    mgi_str_puts(s, " | ");
    kinds_cell(s, key.needed                   ? "needed"
                  : *key.standard              ? key.standard
                  : !strcmp(key.type, "name") ? "NAME"
                                               : "by rule");
    mgi_str_puts(s, " | ");
    kinds_cell(s, key.meaning);
    mgi_str_puts(s, " |\n");
}

static void kinds_section(mango_idx i, mgi_str *s)
{
    mango_kind kind;
    mango_kind_at(i, &kind);
    mgi_str_printf(s, "\n### %s\n\n%s  \n`%s`", kind.name, kind.about, kind.shapes);
    if (kind.most > 1 && kind.most > kind.least)
        mgi_str_printf(s, "; %td to %td inputs", kind.least, kind.most);
    else if (kind.most > 1)
        mgi_str_printf(s, "; %td inputs", kind.most);
    mgi_str_puts(s, "\n");
    for (mango_idx k = 0; k < kind.keys; k++)
        kinds_key_row(i, k, s);
}

/* ---- JSON ---------------------------------------------------------------------------- */

static void kinds_key_json(mango_idx i, mango_idx k, mgi_str *s)
{
    mango_kind_key key;
    mango_kind_key_at(i, k, &key);
    mgi_str_puts(s, k ? ",{" : "{");
    cli_quote(s, "key", key.name);
    mgi_str_puts(s, ",");
    cli_quote(s, "type", key.type);
    if (key.words) {
        mgi_str_puts(s, ",");
        cli_quote(s, "words", key.words);
    }
    if (key.lo != 0 || key.hi != 0) {
        mgi_str_puts(s, ",\"lo\":");
        mgi_str_float(s, key.lo);
        mgi_str_puts(s, ",\"hi\":");
        mgi_str_float(s, key.hi);
    }
    mgi_str_printf(s, ",\"needed\":%s,", key.needed ? "true" : "false");
    cli_quote(s, "default", key.standard);
    mgi_str_puts(s, ",");
    cli_quote(s, "meaning", key.meaning);
    mgi_str_puts(s, "}");
}

static void kinds_json(mango_idx i, mgi_str *s)
{
    mango_kind kind;
    mango_kind_at(i, &kind);
    mgi_str_puts(s, i ? ",{" : "{");
    cli_quote(s, "kind", kind.name);
    mgi_str_puts(s, ",");
    cli_quote(s, "about", kind.about);
    mgi_str_puts(s, ",");
    cli_quote(s, "shapes", kind.shapes);
    mgi_str_printf(s, ",\"inputs\":[%td,%td],\"keys\":[", kind.least, kind.most);
    for (mango_idx k = 0; k < kind.keys; k++)
        kinds_key_json(i, k, s);
    mgi_str_puts(s, "]}");
}

void info_kinds(cli *c, mgi_str *s)
{
    mgi_str page;
    mgi_str_init(&page, NULL);
    mgi_str_puts(&page, kinds_rules);
    mgi_str_puts(s, "{\"kinds\":[");
    for (mango_idx i = 0; i < mango_kinds(); i++) {
        kinds_section(i, &page);
        kinds_json(i, s);
    }
    mgi_str_puts(s, "]}");
    s->bad |= page.bad;
    if (!page.bad)
        cli_print_lines(c, page.p);
    mgi_str_free(&page);
}
