import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.concurrent.locks.LockSupport;

/** A monitor that is found taken a known number of times: who holds it waits until the other thread is blocked. */
public class Monitors {
    static final int TIMES = 7;
    static final Object monitor = new Object(), condition = new Object();
    static volatile int turn;
    static volatile boolean notified;

    static void want() {
        for (int time = 0; time < TIMES; time++) {
            while (turn != 2 * time + 1) Thread.yield();
            synchronized (monitor) {
                turn++;
            }
        }
    }

    static void idle() {
        synchronized (condition) {
            while (!notified) {
                try {
                    condition.wait();
                } catch (InterruptedException nobody) {
                    return;
                }
            }
        }
        LockSupport.park();
    }

    static void until(Thread thread, Thread.State state) throws InterruptedException {
        while (thread.getState() != state) Thread.sleep(1);
        // It spins for a moment before it goes to sleep.
        for (int looks = 0; looks < 20; looks = sleeps(thread.getName()) ? looks + 1 : 0) Thread.sleep(1);
    }

    /** Whether the kernel says so of the thread. */
    static boolean sleeps(String name) {
        for (File task : new File("/proc/self/task").listFiles()) {
            try {
                if (Files.readString(task.toPath().resolve("stat")).contains("(" + name + ") S")) return true;
            } catch (IOException ended) {
                continue;
            }
        }
        return false;
    }

    public static void main(String[] arguments) throws Exception {
        Thread other = new Thread(Monitors::want, "other"), idler = new Thread(Monitors::idle, "idler");
        System.out.println("ready");
        System.out.flush();
        System.in.read();
        idler.start();
        other.start();
        until(idler, Thread.State.WAITING);
        synchronized (condition) {
            notified = true;
            condition.notify();
        }
        for (int time = 0; time < TIMES; time++) {
            synchronized (monitor) {
                turn++;
                until(other, Thread.State.BLOCKED);
            }
            while (turn != 2 * time + 2) Thread.yield();
        }
        until(idler, Thread.State.WAITING);
        LockSupport.unpark(idler);
        other.join();
        idler.join();
        System.out.println("{\"times\":" + TIMES + "}");
    }
}
