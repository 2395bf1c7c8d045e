// Node.js over files: callbacks, promises, streams, synchronous calls and child processes, on the same bytes.
"use strict";
const childProcess = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const { pipeline } = require("stream/promises");
const { promisify } = require("util");
const { Worker, isMainThread, workerData, parentPort } = require("worker_threads");
const zlib = require("zlib");

const PAGE = 4096;
const PAGES = 512;
const page = (name, number) => {
  const seed = crypto.createHash("sha256").update(`${name} ${number}`).digest();
  return Buffer.concat(Array(PAGE / 32).fill(seed));
};
const short = (data) => `${data.length}:${crypto.createHash("sha256").update(data).digest("hex").slice(0, 12)}`;
const say = (...words) => console.log(words.join(" "));

// Each has its part of the file, which it rewrites and reads back, and reads the parts that nobody writes.
function work(path, first, count) {
  const fd = fs.openSync(path, "r+");
  const buffer = Buffer.alloc(PAGE);
  let good = 0;
  for (let round = 0; round < 3; round++) {
    for (let number = first; number < first + count; number++) {
      fs.writeSync(fd, page(`worker ${round}`, number), 0, PAGE, number * PAGE);
      fs.readSync(fd, buffer, 0, PAGE, number * PAGE);
      if (buffer.equals(page(`worker ${round}`, number))) good++;
      fs.readSync(fd, buffer, 0, PAGE, (number % 100) * PAGE);
      if (buffer.equals(page("file", number % 100))) good++;
    }
  }
  fs.closeSync(fd);
  return good;
}

if (!isMainThread) {
  parentPort.postMessage(work(...workerData));
} else if (process.argv[2] === "child") {
  const buffer = Buffer.alloc(10_000);
  const count = fs.readSync(0, buffer);
  say("child", short(buffer.subarray(0, count)), fs.writeSync(1, "child's own line\n"));
} else {
  main();
}

async function main() {
  fs.writeFileSync("file", Buffer.concat(Array.from({ length: PAGES }, (_, number) => page("file", number))));
  const fd = fs.openSync("file", "r+");
  const buffer = Buffer.alloc(3 * PAGE);

  let good = 0;
  const read = promisify(fs.read);
  for (let number = 0; number < 300; number++) {
    const { bytesRead } = await read(fd, buffer, 0, PAGE, ((number * 37) % PAGES) * PAGE);
    if (bytesRead === PAGE && buffer.subarray(0, PAGE).equals(page("file", (number * 37) % PAGES))) good++;
  }
  say("fs.read", good);
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, number) => {
      const own = Buffer.alloc(5000);
      return read(fd, own, 0, 5000, number * 9001).then(() => short(own));
    }),
  );
  say("at once", short(Buffer.from(all.join())));

  say("in order", fs.readSync(fd, buffer, 0, 10_000, null), short(buffer.subarray(0, 10_000)));
  say("and on", fs.readSync(fd, buffer, 0, 5_000, null), short(buffer.subarray(0, 5_000)));
  say("end", fs.readSync(fd, buffer, 0, 9_000, PAGE * PAGES - 100), fs.readSync(fd, buffer, 0, 9_000, PAGE * PAGES));
  say("readv", fs.readvSync(fd, [Buffer.alloc(10), buffer, Buffer.alloc(0)], 300_000), short(buffer));
  const pieces = [Buffer.alloc(700, 1), Buffer.alloc(800, 2)];
  say("write", fs.writeSync(fd, "w".repeat(6000), 700_000), fs.writevSync(fd, pieces, 720_000));
  say("sync", fs.fsyncSync(fd), fs.fdatasyncSync(fd), short(fs.readFileSync("file")));

  const handle = await fs.promises.open("file", "r+");
  good = 0;
  for (let number = 0; number < 200; number++) {
    const text = page("promise", number);
    await handle.write(text, 0, PAGE, (300 + (number % 50)) * PAGE);
    const { buffer: back } = await handle.read(Buffer.alloc(PAGE), 0, PAGE, (300 + (number % 50)) * PAGE);
    if (back.equals(text)) good++;
  }
  say("promises", good, short(await handle.readFile()), (await handle.stat()).size);
  await handle.truncate(1_500_000);
  say("cut", (await handle.read(Buffer.alloc(9000), 0, 9000, 1_495_000)).bytesRead, fs.fstatSync(fd).size);
  await handle.close();

  const hash = crypto.createHash("sha256");
  const middle = { start: 12_345, end: 1_234_567, highWaterMark: 10_000 };
  for await (const part of fs.createReadStream("file", middle)) hash.update(part);
  say("stream", hash.digest("hex").slice(0, 12));
  await pipeline(fs.createReadStream("file"), zlib.createGzip(), zlib.createGunzip(), fs.createWriteStream("copy"));
  say("pipeline", short(fs.readFileSync("copy")), fs.readFileSync("copy").equals(fs.readFileSync("file")));
  const target = fs.createWriteStream("copy", { flags: "r+", start: 500_000 });
  await pipeline(fs.createReadStream("file", { end: 99_999 }), target);
  say("into the middle", short(fs.readFileSync("copy")));
  await fs.promises.appendFile("copy", "appended");
  fs.copyFileSync("copy", "third");
  say("copied", short(fs.readFileSync("third")));

  const counts = await Promise.all(
    [400, 430].map((first) => new Promise((resolve, reject) => {
      const worker = new Worker(__filename, { workerData: ["third", first - 250, 30] });
      worker.on("message", resolve).on("error", reject);
    })),
  );
  say("workers", counts.join(), short(fs.readFileSync("third")));

  // A child shares the descriptor and with it the offset; others get the file by name.
  const shared = fs.openSync("third", "r+");
  fs.readSync(shared, buffer, 0, 4_000, null);
  const child = childProcess.spawnSync(process.execPath, [__filename, "child"], { stdio: [shared, "pipe", "inherit"] });
  say(child.stdout.toString().trim(), child.status);
  say("after the child", fs.readSync(shared, buffer, 0, 6_000, null), short(buffer.subarray(0, 6_000)));
  say(childProcess.execFileSync("cksum", ["file", "copy", "third"]).toString().trim());
  const output = fs.openSync("sorted", "w+");
  const sort = childProcess.spawn("sort", ["-n"], { stdio: ["pipe", output, "inherit"] });
  for (let number = 20_000; number > 0; number--) sort.stdin.write(`${(number * 7919) % 20_011}\n`);
  sort.stdin.end();
  await new Promise((resolve) => sort.on("close", resolve));
  const sorted = short(fs.readFileSync("sorted"));
  say("sorted", sorted, fs.readSync(output, buffer, 0, 9_000, 0), short(buffer.subarray(0, 9_000)));
  const mistakes = [
    () => fs.readSync(shared, buffer, 0, 9, -2),
    () => fs.closeSync(4711),
    () => fs.openSync("none", "r"),
  ];
  for (const wrong of mistakes) {
    try {
      wrong();
      say("no error");
    } catch (error) {
      say(error.code);
    }
  }
  fs.closeSync(shared);
}
