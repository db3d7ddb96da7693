// A queue whose method waits for its mutex, in two classes and a namespace.
#include <cstdio>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace shape {
template <typename T> struct Queue {
    std::mutex lock;
    T last{};
    __attribute__((noinline)) T enqueue(const T &value)
    {
        std::lock_guard<std::mutex> held(lock);
        last = value;
        return last + 1;
    }
};
}

__attribute__((noinline)) int produce(shape::Queue<int> &queue) { return queue.enqueue(4) + 2; }

int main()
{
    shape::Queue<int> queue;
    queue.lock.lock();
    std::thread([&] { std::printf("%d\n", produce(queue)); }).detach();
    std::puts("ready");
    std::fflush(stdout);
    char go;
    while (read(0, &go, 1) > 0)
        ;
    _exit(0);
}
