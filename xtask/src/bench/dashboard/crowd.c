/* Processes that make up to 60 kinds of system calls in a rhythm: PROCESSES ACTIVE KINDS PERIOD_MS. The others of them
 * wake once a second. Prints the process ids in one line; ends with its standard input. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const long CALLS[60] = {
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpgid,
	SYS_getsid, SYS_close, SYS_dup, SYS_fsync, SYS_fdatasync, SYS_lseek, SYS_fstat, SYS_fchdir,
	SYS_fchmod, SYS_fchown, SYS_ftruncate, SYS_flock, SYS_ioctl, SYS_fcntl, SYS_read, SYS_write,
	SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_getdents64, SYS_dup3, SYS_accept, SYS_listen,
	SYS_bind, SYS_connect, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_setsockopt, SYS_getsockopt,
	SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_epoll_ctl, SYS_fallocate, SYS_fadvise64,
	SYS_readahead, SYS_sync_file_range, SYS_splice, SYS_tee, SYS_inotify_rm_watch, SYS_timerfd_gettime,
	SYS_getpriority, SYS_sched_getscheduler, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
	SYS_clock_getres, SYS_timer_getoverrun, SYS_mq_notify, SYS_vmsplice,
};

static void work(int kinds, long period_ms) {
	struct timespec next;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		for (int at = 0; at < kinds; at++)
			syscall(CALLS[at], at < 9 ? 0 : -1, 0, 0, 0, 0, 0);
		next.tv_nsec += period_ms % 1000 * 1000000;
		next.tv_sec += period_ms / 1000 + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}

int main(int count, char **words) {
	if (count != 5)
		return 2;
	int processes = atoi(words[1]), active = atoi(words[2]), kinds = atoi(words[3]);
	if (kinds > 60)
		return 2;
	for (int at = 0; at < processes; at++) {
		pid_t pid = fork();
		if (pid < 0) {
			perror("fork");
			kill(0, SIGTERM);
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (at < active)
				work(kinds, atol(words[4]));
			work(0, 1000);
		}
		printf("%s%d", at ? "," : "", pid);
	}
	printf("\n");
	fflush(stdout);
	char some;
	while (read(0, &some, 1) > 0 || errno == EINTR)
		;
	return 0;
}
