/* Counts the instructions that a program's libraries execute under qemu-user, to the last one.
 *
 * One addition per translated block, done inline by the emulator, is all the cost there is: blocks
 * are straight code, so a block entered is a block executed. Blocks of the file of the argument
 * `except` are left out: that is the Python interpreter, which is not what is measured, and which
 * from its seventh call on or so runs other code than before, depending on where its objects lie.
 * Whenever the program makes the system
 * call of the marker, the total so far is written as a line of text to the file of the argument
 * `out`. The program makes the marker call between what it wants told apart.
 *
 * qemu's plugin header is not packaged by distributions, so the few declarations needed are
 * repeated here. PLUGIN_API chooses between the two interfaces there have been:
 *   1  qemu 6.2 to 8.2: one counter, inline addition to its address
 *   2  qemu 9.0 and later: a counter per virtual CPU on a scoreboard
 * A vCPU is a thread of the program, and with interface 1 two threads that count at the same moment
 * may lose a block. Measure programs that work in one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLUGIN_API
#error "compile with -DPLUGIN_API=1 (qemu before 9.0) or -DPLUGIN_API=2"
#endif

#define EXPORT __attribute__((visibility("default")))
#define GETPPID_ON_AARCH64 173 /* no library calls it of its own accord, and it changes nothing */

/* --- from qemu's qemu-plugin.h ------------------------------------------------------------- */

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*tb_trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_trans_cb);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);

#if PLUGIN_API == 1
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                              uint64_t);
#else
struct qemu_plugin_scoreboard;
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *, enum qemu_plugin_op,
                                                       qemu_plugin_u64, uint64_t);
#endif

EXPORT int qemu_plugin_version = PLUGIN_API;
EXPORT int qemu_plugin_install(qemu_plugin_id_t, const qemu_info_t *, int, char **);

/* --- counting ------------------------------------------------------------------------------ */

static FILE *out;

#if PLUGIN_API == 1
static uint64_t executed;
static void count(struct qemu_plugin_tb *tb, uint64_t instructions)
{
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &executed,
                                             instructions);
}
static uint64_t total(void) { return executed; }
#else
static qemu_plugin_u64 executed;
static void count(struct qemu_plugin_tb *tb, uint64_t instructions)
{
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed,
                                                      instructions);
}
static uint64_t total(void) { return qemu_plugin_u64_sum(executed); }
#endif

/* From where to where this process, which is qemu, has mapped the file `except`. The addresses are
 * the machine's, not those that the program sees. */
static const char *except;
static uintptr_t except_from, except_to;

static void find_except(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[5000];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        int name = 0;
        sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &name);
        line[strcspn(line, "\n")] = '\0';
        if (name > 0 && strcmp(line + name, except) == 0) {
            except_from = except_to == 0 ? from : except_from;
            except_to = to;
        }
    }
    if (except_to == 0) {
        fprintf(stderr, "count: %s is not mapped, so its code cannot be left out\n", except);
        exit(1);
    }
    fclose(maps);
}

static bool left_out(const struct qemu_plugin_tb *tb)
{
    if (except == NULL) {
        return false;
    }
    if (except_to == 0) {
        find_except(); /* the first block is translated after the program was loaded */
    }
    uintptr_t address = (uintptr_t)qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0));
    return address >= except_from && address < except_to;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (!left_out(tb)) {
        count(tb, qemu_plugin_tb_n_insns(tb));
    }
}

static void system_call(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1,
                        uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                        uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a1, (void)a2, (void)a3, (void)a4;
    (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == GETPPID_ON_AARCH64) {
        fprintf(out, "%llu\n", (unsigned long long)total());
        fflush(out);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        } else if (strncmp(argv[i], "except=", 7) == 0) {
            except = strdup(argv[i] + 7);
        }
    }
    if (out == NULL) {
        fprintf(stderr, "count: needs out=FILE, and FILE must be writable\n");
        return -1;
    }
#if PLUGIN_API != 1
    executed = (qemu_plugin_u64){qemu_plugin_scoreboard_new(sizeof(uint64_t)), 0};
#endif
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    return 0;
}
