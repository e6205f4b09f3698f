import assert from "node:assert/strict";
import net from "node:net";
import { concatBytes, utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { StreamTable } from "../../lib/net/tcp.ts";
import { until } from "./deadline.ts";

/** A table that notes what it is told; inputs have numbers from 1, dials choose theirs. */
class Notes {
  readonly lines: string[] = [];
  readonly table: StreamTable;
  readonly listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #accepting: Promise<void>;
  #lastId = 0;

  constructor(
    options: {
      inboundMax?: number;
      waitingBytesMax?: number;
      onData?: (id: number, text: string) => void;
    } = {},
  ) {
    this.table = new StreamTable({
      onOpened: (_from, attach) => {
        const id = ++this.#lastId;
        attach(id);
        this.lines.push(`opened ${id}`);
      },
      onData: (id, bytes) => {
        const text = utf8Text(bytes);
        this.lines.push(`data ${id} ${text}`);
        options.onData?.(id, text);
      },
      onEnded: (id) => this.lines.push(`ended ${id}`),
      onDialed: (id) => this.lines.push(`dialed ${id}`),
      onDialFailed: (id, why) => this.lines.push(`failed ${id} ${why}`),
      onAcceptError: (error) => this.lines.push(`accept ${error}`),
      onAcceptAborted: () => this.lines.push("aborted"),
      onRefused: () => this.lines.push("refused"),
      onOverfull: (from) => this.lines.push(`overfull ${from.split(":")[0]}`),
    }, { inboundMax: 10, ...options });
    this.#accepting = this.table.accept(this.listener);
  }

  get address(): string {
    return `127.0.0.1:${this.listener.addr.port}`;
  }

  connect(): Promise<Deno.TcpConn> {
    return Deno.connect({
      hostname: "127.0.0.1",
      port: this.listener.addr.port,
    });
  }

  has(line: string): Promise<void> {
    return until(line, () => this.lines.includes(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    this.table.shutdown();
    await this.#accepting;
  }
}

/** Everything until the other side ends. */
async function readToEnd(conn: Deno.TcpConn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  let count: number | null;
  while ((count = await conn.read(buffer)) !== null) {
    parts.push(buffer.slice(0, count));
  }
  return concatBytes(parts);
}

Deno.test("StreamTable carries a request and its answer, then closes", async () => {
  await using a = new Notes({
    onData: (id, text) => {
      a.table.write(id, utf8Bytes(`${text}, `));
      a.table.write(id, utf8Bytes("you said"));
      a.table.close(id);
    },
  });
  await using b = new Notes();
  b.table.dial(77, a.address);
  b.table.write(77, utf8Bytes("hello"));
  await b.has("data 77 hello, you said");
  await b.has("ended 77");
  await until("both tables empty", () => a.table.size + b.table.size === 0);
  assert.deepEqual(a.lines, ["opened 1", "data 1 hello"]);
  assert.equal(b.lines[0], "dialed 77");
});

Deno.test("StreamTable answers a peer that has ended its side", async () => {
  await using a = new Notes({
    onData: (id) => {
      a.table.write(id, new Uint8Array(3_000_000).fill(7));
      a.table.close(id);
    },
  });
  using conn = await a.connect();
  await conn.write(utf8Bytes("x"));
  await conn.closeWrite();
  const answer = await readToEnd(conn);
  assert.equal(answer.length, 3_000_000);
  assert.ok(answer.every((byte) => byte === 7));
});

Deno.test("StreamTable does not reset a peer that is still talking", async () => {
  await using a = new Notes({
    onData: (id) => {
      a.table.write(id, utf8Bytes("enough"));
      a.table.close(id);
    },
  });
  using conn = await a.connect();
  // Far more than the answering side reads before it closes.
  await conn.write(new Uint8Array(100_000));
  await conn.write(new Uint8Array(100_000));
  assert.equal(utf8Text(await readToEnd(conn)), "enough");
});

Deno.test("StreamTable.close() bounds the wait for a peer that stays", async () => {
  await using a = new Notes({ onData: (id) => a.table.close(id) });
  using conn = await a.connect();
  await conn.write(utf8Bytes("x"));
  assert.equal((await readToEnd(conn)).length, 0);
  // `conn` is never closed by us; the table forgets it all the same.
  await until("the stream to be dropped", () => a.table.size === 0);
});

Deno.test("StreamTable tells why a dial failed", async () => {
  await using a = new Notes();
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${free.addr.port}`;
  free.close();
  a.table.dial(5, address);
  await a.has(`failed 5 dial tcp ${address}: connect: connection refused`);
  a.table.dial(6, "[::1]");
  a.table.dial(7, "example.org:80");
  await a.has("failed 7 dial tcp example.org:80: connect: no IP address");
  assert.equal(a.table.size, 0);
});

Deno.test("StreamTable.close() ends a dial in silence", async () => {
  await using a = new Notes();
  await using b = new Notes();
  b.table.dial(5, a.address);
  b.table.close(5);
  assert.equal(b.table.size, 0);
  b.table.dial(6, a.address);
  await b.has("dialed 6");
  assert.ok(!b.lines.some((line) => line.includes(" 5")));
});

Deno.test("StreamTable refuses streams beyond its limit and recovers", async () => {
  await using a = new Notes({ inboundMax: 2 });
  using first = await a.connect();
  using second = await a.connect();
  await a.has("opened 2");
  using third = await a.connect();
  assert.equal((await readToEnd(third)).length, 0);
  assert.deepEqual(a.lines, ["opened 1", "opened 2", "refused"]);
  first.close();
  await a.has("ended 1");
  using fourth = await a.connect();
  await fourth.write(utf8Bytes("in"));
  await a.has("data 3 in");
  second.close();
});

/** Much more than the system takes off our hands for one connection, about 10 MB. */
const ANSWER_BYTES = 40_000_000;

/** A peer that asks for something and does not read the answer. */
async function ask(notes: Notes, id: number, ip: string): Promise<net.Socket> {
  const socket = net.connect({
    host: "127.0.0.1",
    port: notes.listener.addr.port,
    localAddress: ip,
  });
  // A reset is how some of them are told to go.
  socket.on("error", () => {});
  socket.pause();
  socket.write("x");
  await notes.has(`data ${id} x`);
  return socket;
}

function overfull(notes: Notes): string[] {
  return notes.lines.filter((line) => line.startsWith("overfull"));
}

Deno.test("StreamTable holds so many bytes for peers that do not read", async () => {
  await using a = new Notes({
    waitingBytesMax: 2.1 * ANSWER_BYTES,
    onData: (id) => a.table.write(id, new Uint8Array(ANSWER_BYTES)),
  });
  const sockets: net.Socket[] = [];
  for (let id = 1; id <= 4; id++) {
    sockets.push(await ask(a, id, "127.0.0.2"));
  }
  assert.equal(a.table.size, 2, "two fit");
  assert.deepEqual(overfull(a), Array(2).fill("overfull 127.0.0.2"));
  // Whoever else comes gets an answer, and reads it.
  using other = await a.connect();
  await other.write(utf8Bytes("x"));
  await a.has("data 5 x");
  let read = 0;
  const buffer = new Uint8Array(65_536);
  while (read < ANSWER_BYTES) {
    read += await other.read(buffer) ?? assert.fail("ended");
  }
  assert.deepEqual(overfull(a), Array(3).fill("overfull 127.0.0.2"));
  for (const socket of sockets) socket.destroy();
});

Deno.test("StreamTable drops closing streams for new ones, of the largest source first", async () => {
  await using a = new Notes({
    inboundMax: 4,
    waitingBytesMax: Infinity,
    onData: (id) => {
      a.table.write(id, new Uint8Array(ANSWER_BYTES));
      a.table.close(id);
    },
  });
  const sockets = [
    await ask(a, 1, "127.0.0.3"),
    await ask(a, 2, "127.0.0.2"),
    await ask(a, 3, "127.0.0.2"),
    await ask(a, 4, "127.0.0.2"),
  ];
  assert.deepEqual(overfull(a), []);
  sockets.push(await ask(a, 5, "127.0.0.4"));
  sockets.push(await ask(a, 6, "127.0.0.4"));
  assert.deepEqual(overfull(a), Array(2).fill("overfull 127.0.0.2"));
  assert.ok(!a.lines.includes("refused"), `${a.lines}`);
  assert.equal(a.table.size, 4);
  for (const socket of sockets) socket.destroy();
});

Deno.test("StreamTable drops a stream that only its peer has to end without a word", async () => {
  await using a = new Notes({
    inboundMax: 2,
    onData: (id) => a.table.close(id),
  });
  const sockets: net.Socket[] = [];
  for (let id = 1; id <= 50; id++) {
    sockets.push(await ask(a, id, "127.0.0.2"));
  }
  assert.deepEqual(a.lines.filter((line) => /refused|overfull/.test(line)), []);
  for (const socket of sockets) socket.destroy();
});

Deno.test("StreamTable.drop() ends a stream at once, and a dial", async () => {
  await using a = new Notes({
    onData: (id) => {
      a.table.write(id, new Uint8Array(ANSWER_BYTES));
      a.table.drop(id);
    },
  });
  using conn = await a.connect();
  await conn.write(utf8Bytes("x"));
  await a.has("data 1 x");
  assert.equal(a.table.size, 0);
  a.table.dial(5, a.address);
  a.table.drop(5);
  assert.equal(a.table.size, 0);
  const answer = await readToEnd(conn).catch(() => new Uint8Array(0));
  assert.ok(answer.length < ANSWER_BYTES);
});

Deno.test("StreamTable tells of a broken connection once", async () => {
  await using a = new Notes();
  const conn = await a.connect();
  await conn.write(utf8Bytes("x"));
  await a.has("data 1 x");
  conn.close();
  await a.has("ended 1");
  a.table.write(1, utf8Bytes("too late"));
  await until("the table to be empty", () => a.table.size === 0);
  assert.deepEqual(a.lines, ["opened 1", "data 1 x", "ended 1"]);
});

Deno.test("StreamTable.shutdown() closes everything, sent or not", async () => {
  const a = new Notes();
  using conn = await a.connect();
  await a.has("opened 1");
  a.table.write(1, new Uint8Array(50_000_000));
  await a[Symbol.asyncDispose]();
  assert.equal(a.table.size, 0);
  // Ends at once, in good order or by a reset; it would hang otherwise.
  await readToEnd(conn).catch(() => undefined);
});
