/**
 * What scripts look for when a command fails: with `-format=json` HashiCorp's
 * `members`, `info` and `query` print the same plain line as with text, on
 * standard output. Ours print a document there, and the line on standard error.
 */

import assert from "node:assert/strict";
import { runCli, testCluster } from "./harness.ts";

const NOBODY = "-rpc-addr=127.0.0.1:1";

testCluster(
  "every failure has the original's line, with JSON too",
  async (cluster) => {
    const open = await cluster.start({ kind: "hashicorp", name: "open" });
    const shut = await cluster.start({
      kind: "hashicorp",
      name: "shut",
      rpcAuth: "token",
    });
    const here = `-rpc-addr=${open.rpc.text}`;
    const there = `-rpc-addr=${shut.rpc.text}`;
    const calls: readonly (readonly string[])[] = [
      ["members", NOBODY],
      ["info", NOBODY],
      ["query", NOBODY, "load"],
      ["members", there],
      ["info", there],
      ["query", there, "load"],
      ["members", there, "-rpc-auth=wrong"],
      ["members", here, "-tag=x"],
      ["members", here, "-name=("],
      ["query", here],
      ["query", here, "a", "b", "c"],
      ["query", here, "-relay-factor=256", "load"],
      ["query", here, "-tag=x", "load"],
      ["query", here, "x".repeat(1_100)],
    ];
    for (const [command = "", ...args] of calls) {
      const line = [command, "-format=json", ...args];
      const theirs = await runCli("hashicorp", line);
      const ours = await runCli("ours", line);
      const about = line.join(" ").slice(0, 100);
      assert.equal(theirs.stderr, "", about);
      assert.deepEqual([theirs.code, ours.code], [1, 1], about);
      // A usage error is followed by the help, which is text.
      const [complaint = ""] = theirs.stdout.split("\n");
      assert.equal(ours.stderr, `${complaint}\n`, about);
      assert.deepEqual(JSON.parse(ours.stdout), { error: complaint }, about);
    }
  },
  { needs: ["serf"] },
);
