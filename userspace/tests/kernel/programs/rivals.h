/* What threads that fight for locks need: a clock, chance, work without a system call, and a CPU each. */
#include <sched.h>
#include <stdint.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 32);
}

static void work(uint32_t steps)
{
	for (volatile uint32_t step = 0; step < steps; step++)
		;
}

/* Two threads on one CPU would meet only where one is interrupted. */
static void settle(int nth)
{
	cpu_set_t cpus, own;
	sched_getaffinity(0, sizeof cpus, &cpus);
	nth %= CPU_COUNT(&cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && nth-- == 0) {
			CPU_ZERO(&own);
			CPU_SET(cpu, &own);
			sched_setaffinity(0, sizeof own, &own);
		}
	}
}
