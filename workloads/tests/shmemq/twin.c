/*
 * The published design of the shared-memory queue benchmark, in C: what `shmemq` is held against.
 *
 * A queue is a named piece of shared memory that starts with a process-shared mutex and two indices; enqueue and dequeue
 * lock, look, copy, move an index, unlock, and never block. Two processes play ping-pong over two of them in a busy loop.
 *
 *   twin bench KIND SIZE TRIPS CPU CPU      plays both sides, prints {"elapsed_ns":N}
 *   twin host  KIND SIZE TRIPS NAME NAME    makes /dev/shm/NAME twice, says `ready`, plays the server
 *
 * KIND is plain or adaptive. Build: cc -O2 -pthread twin.c -o twin
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY 1000
#define WARM_UP 500

struct header {
	pthread_mutex_t lock;
	uint64_t read_index;
	uint64_t write_index;
	char elements[];
};

typedef struct {
	struct header *memory;
	size_t mapped;
	uint64_t max_count;
	uint32_t element_size;
	char name[128];
} shmemq_t;

static void die(char const *what)
{
	perror(what);
	exit(1);
}

static void make_lock(pthread_mutex_t *lock, bool adaptive)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (adaptive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	if (pthread_mutex_init(lock, &attr) != 0)
		die("pthread_mutex_init");
	pthread_mutexattr_destroy(&attr);
}

static shmemq_t *shmemq_new(char const *name, uint64_t max_count, uint32_t element_size, bool adaptive)
{
	shmemq_t *self = calloc(1, sizeof(*self));
	if (self == NULL)
		die("calloc");
	snprintf(self->name, sizeof(self->name), "/%s", name);
	self->max_count = max_count;
	self->element_size = element_size;
	self->mapped = sizeof(struct header) + max_count * element_size;
	int fd = shm_open(self->name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0)
		die("shm_open");
	if (posix_fallocate(fd, 0, (off_t)self->mapped) != 0)
		die("posix_fallocate");
	self->memory = mmap(NULL, self->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (self->memory == MAP_FAILED)
		die("mmap");
	close(fd);
	make_lock(&self->memory->lock, adaptive);
	return self;
}

static void shmemq_destroy(shmemq_t *self, bool unlink_too)
{
	if (unlink_too)
		shm_unlink(self->name);
	munmap(self->memory, self->mapped);
	free(self);
}

static char *element(shmemq_t *self, uint64_t index)
{
	return self->memory->elements + (index % self->max_count) * self->element_size;
}

static bool shmemq_try_enqueue(shmemq_t *self, void const *from, uint32_t length)
{
	struct header *memory = self->memory;
	if (length != self->element_size)
		return false;
	pthread_mutex_lock(&memory->lock);
	bool room = memory->write_index - memory->read_index < self->max_count;
	if (room) {
		memcpy(element(self, memory->write_index), from, length);
		memory->write_index++;
	}
	pthread_mutex_unlock(&memory->lock);
	return room;
}

static bool shmemq_try_dequeue(shmemq_t *self, void *to, uint32_t length)
{
	struct header *memory = self->memory;
	if (length != self->element_size)
		return false;
	pthread_mutex_lock(&memory->lock);
	bool some = memory->read_index != memory->write_index;
	if (some) {
		memcpy(to, element(self, memory->read_index), length);
		memory->read_index++;
	}
	pthread_mutex_unlock(&memory->lock);
	return some;
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("sched_setaffinity");
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void serve(shmemq_t *in, shmemq_t *out, char *message, uint32_t size, long trips)
{
	for (long i = 0; i < trips; ++i) {
		while (!shmemq_try_dequeue(in, message, size))
			;
		while (!shmemq_try_enqueue(out, message, size))
			;
	}
}

static void request(shmemq_t *in, shmemq_t *out, char *message, uint32_t size, long trips)
{
	for (long i = 0; i < trips; ++i) {
		while (!shmemq_try_enqueue(out, message, size))
			;
		while (!shmemq_try_dequeue(in, message, size))
			;
	}
}

static int bench(bool adaptive, uint32_t size, long trips, int server_cpu, int client_cpu)
{
	char to_server_name[64], to_client_name[64];
	snprintf(to_server_name, sizeof(to_server_name), "shmemq-twin.%d.s", getpid());
	snprintf(to_client_name, sizeof(to_client_name), "shmemq-twin.%d.c", getpid());
	shmemq_t *to_server = shmemq_new(to_server_name, CAPACITY, size, adaptive);
	shmemq_t *to_client = shmemq_new(to_client_name, CAPACITY, size, adaptive);
	/* The child inherits the mappings: nothing needs the names any more. */
	shm_unlink(to_server->name);
	shm_unlink(to_client->name);
	char *message = calloc(1, size);
	pid_t server = fork();
	if (server < 0)
		die("fork");
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(server_cpu);
		serve(to_server, to_client, message, size, WARM_UP + trips);
		_exit(0);
	}
	pin(client_cpu);
	request(to_client, to_server, message, size, WARM_UP);
	uint64_t start = now_ns();
	request(to_client, to_server, message, size, trips);
	uint64_t elapsed = now_ns() - start;
	int status = 0;
	waitpid(server, &status, 0);
	shmemq_destroy(to_server, false);
	shmemq_destroy(to_client, false);
	free(message);
	printf("{\"elapsed_ns\":%llu}\n", (unsigned long long)elapsed);
	return status == 0 ? 0 : 1;
}

static int host(bool adaptive, uint32_t size, long trips, char const *to_server_name, char const *to_client_name)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	shmemq_t *to_server = shmemq_new(to_server_name, CAPACITY, size, adaptive);
	shmemq_t *to_client = shmemq_new(to_client_name, CAPACITY, size, adaptive);
	char *message = calloc(1, size);
	printf("ready\n");
	fflush(stdout);
	serve(to_server, to_client, message, size, trips);
	shmemq_destroy(to_server, true);
	shmemq_destroy(to_client, true);
	free(message);
	return 0;
}

int main(int count, char **words)
{
	if (count != 7) {
		fprintf(stderr, "usage: twin bench|host plain|adaptive SIZE TRIPS X X\n");
		return 2;
	}
	bool adaptive = strcmp(words[2], "adaptive") == 0;
	uint32_t size = (uint32_t)strtoul(words[3], NULL, 10);
	long trips = strtol(words[4], NULL, 10);
	if (strcmp(words[1], "bench") == 0)
		return bench(adaptive, size, trips, atoi(words[5]), atoi(words[6]));
	return host(adaptive, size, trips, words[5], words[6]);
}
