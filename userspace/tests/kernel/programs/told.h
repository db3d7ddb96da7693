/* What a program's caller tells it: --ready-fd N and --go-fd N, through which it says that it is ready and hears that it may
 * begin. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int told(int count, char **arguments, const char *name, int otherwise)
{
	for (int at = 1; at + 1 < count; at++)
		if (!strcmp(arguments[at], name))
			otherwise = atoi(arguments[at + 1]);
	return otherwise;
}

/* Whether it may begin. */
static int may_go(int count, char **arguments)
{
	int ready = told(count, arguments, "--ready-fd", 8), go = told(count, arguments, "--go-fd", 9);
	char byte;
	return write(ready, "ready\n", 6) == 6 && read(go, &byte, 1) == 1;
}
