// What the driver `node` runs: node_files.js prepare|run async-reads|sync-reads|async-writes DIRECTORY
// Prints `data CHECKSUM` (reads) and the CPU and wall time of the phase, in nanoseconds.
'use strict';
const fs = require('fs');
const path = require('path');

const PAGE = 4096;
const PAGES = 32768;
const IN_FLIGHT = 32;
const WARM_UP = 5000;
const CALLS = { 'async-reads': 150000, 'sync-reads': 700000, 'async-writes': 130000 };

function generator(state) {
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

// A page's content follows from its number and from whether it was written: the order of writes leaves no trace.
function compose(page, number, generation) {
  page.fill(0);
  for (let at = 0; at < PAGE; at += 512) page.writeUInt32LE((number * 32 + at / 256 + generation) >>> 0, at);
}

function prepare(file) {
  const fd = fs.openSync(file, 'wx', 0o600);
  const page = Buffer.alloc(PAGE);
  for (let i = 0; i < PAGES; i++) {
    compose(page, i, 0);
    fs.writeSync(fd, page, 0, PAGE);
  }
  fs.closeSync(fd);
}

// The sum of what was read does not depend on the order in which reads end.
let sum = 0;
function add(page) {
  for (let at = 0; at < PAGE; at += 1024) sum = (sum + page.readUInt32LE(at)) >>> 0;
}

function ended(error, bytes) {
  if (error) throw error;
  if (bytes !== PAGE) throw new Error(`${bytes} bytes instead of ${PAGE}`);
}

function syncReads(fd, random, count) {
  const page = Buffer.alloc(PAGE);
  for (let i = 0; i < count; i++) {
    ended(null, fs.readSync(fd, page, 0, PAGE, (random() % PAGES) * PAGE));
    add(page);
  }
}

function asynchronous(fd, random, count, writes) {
  return new Promise((resolve) => {
    let started = 0;
    let left = count;
    const next = (page) => {
      if (started === count) return;
      started++;
      const number = random() % PAGES;
      const done = (error, bytes) => {
        ended(error, bytes);
        if (!writes) add(page);
        if (--left === 0) resolve();
        else next(page);
      };
      if (writes) {
        compose(page, number, 1);
        fs.write(fd, page, 0, PAGE, number * PAGE, done);
      } else {
        fs.read(fd, page, 0, PAGE, number * PAGE, done);
      }
    };
    for (let i = 0; i < IN_FLIGHT; i++) next(Buffer.alloc(PAGE));
  });
}

async function run(file, workload) {
  const fd = fs.openSync(file, 'r+');
  const random = generator(1600);
  const calls = async (count) => {
    if (workload === 'sync-reads') syncReads(fd, random, count);
    else await asynchronous(fd, random, count, workload === 'async-writes');
  };
  await calls(WARM_UP);
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  await calls(CALLS[workload]);
  const wallUsed = process.hrtime.bigint() - wall;
  const cpuUsed = process.cpuUsage(cpu);
  fs.closeSync(fd);
  if (workload !== 'async-writes') console.log(`data ${sum}`);
  console.log(`${(cpuUsed.user + cpuUsed.system) * 1000} ${wallUsed}`);
}

const [mode, workload, directory] = process.argv.slice(2);
if (!(workload in CALLS)) {
  console.error(`node: no workload ${workload}: ${Object.keys(CALLS).join(', ')}`);
  process.exit(64);
}
const file = path.join(directory, 'pages');
if (mode === 'prepare') prepare(file);
else run(file, workload);
