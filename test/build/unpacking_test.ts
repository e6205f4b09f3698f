/**
 * The unpacking of a self-extracting executable: whatever happens, and whoever else
 * writes there, what runs in the end is the program, whole, or nothing.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../net/deadline.ts";
import { lacks, lacksAbility } from "../programs.ts";
import {
  namesIn,
  NEEDS_ROOT,
  NOBODY,
  unpackedIn,
  Workshop,
} from "./workshop.ts";

/** Above what Linux and macOS number processes with by default. */
const DEAD = 99_999_999;

let opened: Workshop;
Deno.test.beforeAll(async () => {
  opened = await Workshop.open();
});
Deno.test.afterAll(() => opened[Symbol.dispose]());

/** Root in a container may often not mount. */
function lacksOwnMounts(): boolean {
  if (NEEDS_ROOT !== undefined) return lacksAbility("root on Linux", false);
  if (lacks("unshare")) return true;
  const { success } = new Deno.Command("unshare", {
    args: ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return lacksAbility("the right to mount a disk", success);
}

/** Registers a test that has a cache directory of its own, not there yet. */
function testUnpacking(
  name: string,
  body: (shop: Workshop, cache: string) => void | Promise<void>,
  obstacle?: string,
  ignore = lacksAbility("root on Linux", obstacle === undefined),
): void {
  Deno.test({
    name: obstacle === undefined ? name : `${name} (${obstacle})`,
    ignore,
    fn: () => body(opened, opened.place()),
  });
}

function startsWell(shop: Workshop, cache: string): Promise<void> {
  return startsWith(shop, { SERF_CACHE_DIR: cache });
}

async function startsWith(
  shop: Workshop,
  env: Record<string, string>,
): Promise<void> {
  const { code, stdout, stderr } = await shop.run(["version"], { env });
  assert.equal(stderr, "");
  assert.match(stdout, /^\d+\.\d+\.\d+.*\nAgent Protocol: 5 /);
  assert.equal(code, 0);
}

/** It says one line that has `reason` in it, fails, and does nothing else. */
async function refuses(
  shop: Workshop,
  cache: string,
  reason: RegExp,
  executable?: string,
): Promise<void> {
  const { code, stdout, stderr } = await shop.run(
    ["version"],
    { env: { SERF_CACHE_DIR: cache } },
    executable,
  );
  assert.match(stderr, reason);
  assert.match(stderr, /^serf: [^\n]+\n$/);
  assert.equal(stdout, "");
  assert.equal(code, 1);
}

testUnpacking(
  "the first start unpacks, a later one changes nothing",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const unpacked = unpackedIn(cache);
    const before = namesIn(unpacked);
    const { ino } = Deno.statSync(unpacked);
    await startsWell(shop, cache);
    assert.equal(unpackedIn(cache), unpacked);
    assert.equal(Deno.statSync(unpacked).ino, ino);
    assert.deepEqual(namesIn(unpacked), before);
    assert.ok(before.includes("serf") && before.includes("start.js"));
  },
);

testUnpacking(
  "first starts at one time leave one whole directory",
  async (shop, cache) => {
    await Promise.all(
      Array.from({ length: 4 }, () => startsWell(shop, cache)),
    );
    unpackedIn(cache);
  },
);

testUnpacking("what is torn is unpacked anew", async (shop, cache) => {
  await startsWell(shop, cache);
  const unpacked = unpackedIn(cache);
  const { size } = Deno.statSync(join(unpacked, "serf"));
  const damages = [
    () => Deno.truncateSync(join(unpacked, "serf"), size >> 1),
    () => Deno.truncateSync(join(unpacked, "start.js"), 0),
    () => Deno.removeSync(join(unpacked, "start.js")),
    () => Deno.writeTextFileSync(join(unpacked, "more.js"), "more"),
  ];
  for (const damage of damages) {
    damage();
    await startsWell(shop, cache);
    assert.equal(unpackedIn(cache), unpacked);
    assert.equal(Deno.statSync(join(unpacked, "serf")).size, size);
    assert.ok(!namesIn(unpacked).includes("more.js"));
  }
});

testUnpacking(
  "what a start that died left behind hinders nobody",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const name = namesIn(cache)[0] as string;
    Deno.removeSync(join(cache, name), { recursive: true });
    Deno.symlinkSync(String(DEAD), join(cache, `.lock-${name}`));
    Deno.mkdirSync(join(cache, `.new-${DEAD}.AbCdEf`));
    Deno.writeTextFileSync(join(cache, `.new-${DEAD}.AbCdEf/serf`), "half");
    await startsWell(shop, cache);
    unpackedIn(cache);
  },
);

