/* cli_onnx.c - ONNX models: as networks, and what `mango info` says of them.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "image.h"

mango_status cli_onnx_net(mango_net **net, const mango_archive *file, mango_err *err)
{
    mango_archive_info info;
    mango_match *match = NULL;
    *net = NULL;
    MGI_TRY(mango_archive_get(file, &info));
    MGI_TRY(mango_net_parse(net, info.graph, (mango_idx)strlen(info.graph), NULL, err));
    const mango_status st = mango_archive_import(file, *net, "", &match, err);
    mango_match_destroy(match);
    if (st < 0) {
        mango_net_destroy(*net);
        *net = NULL;
    }
    return st;
}

mango_status cli_onnx_open(mango_net **net, const char *path, mango_err *err)
{
    mango_archive *file = NULL;
    *net = NULL;
    MGI_TRY(mango_archive_open(&file, path, image_codecs(), NULL, err));
    const mango_status st = cli_onnx_net(net, file, err);
    mango_archive_destroy(file);
    return st;
}

/* How often each operator is there, in the order in which they come. */
static void onnx_operators(cli *c, const mango_onnx *m, mango_idx nodes, mgi_str *s)
{
    mgi_str line;
    int first = 1;
    mgi_str_init(&line, NULL);
    mgi_str_puts(s, ",\"operators\":{");
    for (mango_idx i = 0; i < nodes; i++) {
        const char *op = mango_onnx_op(m, i);
        mango_idx count = 1, before = 0;
        while (before < i && strcmp(op, mango_onnx_op(m, before)))
            before++;
        for (mango_idx k = i + 1; before == i && k < nodes; k++)
            count += !strcmp(op, mango_onnx_op(m, k));
        if (before < i)
            continue;
        mgi_str_printf(&line, "%s%s %td", first ? "" : ", ", op, count);
        mgi_str_puts(s, first ? "" : ",");
        mgi_json_quote(s, op, (mango_idx)strlen(op));
        mgi_str_printf(s, ":%td", count);
        first = 0;
    }
    mgi_str_puts(s, "}");
    cli_print(c, "operators: %s\n", line.p ? line.p : "none");
    mgi_str_free(&line);
}

static void onnx_input(cli *c, const mango_onnx_info *f, mgi_str *s)
{
    cli_print(c, "input %s:", f->input);
    mgi_str_puts(s, ",\"shape\":[");
    for (int r = 0; r < f->rank; r++) {
        if (f->shape[r] < 0)
            cli_print(c, " %sopen", r ? "x " : "");
        else
            cli_print(c, " %s%td", r ? "x " : "", f->shape[r]);
        mgi_str_printf(s, "%s%td", r ? "," : "", f->shape[r]);
    }
    cli_print(c, "; output %s\n", f->output);
    mgi_str_puts(s, "]");
}

/* The network that it becomes, as text; or why it does not. */
static void onnx_network(cli *c, mango_onnx *m, mgi_str *s)
{
    mango_onnx_info f;
    mango_err why = {""};
    const mango_status st = mango_onnx_translate(m, NULL, &why);
    mango_onnx_get(m, &f);
    mgi_str_puts(s, ",");
    if (st < 0) {
        cli_print(c, "no network for `mango import`: %s\n", why.text);
        cli_quote(s, "refused", why.text);
        return;
    }
    cli_print(c, "as `mango import` takes it:\n");
    cli_print_lines(c, f.text);
    cli_quote(s, "graph", f.text);
}

mango_status cli_onnx_info(cli *c, const char *path, mgi_str *s, mango_err *err)
{
    mango_onnx *m = NULL;
    mango_onnx_info f;
    MGI_TRY(mango_onnx_open(&m, path, NULL, err));
    mango_onnx_get(m, &f);
    cli_print(c, "ONNX model %s of %s, opset %lld, %td nodes, %td initializers\n", f.graph,
              *f.producer ? f.producer : "an unknown source", (long long)f.opset, f.nodes,
              f.initializers);
    mgi_str_printf(s, "{\"format\":\"onnx\",\"opset\":%lld,", (long long)f.opset);
    cli_quote(s, "producer", f.producer);
    mgi_str_puts(s, ",");
    cli_quote(s, "input", f.input);
    mgi_str_puts(s, ",");
    cli_quote(s, "output", f.output);
    onnx_input(c, &f, s);
    onnx_operators(c, m, f.nodes, s);
    onnx_network(c, m, s);
    mgi_str_puts(s, "}");
    mango_onnx_destroy(m);
    return MANGO_OK;
}
