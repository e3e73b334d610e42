# SPDX-License-Identifier: Apache-2.0
# Java: thread pools, timers, ProcessBuilder, channels, a guarded page of the stack, exit hooks;
# then the tools that attach to a running machine through a signal and an AF_UNIX socket.
# abi-needs: java javac jcmd jstack
# abi-timeout: 120
cat > T.java <<'END'
import java.io.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
public class T {
  public static void main(String[] a) throws Exception {
    AtomicInteger n = new AtomicInteger();
    ExecutorService ex = Executors.newFixedThreadPool(4);
    List<Future<Integer>> fs = new ArrayList<>();
    for (int i = 0; i < 100; i++) { int k = i; fs.add(ex.submit(() -> { n.incrementAndGet(); return k * k; })); }
    int s = 0; for (Future<Integer> f : fs) s += f.get();
    System.out.println("sum " + s + " " + n);
    ex.shutdown(); System.out.println(ex.awaitTermination(5, TimeUnit.SECONDS));
    ScheduledExecutorService se = Executors.newScheduledThreadPool(2);
    CountDownLatch l = new CountDownLatch(5);
    long t = System.nanoTime();
    se.scheduleAtFixedRate(l::countDown, 5, 5, TimeUnit.MILLISECONDS);
    l.await(); se.shutdownNow();
    System.out.println("timer " + ((System.nanoTime() - t) >= 24_000_000L));
    Process p = new ProcessBuilder("sh", "-c", "cat; echo err >&2; exit 4").redirectErrorStream(true).start();
    try (Writer w = new OutputStreamWriter(p.getOutputStream())) { w.write("to child\n"); }
    try (BufferedReader r = new BufferedReader(new InputStreamReader(p.getInputStream()))) { r.lines().forEach(x -> System.out.println("child: " + x)); }
    System.out.println("exit " + p.waitFor());
    Process q = new ProcessBuilder("sleep", "100").start(); q.destroyForcibly(); System.out.println("killed " + q.waitFor());
    Path d = Files.createTempDirectory("jt"); Path f = d.resolve("f");
    try (FileChannel c = FileChannel.open(f, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      MappedByteBuffer m = c.map(FileChannel.MapMode.READ_WRITE, 0, 8192); m.putInt(4096, 42); m.force();
      ByteBuffer b = ByteBuffer.allocate(4); c.read(b, 4096); b.flip(); System.out.println("map " + b.getInt() + " " + c.size());
      try (FileLock k = c.tryLock()) { System.out.println("lock " + k.isValid()); }
    }
    Files.move(f, d.resolve("g")); try (var st = Files.list(d)) { st.forEach(x -> System.out.println(x.getFileName())); }
    Pipe pp = Pipe.open(); Selector sel = Selector.open(); pp.source().configureBlocking(false); pp.source().register(sel, SelectionKey.OP_READ);
    new Thread(() -> { try { Thread.sleep(20); pp.sink().write(ByteBuffer.wrap("x".getBytes())); } catch (Exception e) { e.printStackTrace(); } }).start();
    System.out.println("select " + sel.select(5000));
    byte[][] big = new byte[64][]; for (int i = 0; i < 64; i++) big[i] = new byte[1 << 20];
    System.gc(); System.out.println("heap " + big.length);
    try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("npe"); }
    try { rec(0); } catch (StackOverflowError e) { System.out.println("deep"); }
    Object lock = new Object(); Thread th = new Thread(() -> { synchronized (lock) { try { lock.wait(); } catch (InterruptedException e) { System.out.println("interrupted"); } } });
    th.start(); while (th.getState() != Thread.State.WAITING) Thread.sleep(1); th.interrupt(); th.join();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
    System.exit(7);
  }
  static int rec(int n) { return rec(n + 1) + 1; }
}
END
cat > W.java <<'END'
public class W {
  public static void main(String[] a) throws Exception {
    System.out.println("ready");
    System.out.close();
    Thread.sleep(60_000);
  }
}
END
javac T.java W.java || exit
java T
echo "exit $?"
mkfifo ready
java W > ready &
read -r word < ready
echo "$word"
jps -l | sed 's/^[0-9]* //' | sort
jcmd $! VM.version | sed 1d
jstack $! | grep -c 'Thread.sleep'
jcmd $! Thread.print | grep -c '"main"'
kill $!
wait $!
echo "exit $?"
rm -f ready *.class
