/* Prints the frame pointer of a thread: the one register that /proc does not tell. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
#ifdef __x86_64__
    struct user_regs_struct registers;
#else
    struct user_pt_regs registers;
#endif
    struct iovec room = {&registers, sizeof registers};
    int thread = argc > 1 ? atoi(argv[1]) : 0, status;
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0)
        return 1;
    if (waitpid(thread, &status, __WALL) != thread)
        return 2;
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &room) != 0)
        return 3;
#ifdef __x86_64__
    printf("%llx\n", (unsigned long long)registers.rbp);
#else
    printf("%llx\n", (unsigned long long)registers.regs[29]);
#endif
    return ptrace(PTRACE_DETACH, thread, 0, 0) != 0;
}
