// Waits for SIGUSR1, and is named "done" once all is done, for who sent it.
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

static sigset_t wanted;

static void wait_for_signal(void) {
    int signal;
    sigwait(&wanted, &signal);
}

static void may_begin(void) {
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    wait_for_signal();
}

static void is_done(void) {
    prctl(PR_SET_NAME, "done");
    wait_for_signal();
}
