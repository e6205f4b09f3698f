/** Embedded nodes with a snapshot: what they find again, and how they fail. */

import assert from "node:assert/strict";
import { BindError } from "../../lib/net/bind.ts";
import { SerfNode } from "../../lib/net/serf_node.ts";
import type { SerfNodeOptions } from "../../lib/net/serf_node_options.ts";
import { SnapshotError } from "../../lib/net/snapshot_error.ts";
import { until } from "./deadline.ts";

const LOOPBACK = { bind: "127.0.0.1:0", profile: "local" } as const;

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(`${folder}/snapshot`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function namesOf(node: SerfNode): string {
  return node.members({ status: "alive" }).map(({ name }) => name).join();
}

/** Who has a snapshot open, holds its lock. */
function assertFree(path: string): void {
  using file = Deno.openSync(path);
  assert.ok(file.tryLockSync(true), "the snapshot is still open");
}

Deno.test("SerfNode with a snapshot finds back after a crash, and after a leave only when told to", async () => {
  await inFolder(async (path) => {
    await using peer = await SerfNode.start({ ...LOOPBACK, name: "peer" });
    const start = (options: SerfNodeOptions = {}) =>
      SerfNode.start({
        ...{ ...LOOPBACK, name: "us", snapshot: { path }, logLevel: "INFO" },
        ...options,
      });
    const first = await start();
    await first.join(peer.address);
    // A shutdown without a leave is all that others see of a crash.
    await first.shutdown();
    assert.match(Deno.readTextFileSync(path), /^alive: us .*\nalive: peer /);

    const again = await start();
    await until("the peer", () => namesOf(again) === "peer,us");
    await again[Symbol.asyncDispose]();
    assert.match(Deno.readTextFileSync(path), /\nleave\nclock: \d+\n$/);

    const log: string[] = [];
    const alone = await start({ onLog: (_, text) => log.push(text) });
    await alone.shutdown();
    assert.ok(!log.some((line) => line.includes("re-join")), log.join("\n"));

    const back = await start({ snapshot: { path, rejoinAfterLeave: true } });
    await until("the peer", () => namesOf(back) === "peer,us");
    await back.shutdown();
  });
});

Deno.test("SerfNode.start() that fails leaves no snapshot open", async () => {
  await inFolder(async (path) => {
    const taken = await SerfNode.start({ ...LOOPBACK, name: "taken" });
    const start = (options: SerfNodeOptions) =>
      SerfNode.start({ ...LOOPBACK, snapshot: { path }, ...options });
    try {
      await assert.rejects(start({ bind: taken.address }), BindError);
      assertFree(path);
      const tags = { long: "x".repeat(600) };
      await assert.rejects(start({ tags }), RangeError);
      assertFree(path);
      await assert.rejects(
        start({ snapshot: { path: `${path}/x` } }),
        (error) => {
          assert.ok(error instanceof SnapshotError);
          assert.equal(
            error.message,
            `failed to open snapshot: open ${path}/x: not a directory`,
          );
          return true;
        },
      );
    } finally {
      await taken.shutdown();
    }
  });
});