testUnpacking(
  "a start waits for the one that is unpacking",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const name = namesIn(cache)[0] as string;
    const unpacked = join(cache, name);
    Deno.renameSync(unpacked, `${unpacked}.away`);
    Deno.symlinkSync(String(Deno.pid), join(cache, `.lock-${name}`));
    const second = shop.start(["version"], { env: { SERF_CACHE_DIR: cache } });
    const output = second.output();
    // Were it not waiting, it would have begun to unpack by the time that another
    // one with a lock of its own is through.
    await startsWell(shop, shop.place());
    assert.deepEqual(namesIn(cache), [`.lock-${name}`, `${name}.away`]);
    Deno.renameSync(`${unpacked}.away`, unpacked);
    assert.equal((await output).code, 0);
    assert.deepEqual(namesIn(cache), [`.lock-${name}`, name]);
  },
);

testUnpacking(
  "a start that has waited long takes the place of one that dies",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const name = namesIn(cache)[0] as string;
    Deno.removeSync(join(cache, name), { recursive: true });
    const lock = join(cache, `.lock-${name}`);
    Deno.symlinkSync(String(Deno.pid), lock);
    const waiting = shop.start(["version"], { env: { SERF_CACHE_DIR: cache } });
    const output = waiting.output();
    // Meanwhile it has looked at the lock a dozen times.
    await startsWell(shop, shop.place());
    Deno.symlinkSync(String(DEAD), `${lock}.next`);
    Deno.renameSync(`${lock}.next`, lock);
    assert.equal((await output).code, 0);
    assert.deepEqual(namesIn(cache), [name]);
  },
);

testUnpacking(
  "a start that is ended while unpacking leaves nothing",
  async (shop, cache) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const child = shop.start(["version"], { env: { SERF_CACHE_DIR: cache } });
      await until(
        "unpacking",
        () =>
          exists(cache) && namesIn(cache).some((x) => x.startsWith(".new-")),
      );
      child.kill(signal);
      const { signal: seen } = await child.output();
      assert.equal(seen, signal);
      assert.deepEqual(namesIn(cache), []);
    }
  },
);

testUnpacking("a damaged file is not unpacked", async (shop, cache) => {
  const bytes = Deno.readFileSync(shop.executable);
  const write = (content: Uint8Array) => {
    const path = shop.place();
    Deno.writeFileSync(path, content, { mode: 0o755 });
    return path;
  };
  const cut = write(bytes.subarray(0, bytes.length >> 1));
  await refuses(shop, cache, /cannot unpack into .*end of file/, cut);
  assert.deepEqual(namesIn(cache), []);
  // In the middle of the run-time, where the decompressor reads on.
  bytes[bytes.length >> 1]! ^= 1;
  await refuses(shop, cache, /cannot unpack into /, write(bytes));
  assert.deepEqual(namesIn(cache), []);
});

testUnpacking(
  "a directory that others could change is not used",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const unpacked = unpackedIn(cache);
    const file = join(unpacked, "start.js");
    const modes = { [cache]: 0o755, [unpacked]: 0o755, [file]: 0o644 };
    for (const [path, good] of Object.entries(modes)) {
      for (const bad of [0o020, 0o002]) {
        Deno.chmodSync(path, good | bad);
        await refuses(shop, cache, /will not use .* can write there/);
        Deno.chmodSync(path, good);
      }
    }
    await startsWell(shop, cache);
  },
);

testUnpacking(
  "nothing is written where others could interfere",
  async (shop, cache) => {
    Deno.mkdirSync(cache);
    Deno.chmodSync(cache, 0o1777);
    await refuses(shop, cache, /will not use .* can write there/);
    assert.deepEqual(namesIn(cache), []);
    const link = shop.place();
    Deno.symlinkSync(shop.folder(), link);
    await refuses(shop, link, /it is a symbolic link/);
  },
);

