# SPDX-License-Identifier: Apache-2.0
# Node: the order of timers, worker threads, shared memory, children with pipes and with an
# IPC channel, signals, files by the thread pool.
# abi-needs: node
# abi-timeout: 60
cat > child.js <<'END'
process.on('message', m => { m.b = 2; process.send(m); });
END
cat > t.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const cp = require('child_process'), fs = require('fs'), path = require('path'), os = require('os');
if (!isMainThread) { parentPort.postMessage(workerData * 2); return; }
(async () => {
  const order = [];
  await new Promise(r => setImmediate(r)); order.push('imm');
  setTimeout(() => order.push('t2'), 500); setTimeout(() => order.push('t1'), 5);
  process.nextTick(() => order.push('tick')); await new Promise(r => setTimeout(r, 600)); console.log(order.join(' '));
  const ws = await Promise.all([1, 2, 3, 4].map(n => new Promise((ok, no) => { const w = new Worker(__filename, { workerData: n }); w.on('message', ok); w.on('error', no); })));
  console.log('workers', ws.join(','));
  const sab = new Int32Array(new SharedArrayBuffer(4)); console.log(Atomics.wait(sab, 0, 0, 10));
  console.log(cp.execSync('echo sync').toString().trim());
  await new Promise(r => { const c = cp.spawn('sh', ['-c', 'cat; exit 3']); let o = ''; c.stdout.on('data', d => o += d); c.on('close', (code, sig) => { console.log('spawn', JSON.stringify(o), code, sig); r(); }); c.stdin.end('hello\n'); });
  await new Promise(r => { const c = cp.spawn('sleep', ['100']); c.on('exit', (code, sig) => { console.log('killed', code, sig); r(); }); c.kill(); });
  await new Promise(r => cp.exec('exit 5', e => { console.log('exec', e.code); r(); }));
  await new Promise(r => { const c = cp.fork('./child.js'); c.on('message', m => { console.log('ipc', JSON.stringify(m)); c.disconnect(); }); c.on('exit', k => { console.log('fork', k); r(); }); c.send({ a: 1 }); });
  process.on('SIGUSR2', () => console.log('sigusr2')); process.kill(process.pid, 'SIGUSR2'); await new Promise(r => setTimeout(r, 30));
  const d = fs.mkdtempSync(path.join(os.tmpdir(), 'n-')); const f = path.join(d, 'f');
  await fs.promises.writeFile(f, 'x'.repeat(100000)); console.log((await fs.promises.readFile(f)).length, fs.statSync(f).mode.toString(8));
  fs.renameSync(f, f + '2'); console.log(fs.readdirSync(d)); try { fs.openSync(f); } catch (e) { console.log(e.code); }
  fs.rmSync(d, { recursive: true });
  process.exitCode = 9;
})();
END
node t.js
echo "exit $?"
