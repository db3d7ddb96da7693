/* A process for each reason to be left alone. Says "ready PID" and sleeps until its input ends; that of "vfork" waits for
 * its child in the kernel. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static int prepare(const char *mode)
{
    struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog filter = {1, allow};
    if (!strcmp(mode, "seccomp"))
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
    if (!strcmp(mode, "undumpable"))
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (!strcmp(mode, "mdwe"))
        return prctl(PR_SET_MDWE, 1, 0, 0, 0);
    return 0;
}

/* From now on giving memory back is deadly. */
static int forbid(void)
{
    struct sock_filter deadly[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, deadly};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    char byte;
    if (prepare(mode)) {
        printf("cannot\n");
        return 1;
    }
    if (!strcmp(mode, "vfork")) {
        printf("ready %d\n", getpid());
        fflush(stdout);
        int child = vfork();
        if (child == 0) {
            while (read(0, &byte, 1) > 0)
                ;
            _exit(0);
        }
        waitpid(child, 0, 0);
        return 0;
    }
    if (!strcmp(mode, "traced")) {
        int done[2];
        if (pipe(done))
            return 1;
        int child = fork();
        if (child == 0) {
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            if (write(done[1], "d", 1) != 1)
                return 1;
            for (;;)
                pause();
        }
        if (read(done[0], &byte, 1) != 1)
            return 1;
        printf("ready %d\n", child);
        fflush(stdout);
        while (read(0, &byte, 1) > 0)
            ;
        kill(child, SIGKILL);
        return 0;
    }
    if (!strcmp(mode, "twice") && !dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW)) {
        printf("cannot\n");
        return 1;
    }
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        if (!strcmp(mode, "later")) {
            printf(forbid() ? "cannot\n" : "ready %d\n", getpid());
            fflush(stdout);
        } else if (!strcmp(mode, "vforks")) {
            printf("ready %d\n", getpid());
            fflush(stdout);
            if (vfork() == 0) {
                while (read(0, &byte, 1) > 0)
                    ;
                _exit(0);
            }
        }
    return 0;
}
