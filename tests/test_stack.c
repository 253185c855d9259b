/* test_stack.c - how deep the stack gets: painted before, looked at afterwards.
 * The manual promises 64 KiB, of which the C library takes a part.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "test.h"
#include "train_rig.h"

#if defined(__unix__) && defined(_OPENMP) /* which brings POSIX threads along */
#include <pthread.h>

enum { T_STACK_ROOM = 1 << 20, T_STACK_MOST = 64 << 10, T_STACK_PAINT = 0xA5 };

static void *t_stack_main(void *work)
{
    void (*f)(void);
    memcpy(&f, work, sizeof f);
    mango_set_threads(1);
    f();
    return NULL;
}

/* Bytes that were written below the top of a stack, by `work` and what starts a thread. */
static mango_idx t_stack_used(void (*work)(void))
{
    const size_t page = 1 << 16;
    unsigned char *raw = malloc(T_STACK_ROOM + page);
    mango_idx clean = 0;
    pthread_t thread;
    pthread_attr_t a;
    if (!raw)
        return T_STACK_ROOM;
    unsigned char *room = raw + (page - (uintptr_t)raw % page) % page;
    memset(room, T_STACK_PAINT, T_STACK_ROOM);
    pthread_attr_init(&a);
    const int started = pthread_attr_setstack(&a, room, T_STACK_ROOM) == 0 &&
                        pthread_create(&thread, &a, t_stack_main, &work) == 0;
    if (started)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&a);
    while (started && clean < T_STACK_ROOM && room[clean] == T_STACK_PAINT)
        clean++;
    free(raw);
    return T_STACK_ROOM - clean;
}

static void t_stack_nothing(void)
{
}

/* A network of the zoo, its weights by formula, T steps of two inputs. */
static void t_stack_net(const char *spec, int int8, mango_idx B, mango_idx T)
{
    mango_net *net = NULL;
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_err err = {""};
    T_OK(mango_plan_defaults(&o), &err);
    o.T = T;
    o.batch = B;
    o.raw = 1;
    o.int8 = int8;
    T_OK(mango_net_zoo(&net, spec, NULL, &err), &err);
    if (!net)
        return;
    T_OK(mango_net_fill(net, 7, 2.0), &err);
    const mgi_node *in = &net->node[net->input], *out = &net->node[net->output];
    const mango_idx n = B * in->C * in->H * in->W;
    float *x = calloc((size_t)n, sizeof *x);
    float *y = calloc((size_t)(B * out->C * out->H * out->W), sizeof *y);
    const mango_reading r = {mango_net_layers(net) - 1, MANGO_READ_MEAN, y};
    mango_fill_u("input", 1, n, x);
    T_OK(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), &err);
    T_OK(mango_plan_run(p, B, x), &err);
    mango_plan_destroy(p);
    mango_net_destroy(net);
    free(x);
    free(y);
}

static void t_stack_nets(void)
{
    t_stack_net("snn_conv", 0, 2, 3);
    t_stack_net("snn_conv", 1, 2, 3);
    t_stack_net("spiking_resnet18,width=0.25", 0, 2, 3);
    t_stack_net("vqvae,width=0.25", 0, 2, 1);
    t_stack_net("sngan,width=0.25", 0, 2, 1);
    t_stack_net("densenet,width=0.25", 0, 1, 1);
}

static void t_stack_search(void)
{
    enum { D = 12, K = 25 };
    mango_idx n[D], I[K * D], got = 0;
    double y[K];
    mango_opt *opt = NULL;
    mango_opt_options o;
    mango_err err = {""};
    for (int j = 0; j < D; j++)
        n[j] = 64;
    const mango_modes modes = {D, n};
    T_OK(mango_opt_defaults("tt-b", &o, &err), &err);
    T_OK(mango_opt_create(&opt, &modes, NULL, &o, 7, NULL, &err), &err);
    for (int it = 0; it < 3; it++) {
        T_OK(mango_opt_ask(opt, K, &got, I), &err);
        for (mango_idx k = 0; k < got; k++)
            y[k] = (double)I[k * D];
        T_OK(mango_opt_tell(opt, got, I, y), &err);
    }
    mango_opt_destroy(opt);
}

static void t_stack_training(mango_train_kind kind, const char *graph)
{
    t_train_rig r;
    if (t_train_open(&r, kind, graph)) {
        r.o.epochs = 1;
        if (t_train_make(&r, kind))
            T_CHECK(t_train_run(&r));
    }
    t_train_close(&r);
}

static void t_stack_trainings(void)
{
    t_stack_training(MANGO_TRAIN_NET, t_train_snn);
    t_stack_training(MANGO_TRAIN_VQVAE, t_train_vae);
}

static void t_stack_bound(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    T_SKIP("sanitizers have larger frames");
#else
    static const struct {
        const char *name;
        void (*work)(void);
    } job[] = {{"networks", t_stack_nets}, {"search", t_stack_search},
               {"training", t_stack_trainings}};
    const mango_idx start = t_stack_used(t_stack_nothing);
    T_REQUIRE(start < T_STACK_ROOM);
    for (mango_idx i = 0; i < MGI_COUNT(job); i++) {
        const mango_idx used = t_stack_used(job[i].work) - start;
        if (used > T_STACK_MOST)
            printf("%s: %td bytes of stack, at most %d expected\n", job[i].name, used,
                   T_STACK_MOST);
        T_CHECK(used <= T_STACK_MOST);
    }
#endif
}

void t_stack(void)
{
    T_CASE(t_stack_bound);
}

#else

static void t_stack_unknown(void)
{
    T_SKIP("needs POSIX threads");
}

void t_stack(void)
{
    T_CASE(t_stack_unknown);
}

#endif