testUnpacking(
  "links in the place of ours are not followed",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const unpacked = unpackedIn(cache);
    const file = join(unpacked, "start.js");
    Deno.renameSync(file, `${cache}.js`);
    Deno.symlinkSync(`${cache}.js`, file);
    await refuses(shop, cache, /something in it that is not ours/);
    Deno.renameSync(`${cache}.js`, file);
    Deno.renameSync(unpacked, `${cache}.away`);
    Deno.symlinkSync(`${cache}.away`, unpacked);
    await refuses(shop, cache, /it is a symbolic link/);
  },
);

testUnpacking(
  "what belongs to another user is not used",
  async (shop, cache) => {
    await startsWell(shop, cache);
    const unpacked = unpackedIn(cache);
    for (const path of [cache, unpacked, join(unpacked, "start.js")]) {
      Deno.chownSync(path, NOBODY, NOBODY);
      await refuses(shop, cache, /belongs to user 65534/);
      Deno.chownSync(path, 0, 0);
    }
    // Nor is anything unpacked there.
    Deno.removeSync(unpacked, { recursive: true });
    Deno.chownSync(cache, NOBODY, NOBODY);
    await refuses(shop, cache, /belongs to user 65534/);
    assert.deepEqual(namesIn(cache), []);
  },
  NEEDS_ROOT,
);

testUnpacking(
  "what root has unpacked serves everybody",
  async (shop, cache) => {
    const options = { env: { SERF_CACHE_DIR: cache }, asNobody: true };
    const early = await shop.run(["version"], options);
    assert.match(early.stderr, /cannot make the directory/);
    await startsWell(shop, cache);
    const { code, stderr } = await shop.run(["version"], options);
    assert.equal(stderr, "");
    assert.equal(code, 0);
  },
  NEEDS_ROOT,
);

testUnpacking(
  "a disk that is full is told in one line, and nothing is left",
  async (shop, cache) => {
    Deno.mkdirSync(cache);
    // The directory is seen by this one process tree alone, so it looks itself.
    const script = `mount -t tmpfs -o size=20m,mode=755 tmpfs "$0" || exit 99
      "$@"; echo "code $?"; ls -A "$0"`;
    const before = ["unshare", "-m", "sh", "-c", script, cache];
    const { stdout, stderr, code } = await shop.run(["version"], {
      env: { SERF_CACHE_DIR: cache },
      before,
    });
    assert.notEqual(code, 99, stderr);
    assert.equal(
      stderr,
      `serf: cannot unpack into ${cache}: no space left on the device\n`,
    );
    assert.equal(stdout, "code 1\n");
  },
  NEEDS_ROOT,
  lacksOwnMounts(),
);

testUnpacking(
  "without SERF_CACHE_DIR it is unpacked for the user",
  async (shop, home) => {
    Deno.mkdirSync(home);
    const uid = Deno.uid();
    const tmp = shop.folder();
    await startsWith(shop, { HOME: home, TMPDIR: tmp });
    unpackedIn(join(home, ".cache/serf"));
    await startsWith(shop, { HOME: home, XDG_CACHE_HOME: `${home}/xdg` });
    unpackedIn(join(home, "xdg/serf"));
    assert.deepEqual(namesIn(tmp), []);
    for (const env of [{}, { HOME: "/proc/none" }]) {
      await startsWith(shop, { ...env, TMPDIR: tmp });
      unpackedIn(join(tmp, `serf-${uid}`));
      assert.equal(
        (Deno.statSync(join(tmp, `serf-${uid}`)).mode ?? 0) & 0o77,
        0,
      );
      Deno.removeSync(join(tmp, `serf-${uid}`), { recursive: true });
    }
  },
);

testUnpacking(
  "a project around the directory means nothing",
  async (shop, cache) => {
    const around = shop.folder();
    Deno.writeTextFileSync(join(around, "deno.json"), "{ broken");
    Deno.writeTextFileSync(join(around, "package.json"), '{"type":"commonjs"}');
    const env = { SERF_CACHE_DIR: join(around, "cache") };
    const { code, stderr } = await shop.run(["version"], { env, cwd: around });
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.ok(!exists(cache));
  },
);

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
