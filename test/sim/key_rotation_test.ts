/**
 * Changing the key of a large cluster while it runs.
 *
 * Goal: install, use and remove, each asked for by another of 200 nodes, succeed
 * everywhere; no user event is lost at any node, nobody takes anybody for failed
 * at any time, no packet is refused, and at the end all hold the new key alone.
 * Method: the story of `key_rotation.ts`. That it could fail is shown by a step
 * left out, and by a key that is used before all have it.
 */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { Checkers } from "../../lib/sim/checkers.ts";
import { Cluster } from "../../lib/sim/cluster.ts";
import { keyRotationStory } from "../../lib/sim/key_rotation.ts";
import { startPlan } from "../../lib/sim/simulate.ts";
import { Views } from "../../lib/sim/views.ts";

const NODES = 200;
const SEED = 1;
const NEW_KEY = new Uint8Array(16).fill(2);

Deno.test(`${NODES} nodes change their key under load, and nobody notices`, () => {
  const story = keyRotationStory({ seed: SEED, nodes: NODES });
  assert.deepEqual(story.violations, []);
  for (const { name, tookMs, falseFailures } of story.chapters) {
    assert.notEqual(tookMs, undefined, `${name}: never`);
    assert.equal(falseFailures, 0, name);
  }
  assert.deepEqual(story.suspicions, []);
  assert.deepEqual(story.complaints, []);

  assert.deepEqual(
    story.changes.map(({ kind }) => kind),
    ["install", "use", "remove", "list"],
  );
  assert.equal(new Set(story.changes.map(({ by }) => by)).size, 4);
  for (const { kind, error, report } of story.changes) {
    assert.equal(error, undefined, kind);
    const { nodes, responses, errors, messages } = report;
    assert.deepEqual(
      [nodes, responses, errors, messages.size],
      [NODES, NODES, 0, 0],
      kind,
    );
  }
  const counts = new Map([[NEW_KEY.toBase64(), NODES]]);
  assert.deepEqual(story.changes.at(-1)?.report.keyCounts, counts);
  assert.deepEqual(story.changes.at(-1)?.report.primaryCounts, counts);
  assert.equal(story.renewed, NODES);

  assert.ok(story.delivered.size > 30, `${story.delivered.size} events`);
  for (const [name, nodes] of story.delivered) {
    assert.equal(nodes, NODES, `${name} was delivered by ${nodes} nodes`);
  }
});

Deno.test("a rotation without its first step fails everywhere, and says so", () => {
  const story = keyRotationStory({
    seed: SEED,
    nodes: 20,
    steps: ["use", "remove"],
  });
  assert.deepEqual(
    story.changes.map(({ error }) => error),
    ["20/20 nodes reported failure", "20/20 nodes reported failure"],
  );
  assert.equal(story.renewed, 0);
  // Which costs nobody a thing.
  assert.deepEqual(story.suspicions, []);
  assert.deepEqual([...new Set(story.delivered.values())], [20]);
});

Deno.test("a rotation is a function of its seed, encrypted packets included", () => {
  const hashOf = (seed: number) => keyRotationStory({ seed, nodes: 10 }).hash;
  assert.equal(hashOf(1), hashOf(1));
  assert.notEqual(hashOf(1), hashOf(2));
});

/** Encrypted nodes who know each other. */
function encrypted(nodes: number): {
  cluster: Cluster;
  views: Views;
  checkers: Checkers;
  log: string[];
} {
  const cluster = new Cluster({
    seed: SEED,
    keys: [new Uint8Array(16).fill(1)],
    settings: { swim: { logLevel: "INFO" } },
  });
  cluster.addNodes(nodes);
  const views = new Views(cluster);
  const checkers = new Checkers(cluster);
  const log: string[] = [];
  cluster.observers.push({
    onLog: (node, _, text) => log.push(`${node.name} ${text}`),
  });
  cluster.schedule(startPlan(nodes, { overMs: 100 }));
  assert.ok(
    cluster.runUntil(
      30_000,
      () => cluster.nodes.every(({ isUp }) => isUp) && views.wrong === 0,
    ),
  );
  return { cluster, views, checkers, log };
}

Deno.test("a key that is used before all have it cuts off who has it, and is noticed", () => {
  const { cluster, views, log } = encrypted(6);
  const odd = cluster.node(5);
  odd.keyring?.add(NEW_KEY);
  cluster.call(odd, (engine, nowMs) => {
    engine.changeKeys({ kind: "use", key: NEW_KEY }, nowMs);
  });
  cluster.runUntil(cluster.nowMs + 60_000);
  assert.ok(log.some((line) => line.includes("Suspect n5 has failed")));
  const refused = /Decrypt packet failed: no installed keys could decrypt/;
  assert.ok(log.some((line) => refused.test(line)));
  assert.ok(views.falseFailureCount > 0);
  assert.deepEqual(
    cluster.nodes.map(({ keyring }) => keyring?.size),
    [1, 1, 1, 1, 1, 2],
  );
});

Deno.test("every simulated node has a ring of its own, and finds it again after a restart", () => {
  const { cluster, views, checkers } = encrypted(3);
  const [a, b, c] = cluster.nodes.map((node) => node.keyring);
  assert.equal(new Set([a, b, c]).size, 3);
  const node = cluster.node(2);
  cluster.call(node, (engine, nowMs) => {
    engine.changeKeys({ kind: "install", key: NEW_KEY }, nowMs);
  });
  cluster.runUntil(cluster.nowMs + 5_000);
  assert.deepEqual([a, b, c].map((ring) => ring?.size), [2, 2, 2]);
  cluster.crash(node);
  cluster.runUntil(cluster.nowMs + 1_000);
  cluster.restart(node);
  assert.notEqual(node.keyring, c);
  assert.deepEqual(node.keyring?.keys(), c?.keys());
  assert.ok(
    cluster.runUntil(cluster.nowMs + 60_000, () => views.wrong === 0),
    "it is let in again",
  );
  cluster.call(node, (engine, nowMs) => {
    const payload = utf8Bytes("");
    engine.userEvent("back", payload, { coalesce: false }, nowMs);
  });
  cluster.runUntil(cluster.nowMs + 5_000);
  assert.equal(views.delivered("back"), 3);
  assert.deepEqual(checkers.violations, []);
});
