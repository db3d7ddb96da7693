/* refuse many|all PROGRAM ARGUMENT...: runs it where the kernel refuses to put probes into code, and nothing else: bpf(2)
 * with BPF_LINK_CREATE and as many bytes as that takes to name many places of a file; or also an event of one place. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ELSE_ALLOW(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))

int main(int argc, char **argv)
{
	struct sock_filter rules[] = {
		WORD(nr), ELSE_ALLOW(SYS_bpf, 6),
		WORD(args[0]), ELSE_ALLOW(28, 4),
		WORD(args[2]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 64, 1, 0),
		ELSE_ALLOW(argc > 1 && !strcmp(argv[1], "many") ? 64 : 24, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof rules / sizeof *rules, rules };
	if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 99;
	execv(argv[2], argv + 2);
	return 98;
}
