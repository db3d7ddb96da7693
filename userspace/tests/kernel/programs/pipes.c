// Two processes that wait for each other. "pipes": each writes to the other one until both pipes are full, and reads
// nothing. "sockets": each reads what the other one never writes.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char block[4096];

static int fill(void) {
    int there[2], back[2];
    memset(block, 7, sizeof block);
    if (pipe(there) != 0 || pipe(back) != 0)
        return 1;
    int in_child = fork() == 0;
    close(in_child ? there[1] : there[0]);
    close(in_child ? back[0] : back[1]);
    while (write(in_child ? back[1] : there[1], block, sizeof block) > 0) {
    }
    return 0;
}

static int listen_to_each_other(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return 1;
    int in_child = fork() == 0;
    close(ends[in_child]);
    return read(ends[!in_child], block, sizeof block) != 0;
}

int main(int count, char **arguments) {
    return count == 2 && strcmp(arguments[1], "sockets") == 0 ? listen_to_each_other() : fill();
}
