# SPDX-License-Identifier: Apache-2.0
# Rust: threads, channels, condition variables, parking, scopes, a panic, children; rustc too.
# abi-needs: rustc
# abi-hide: panicked at .*|thread '<unnamed>'.*
# abi-env: HOME=/root
# abi-timeout: 60
cat > t.rs <<'END'
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::time::{Duration, Instant};
use std::thread;
fn main() {
    let m = Arc::new(Mutex::new(0u64));
    let b = Arc::new(Barrier::new(8));
    let hs: Vec<_> = (0..8).map(|i| { let m = m.clone(); let b = b.clone(); thread::Builder::new().name(format!("w{i}")).spawn(move || { b.wait(); for _ in 0..1000 { *m.lock().unwrap() += i; } thread::current().name().unwrap().to_string() }).unwrap() }).collect();
    for h in hs { print!("{} ", h.join().unwrap()); }
    println!("{}", m.lock().unwrap());
    let (tx, rx) = mpsc::channel();
    for i in 0..4 { let tx = tx.clone(); thread::spawn(move || { thread::sleep(Duration::from_millis(15 * i)); tx.send(i).unwrap(); }); }
    drop(tx);
    println!("{:?}", rx.iter().collect::<Vec<_>>());
    let p = Arc::new((Mutex::new(false), Condvar::new()));
    let p2 = p.clone();
    let t = thread::spawn(move || { thread::park_timeout(Duration::from_millis(10)); *p2.0.lock().unwrap() = true; p2.1.notify_all(); });
    let mut g = p.0.lock().unwrap(); while !*g { g = p.1.wait(g).unwrap(); } drop(g); t.join().unwrap();
    let s = Instant::now(); let r = p.1.wait_timeout(p.0.lock().unwrap(), Duration::from_millis(20)).unwrap().1; println!("{} {}", r.timed_out(), s.elapsed() >= Duration::from_millis(20));
    let rw = RwLock::new(5); { let a = rw.read().unwrap(); let c = rw.read().unwrap(); println!("{}", *a + *c); } *rw.write().unwrap() = 6;
    thread::scope(|s| { s.spawn(|| println!("scoped {}", rw.read().unwrap())); });
    println!("{}", thread::spawn(|| { if true { panic!("x"); } }).join().is_err());
    let o = std::process::Command::new("sh").args(["-c", "echo hi; exit 3"]).output().unwrap(); println!("{:?} {:?}", o.status.code(), String::from_utf8_lossy(&o.stdout));
    println!("{:?}", std::process::Command::new("no-such").spawn().err().map(|e| e.kind()));
}
END
rustc -O t.rs && ./t
echo "exit $?"
rm -f t
