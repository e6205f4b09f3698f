import assert from "node:assert/strict";
import { Subscription } from "../../lib/net/subscription.ts";

type Item = number | { readonly lost: number };

function subscription(
  options: { bufferMax?: number; signal?: AbortSignal; onEnd?: () => void } =
    {},
): Subscription<Item> {
  const { bufferMax = 3, ...rest } = options;
  return new Subscription<Item>({
    bufferMax,
    lostNotice: (lost) => ({ lost }),
    ...rest,
  });
}

async function rest(items: Subscription<Item>): Promise<Item[]> {
  return await Array.fromAsync(items);
}

Deno.test("Subscription delivers what was pushed before and after next(), in order", async () => {
  const items = subscription();
  items.push(1);
  items.push(2);
  assert.deepEqual(await items.next(), { done: false, value: 1 });
  assert.deepEqual(await items.next(), { done: false, value: 2 });
  const waiting = [items.next(), items.next()];
  items.push(3);
  items.push(4);
  items.push(5);
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ value }) => value),
    [3, 4],
  );
  items.end();
  assert.deepEqual(await rest(items), [5]);
});

Deno.test("Subscription drops the oldest when it is full, and tells how many in their place", async () => {
  const items = subscription({ bufferMax: 3 });
  for (let i = 1; i <= 5; i++) items.push(i);
  assert.deepEqual((await items.next()).value, { lost: 2 });
  assert.equal((await items.next()).value, 3);
  for (let i = 6; i <= 7; i++) items.push(i);
  assert.deepEqual((await items.next()).value, { lost: 1 }, "a gap of its own");
  items.end();
  assert.deepEqual(await rest(items), [5, 6, 7]);
});

Deno.test("Subscription.end() leaves what waits to be read, and takes nothing more", async () => {
  let ends = 0;
  const items = subscription({ onEnd: () => ends++ });
  items.push(1);
  items.end();
  items.end();
  items.push(2);
  assert.ok(items.isEnded);
  assert.deepEqual(await rest(items), [1]);
  assert.deepEqual(await items.next(), { done: true, value: undefined });
  assert.equal(ends, 1);
});

Deno.test("Subscription.end() releases everybody who waits", async () => {
  const items = subscription();
  const waiting = [items.next(), items.next()];
  items.end();
  assert.deepEqual((await Promise.all(waiting)).map(({ done }) => done), [
    true,
    true,
  ]);
});

Deno.test("leaving the loop ends a Subscription", async () => {
  let ends = 0;
  const items = subscription({ onEnd: () => ends++ });
  items.push(1);
  items.push(2);
  for await (const item of items) {
    assert.equal(item, 1);
    break;
  }
  assert.equal(ends, 1);
  assert.deepEqual(await rest(items), [], "what waited is gone");
});

Deno.test("an aborted signal ends a Subscription, without an error", async () => {
  let ends = 0;
  const stop = new AbortController();
  const items = subscription({ signal: stop.signal, onEnd: () => ends++ });
  for (let i = 1; i <= 5; i++) items.push(i);
  stop.abort();
  assert.deepEqual(await rest(items), [], "nothing, not even a notice");
  assert.equal(ends, 1);
  const late = subscription({ signal: stop.signal, onEnd: () => ends++ });
  late.push(1);
  assert.deepEqual(await rest(late), []);
  assert.equal(ends, 1);
});

Deno.test("Subscription stops listening to its signal when it ends", async () => {
  const stop = new AbortController();
  const items = subscription({ signal: stop.signal });
  items.push(1);
  items.end();
  stop.abort();
  assert.deepEqual(await rest(items), [1]);
});

Deno.test("`await using` ends a Subscription", async () => {
  let ends = 0;
  {
    await using items = subscription({ onEnd: () => ends++ });
    items.push(1);
  }
  assert.equal(ends, 1);
});

Deno.test("Subscription needs room for an item", () => {
  for (const bufferMax of [0, -1, NaN]) {
    assert.throws(() => subscription({ bufferMax }), {
      name: "RangeError",
      message: `Cannot buffer ${bufferMax} items, at least 1 is needed`,
    });
  }
});
