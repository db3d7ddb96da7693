// A lock of Abseil that is found taken a known number of times: who holds it waits until the other sleeps for it.
//
// shared [--ready-fd N] [--go-fd N] [--json]
#include <absl/synchronization/mutex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "told.h"

enum { TIMES = 7, LOOKS = 20 };

static absl::Mutex lock;
static pthread_barrier_t turn;
static std::atomic<pid_t> other_tid;

static bool sleeps() {
	char path[64], line[256] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)other_tid.load());
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : nullptr;
	fclose(file);
	return end && end[1] && end[2] == 'S';
}

static void *want(void *nothing) {
	other_tid = (pid_t)syscall(SYS_gettid);
	for (int time = 0; time < TIMES; time++) {
		pthread_barrier_wait(&turn);
		lock.Lock();
		lock.Unlock();
		pthread_barrier_wait(&turn);
	}
	return nothing;
}

int main(int argc, char **argv) {
	pthread_t other;
	if (!may_go(argc, argv))
		return 1;
	pthread_barrier_init(&turn, nullptr, 2);
	if (pthread_create(&other, nullptr, want, nullptr))
		return 1;
	for (int time = 0; time < TIMES; time++) {
		lock.Lock();
		pthread_barrier_wait(&turn);
		// Both may sleep a moment before they come to the lock: at the barrier, and while the slow path begins.
		for (int quiet = 0; quiet < LOOKS; usleep(500))
			quiet = sleeps() ? quiet + 1 : 0;
		lock.Unlock();
		pthread_barrier_wait(&turn);
	}
	pthread_join(other, nullptr);
	printf("{\"times\":%d}\n", TIMES);
	return 0;
}
