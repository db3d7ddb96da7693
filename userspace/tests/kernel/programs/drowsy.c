/* Takes a lock that nobody else wants, waits for a byte, and sleeps for a second before it ends. */
#include <pthread.h>
#include <unistd.h>

int main(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char byte;
	pthread_mutex_lock(&lock);
	if (read(0, &byte, 1) != 1)
		return 1;
	sleep(1);
	return pthread_mutex_unlock(&lock);
}
