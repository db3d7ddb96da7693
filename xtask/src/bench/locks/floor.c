// Two programs that do nothing, where system calls begin and where they end, until they are interrupted.
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes) {
    return (int)syscall(__NR_bpf, command, attributes, sizeof *attributes);
}

static int attach(const char *tracepoint) {
    struct bpf_insn nothing[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    attributes.insns = (uintptr_t)nothing;
    attributes.insn_cnt = 2;
    attributes.license = (uintptr_t) "GPL";
    int program = bpf(BPF_PROG_LOAD, &attributes);
    memset(&attributes, 0, sizeof attributes);
    attributes.raw_tracepoint.name = (uintptr_t)tracepoint;
    attributes.raw_tracepoint.prog_fd = (uint32_t)program;
    return program < 0 ? program : bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes);
}

int main(void) {
    if (attach("sys_exit") < 0 || attach("sys_enter") < 0) {
        perror("cannot attach an empty program");
        return 1;
    }
    puts("attached");
    fflush(stdout);
    pause();
}
