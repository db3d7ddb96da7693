/** Two monitors, each wanted by two threads in a function of its own. */
public class Rivals {
    static final int TIMES = 30;
    static final Object one = new Object(), other = new Object();
    static volatile int turns;

    static void work() {
        long until = System.nanoTime() + 2_000_000;
        while (System.nanoTime() < until) turns++;
    }

    static void first() {
        synchronized (one) {
            work();
        }
    }

    static void second() {
        synchronized (other) {
            work();
        }
    }

    static Thread start(Runnable want) {
        Thread thread = new Thread(() -> {
            for (int time = 0; time < TIMES; time++) want.run();
        });
        thread.start();
        return thread;
    }

    public static void main(String[] arguments) throws Exception {
        // What is called has been compiled, where that is asked for.
        first();
        second();
        System.out.println("ready");
        System.out.flush();
        System.in.read();
        Thread[] all = {start(Rivals::first), start(Rivals::second), start(Rivals::first), start(Rivals::second)};
        for (Thread thread : all) thread.join();
    }
}
