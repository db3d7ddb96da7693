/** Two monitors, each wanted by two threads in a function of its own. */
public class Rivals extends Thread {
    static final int TIMES = 12;
    static final Object one = new Object(), other = new Object();
    static volatile int turns;

    final Runnable want;
    Thread rival;

    Rivals(Runnable want) {
        this.want = want;
    }

    @Override
    public void run() {
        for (int time = 0; time < TIMES; time++) want.run();
    }

    /** Keeps a monitor until the rival waits for it, and some time longer: it spins before it sleeps. */
    static void work() {
        if (!(Thread.currentThread() instanceof Rivals)) return;
        Thread rival = ((Rivals) Thread.currentThread()).rival;
        while (rival.getState() != State.BLOCKED && rival.getState() != State.TERMINATED) turns++;
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

    public static void main(String[] arguments) throws Exception {
        // What is called has been compiled, where that is asked for.
        first();
        second();
        System.out.println("ready");
        System.out.flush();
        System.in.read();
        Runnable[] wants = {Rivals::first, Rivals::second, Rivals::first, Rivals::second};
        Rivals[] all = new Rivals[wants.length];
        for (int at = 0; at < all.length; at++) all[at] = new Rivals(wants[at]);
        for (int at = 0; at < all.length; at++) all[at].rival = all[(at + 2) % all.length];
        for (Rivals thread : all) thread.start();
        for (Rivals thread : all) thread.join();
        System.out.println("done");
        System.out.flush();
        System.in.read();
    }
}
