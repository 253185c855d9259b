/* insn.c - a plugin for qemu-user (-plugin): instructions between two marks.
 *
 * The program under test makes the system call number MARK, which no kernel has,
 * with a letter: 'b' begins, 'e' ends, and the plugin writes the instructions
 * executed in between and a newline to standard output. Counted are the blocks
 * that QEMU translates, each once per execution, by an addition it compiles into
 * them. The few declarations below are QEMU's plugin interface, version 1
 * (docs/devel/tcg-plugins); Debian installs no header for it.
 *     cc -shared -fPIC -o insn.so insn.c
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MARK 4242 /* as in count.c */

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void (*insn_on_tb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*insn_on_syscall)(qemu_plugin_id_t id, unsigned vcpu, int64_t num,
                                uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, insn_on_tb f);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
                                              enum qemu_plugin_op op, void *p, uint64_t by);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, insn_on_syscall f);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t insn_count, insn_begin;

static void insn_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &insn_count,
                                             qemu_plugin_tb_n_insns(tb));
}

static void insn_syscall(qemu_plugin_id_t id, unsigned vcpu, int64_t num, uint64_t a1,
                         uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                         uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7,
        (void)a8;
    char text[32];
    if (num == MARK && a1 == 'b')
        insn_begin = insn_count;
    if (num == MARK && a1 == 'e') {
        const int n = snprintf(text, sizeof text, "%" PRIu64 "\n", insn_count - insn_begin);
        if (write(STDOUT_FILENO, text, (size_t)n) != n)
            _exit(1);
    }
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, insn_block);
    qemu_plugin_register_vcpu_syscall_cb(id, insn_syscall);
    return 0;
}
