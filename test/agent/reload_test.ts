import assert from "node:assert/strict";
import { ConfigError, type MergedSettings } from "../../lib/agent/config.ts";
import { DEFAULT_SETTINGS } from "../../lib/agent/config_layer.ts";
import type { EventHandler } from "../../lib/agent/handler_spec.ts";
import { Reloader, type ReloadTarget } from "../../lib/agent/reload.ts";

const AT_START: MergedSettings = {
  ...DEFAULT_SETTINGS,
  tags: new Map([["a", "1"]]),
};

/** A running agent, as far as it can be reloaded. */
class FakeTarget implements ReloadTarget {
  readonly calls: string[] = [];
  tagsError: string | undefined;
  readonly reloader = new Reloader(AT_START, this);

  setLogLevel(level: string): void {
    this.calls.push(`level ${level}`);
  }

  replaceHandlers(handlers: readonly EventHandler[]): void {
    const scripts = handlers.map(({ script }) => script);
    this.calls.push(`handlers ${scripts.join(" ")}`);
  }

  setTags(tags: ReadonlyMap<string, string>): Promise<void> {
    this.calls.push(`tags ${[...tags].join(" ")}`);
    return this.tagsError === undefined
      ? Promise.resolve()
      : Promise.reject(new Error(this.tagsError));
  }

  say(message: string): void {
    this.calls.push(`say ${message}`);
  }

  async reload(changes: Partial<MergedSettings>): Promise<string[]> {
    this.calls.length = 0;
    await this.reloader.reload(() =>
      Promise.resolve({ ...AT_START, ...changes })
    );
    return [...this.calls];
  }
}

const BEGINS = "say Reloading configuration...";

Deno.test("Reloader takes over log level, handlers, tags and what signals do", async () => {
  const target = new FakeTarget();
  assert.deepEqual(
    await target.reload({
      logLevel: "debug",
      eventHandlers: ["x", "y"],
      tags: new Map([["b", "2"]]),
      leaveOnTerminate: true,
    }),
    [BEGINS, "level DEBUG", "handlers x y", "tags b,2"],
  );
  assert.equal(target.reloader.current.leaveOnTerminate, true);
  await target.reload({});
  assert.equal(target.reloader.current.leaveOnTerminate, false);
});

Deno.test("Reloader names what has to wait for a restart, until it is undone", async () => {
  const target = new FakeTarget();
  const said = (await target.reload({
    bind: "127.0.0.1",
    disableCompression: true,
    enableCompression: true,
    startJoin: ["a"],
    role: "x",
    logLevel: "warn",
  })).at(-1);
  const expected = "say Changed, but used only after a restart: " +
    "bind, start_join, -disable-compression";
  assert.equal(said, expected);
  assert.equal(
    (await target.reload({ bind: "127.0.0.1" })).at(-1)?.slice(-4),
    "bind",
  );
  assert.deepEqual(await target.reload({}), [
    BEGINS,
    "level INFO",
    "handlers ",
    "tags a,1",
  ]);
});

Deno.test("Reloader changes nothing when the settings cannot be read", async () => {
  const target = new FakeTarget();
  await target.reloader.reload(() =>
    Promise.reject(new ConfigError("Error decoding 'x': EOF"))
  );
  assert.deepEqual(target.calls, [
    BEGINS,
    "say Error decoding 'x': EOF",
    "say Failed to reload configs",
  ]);
  assert.equal(target.reloader.current, AT_START);
});

Deno.test("Reloader keeps the level when the new one is unknown, and goes on", async () => {
  const target = new FakeTarget();
  assert.deepEqual(await target.reload({ logLevel: "nope" }), [
    BEGINS,
    "say Invalid log level: NOPE. Valid log levels are: [TRACE DEBUG INFO WARN ERR]",
    "handlers ",
    "tags a,1",
  ]);
  assert.equal(target.reloader.current.logLevel, "INFO");
});

Deno.test("Reloader says when the tags cannot be used", async () => {
  const target = new FakeTarget();
  target.tagsError = "Encoded length of tags exceeds limit of 512 bytes";
  assert.deepEqual((await target.reload({})).slice(-2), [
    "tags a,1",
    `say Failed to update tags: ${target.tagsError}`,
  ]);
});

Deno.test("Reloader does not hide our own mistakes", async () => {
  const target = new FakeTarget();
  await assert.rejects(
    target.reloader.reload(() => Promise.reject(new TypeError("a bug"))),
    TypeError,
  );
});

Deno.test("Reloader gives up on files that cannot be read, and does not pile reads up", async () => {
  const target = new FakeTarget();
  const late = Promise.withResolvers<boolean>();
  const reloader = new Reloader(AT_START, target, () => late.promise);
  const hanging = Promise.withResolvers<MergedSettings>();
  let reads = 0;
  const read = () => {
    reads++;
    return hanging.promise;
  };
  const first = reloader.reload(read);
  await reloader.reload(read);
  late.resolve(true);
  await first;
  const fails = (reason: string) => [
    `say ${reason}`,
    "say Failed to reload configs",
  ];
  assert.deepEqual(target.calls, [
    BEGINS,
    BEGINS,
    ...fails("The files of the last reload are still being read"),
    ...fails("The files could not be read within 10s"),
  ]);
  assert.equal(reads, 1);
  // What comes so late is not taken over, but the next reload may read again.
  hanging.resolve({ ...AT_START, leaveOnTerminate: true });
  await hanging.promise;
  assert.equal(reloader.current, AT_START);
  await reloader.reload(read);
  assert.equal(reloader.current.leaveOnTerminate, true);
});
