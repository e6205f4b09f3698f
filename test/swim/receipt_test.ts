import assert from "node:assert/strict";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { Arena, feed, type Node } from "./arena.ts";

const BODY = Uint8Array.of(7, 7);
const MESSAGE = encodeMessage({ kind: "user", body: BODY });

function seek(arena: Arena, node: Node): void {
  node.engine.seekReceipt(MESSAGE, arena.nowMs);
  arena.perform(node);
}

function count(node: Node, type: string): number {
  return node.events.filter((event) => event.type === type).length;
}

/** Three nodes that have nothing left to gossip. */
function quiet(): [Arena, Node, Node, Node] {
  const arena = new Arena();
  const nodes = arena.cluster(["a", "b", "c"]);
  arena.runUntil(
    () => nodes.every(({ engine }) => engine.queueDepth === 0),
    10_000,
  );
  return [arena, ...nodes as [Node, Node, Node]];
}

Deno.test("seekReceipt() gives a few members the message, and tells of the first ack alone", () => {
  const [arena, a, b, c] = quiet();
  seek(arena, a);
  arena.advance(3_000);
  assert.equal(count(a, "receipt"), 1);
  for (const node of [b, c]) assert.equal(count(node, "userMessage"), 1);
  assert.equal(count(a, "pingCompleted") > 0, true, "probes go on");
});

Deno.test("seekReceipt() asks no more than three members at a time", () => {
  const arena = new Arena();
  const nodes = arena.cluster(["a", "b", "c", "d", "e", "f", "g"]);
  seek(arena, nodes[0] as Node);
  arena.advance(100);
  const asked = nodes.filter((node) => count(node, "userMessage") > 0);
  assert.equal(asked.length, 3);
});

Deno.test("seekReceipt() asks again until it is given up", () => {
  const [arena, a, b, c] = quiet();
  arena.block = ({ from }) => from !== a.address;
  seek(arena, a);
  arena.advance(900);
  assert.equal(count(a, "receipt"), 0);
  // At once, and then once in each gossip interval.
  assert.equal(count(b, "userMessage"), 5);
  a.engine.giveUpReceipt();
  arena.advance(1_000);
  assert.equal(count(b, "userMessage") + count(c, "userMessage"), 10);
});

Deno.test("seekReceipt() is content with a late ack, and with none that it did not ask for", () => {
  const [arena, a] = quiet();
  arena.block = () => true;
  seek(arena, a);
  arena.advance(500);
  assert.equal(count(a, "receipt"), 0);
  const ack = (seqNo: number) =>
    feed(arena, a, { kind: "ack", seqNo, payload: new Uint8Array(0) });
  for (const seqNo of [0, 1_000_000]) ack(seqNo);
  assert.equal(count(a, "receipt"), 0);
  // One of the first pings, of which the last probe was not far.
  for (let seqNo = 1; seqNo <= 40; seqNo++) ack(seqNo);
  assert.equal(count(a, "receipt"), 1);
});

Deno.test("seekReceipt() also says that we leave, once we do", () => {
  const [arena, a, b] = quiet();
  arena.block = ({ from }) => from === a.address;
  seek(arena, a);
  arena.advance(100);
  a.engine.leave(5_000, arena.nowMs);
  // Gossip has given up by then.
  arena.runUntil(() => a.engine.queueDepth === 0, 5_000);
  arena.block = () => false;
  arena.advance(250);
  assert.equal(count(a, "receipt"), 1);
  assert.equal(b.stateOf("a"), "left");
  const gone = b.events.filter((event) => event.type === "memberLeave");
  assert.deepEqual(gone.map(({ hasLeft }) => hasLeft), [true]);
});
