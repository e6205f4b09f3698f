import assert from "node:assert/strict";
import {
  endMs,
  FIRST_BYTE_MS,
  INBOUND_BYTES_MAX,
  INBOUND_STREAMS_MAX,
  type InboundStream,
  InboundStreams,
  SILENT_STREAMS_MAX,
  SLOWEST_BYTES_PER_SECOND,
  type Surplus,
} from "../../lib/swim/inbound_streams.ts";

/** A table with members at some addresses, which gives up what is too much. */
class Bench {
  readonly #streams: InboundStreams;
  readonly open = new Set<InboundStream>();
  nowMs = 0;
  #lastId = 0;

  constructor(...members: string[]) {
    this.#streams = new InboundStreams({
      all: () => members.map((ip) => ({ ip })),
    });
  }

  /** Opens a stream; closes the one that has to go for it, which it returns. */
  add(ip: string): { added: InboundStream; gone: InboundStream | undefined } {
    const added = this.#streams.add(++this.#lastId, `${ip}:1`, this.nowMs);
    this.open.add(added);
    const [gone] = this.#makeRoom(added);
    return { added, gone };
  }

  fill(ip: string, count: number): InboundStream[] {
    return Array.from({ length: count }, () => {
      this.nowMs++;
      return this.add(ip).added;
    });
  }

  /** @returns the streams that had to go */
  receive(stream: InboundStream, byteCount: number): InboundStream[] {
    this.#streams.received(stream, byteCount);
    return this.#makeRoom(stream);
  }

  #makeRoom(newcomer: InboundStream): InboundStream[] {
    const gone: InboundStream[] = [];
    let surplus: Surplus | undefined;
    while (
      (surplus = this.#streams.surplus(newcomer, this.nowMs)) !== undefined
    ) {
      gone.push(surplus.stream);
      this.end(surplus.stream);
    }
    return gone;
  }

  end(stream: InboundStream): void {
    this.#streams.delete(stream.id);
    this.open.delete(stream);
  }

  countOf(ip: string): number {
    return [...this.open].filter((stream) => stream.ip === ip).length;
  }
}

Deno.test("one source may use the whole table, and then loses its oldest silent stream", () => {
  const bench = new Bench();
  const streams = bench.fill("10.0.0.1", SILENT_STREAMS_MAX);
  assert.equal(bench.open.size, SILENT_STREAMS_MAX);
  assert.equal(bench.add("10.0.0.1").gone, streams[0]);
  assert.equal(bench.add("10.0.0.1").gone, streams[1]);
  assert.equal(bench.open.size, SILENT_STREAMS_MAX);
});

Deno.test("of streams that speak, the one that has brought least goes first", () => {
  const bench = new Bench();
  const streams = bench.fill("10.0.0.1", INBOUND_STREAMS_MAX + 12);
  const [large, trickling, ...others] = streams.slice(0, INBOUND_STREAMS_MAX);
  const late = streams.slice(INBOUND_STREAMS_MAX);
  assert.ok(large !== undefined && trickling !== undefined);
  bench.receive(large, 100_000);
  // A byte is worth two milliseconds, and the streams were opened one apart.
  bench.receive(trickling, 6);
  for (const stream of others) bench.receive(stream, 1);
  const gone = late.flatMap((stream) => bench.receive(stream, 1));
  assert.deepEqual(gone, [
    ...others.slice(0, 9),
    trickling,
    ...others.slice(9, 11),
  ]);
  assert.ok(bench.open.has(large));
});

Deno.test("streams that speak and silent ones do not take each other's places", () => {
  const bench = new Bench();
  const speaking = bench.fill("10.0.0.1", INBOUND_STREAMS_MAX);
  for (const stream of speaking) bench.receive(stream, 1);
  const silent = bench.fill("10.0.0.1", SILENT_STREAMS_MAX);
  bench.fill("10.0.0.1", 10);
  assert.ok(speaking.every((stream) => bench.open.has(stream)));
  assert.equal(bench.open.has(silent[9] as InboundStream), false);
  const [first] = silent.slice(10) as [InboundStream];
  assert.deepEqual(bench.receive(first, 1), [speaking[0]]);
});

Deno.test("a source with few streams keeps them while another has more", () => {
  const bench = new Bench();
  const honest = bench.fill("10.0.0.2", 3);
  bench.fill("10.0.0.1", 10 * SILENT_STREAMS_MAX);
  assert.equal(bench.countOf("10.0.0.2"), 3);
  assert.ok(honest.every((stream) => bench.open.has(stream)));
  assert.equal(bench.add("10.0.0.3").gone?.ip, "10.0.0.1");
});

Deno.test("IPv6 addresses of one network are one source", () => {
  const bench = new Bench();
  const honest = bench.fill("[2001:db8:0:2::1]", 3);
  for (let i = 0; i < 5 * SILENT_STREAMS_MAX; i++) {
    bench.nowMs++;
    bench.add(`[2001:db8:0:1::${i.toString(16)}]`);
  }
  assert.ok(honest.every((stream) => bench.open.has(stream)));
});

Deno.test("members are let in whatever strangers do, from however many addresses", () => {
  const bench = new Bench("10.0.0.1", "10.0.0.2");
  const [member] = bench.fill("10.0.0.1", 1) as [InboundStream];
  for (let i = 0; i < 1_000; i++) {
    bench.nowMs++;
    bench.add(`192.0.${i >> 8}.${i & 255}`);
  }
  assert.ok(bench.open.has(member));
  const later = bench.fill("10.0.0.2", SILENT_STREAMS_MAX / 2 - 1);
  bench.fill("192.0.2.1", 1_000);
  assert.ok(later.every((stream) => bench.open.has(stream)));
});

Deno.test("new nodes are let in whatever happens at the addresses of members", () => {
  const bench = new Bench("10.0.0.1", "10.0.0.2");
  const joining = bench.fill("192.0.2.1", SILENT_STREAMS_MAX / 2);
  bench.fill("10.0.0.1", 1_000);
  bench.fill("10.0.0.2", 1_000);
  assert.ok(joining.every((stream) => bench.open.has(stream)));
});

Deno.test("who holds the most bytes goes when all together hold too much", () => {
  const bench = new Bench();
  const hoards = bench.fill("10.0.0.1", 8);
  const part = INBOUND_BYTES_MAX / 8;
  for (const stream of hoards) {
    assert.deepEqual(bench.receive(stream, part), []);
  }
  const [honest] = bench.fill("10.0.0.2", 1) as [InboundStream];
  assert.deepEqual(bench.receive(honest, 1_000_000), [hoards[0]]);
  bench.end(honest);
  assert.deepEqual(bench.receive(hoards[1] as InboundStream, part), []);
  assert.deepEqual(
    bench.receive(hoards[2] as InboundStream, part),
    [hoards[1]],
    "of one source, the largest",
  );
});

Deno.test("endMs() gives a silent stream a short time, and one that arrives all of it", () => {
  const bench = new Bench();
  const { added } = bench.add("10.0.0.1");
  assert.equal(endMs(added, 10_000), FIRST_BYTE_MS);
  assert.equal(endMs(added, 1_000), 1_000);
  bench.receive(added, SLOWEST_BYTES_PER_SECOND);
  assert.equal(endMs(added, 10_000), FIRST_BYTE_MS + 1_000);
  bench.receive(added, 1_000_000);
  assert.equal(endMs(added, 10_000), 10_000);
});
