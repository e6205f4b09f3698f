import assert from "node:assert/strict";
import { acceptAll, acceptFailureOf } from "../../lib/net/accept_loop.ts";

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/**
 * Runs the loop over a script: errors are thrown, texts are connections; the
 * listener counts as closed behind its end.
 *
 * @returns what the loop did, without the turns that it gave to others
 */
async function run(script: readonly (Error | string)[]): Promise<string[]> {
  const lines: string[] = [];
  let nowMs = 0;
  let next = 0;
  await acceptAll<string>({
    accept: () => {
      const step = script[next++];
      return typeof step === "string"
        ? Promise.resolve(step)
        : Promise.reject(step);
    },
    isClosed: () => next >= script.length,
    onConnection: (conn) => lines.push(conn),
    onAborted: () => lines.push("aborted"),
    onFailed: () => lines.push("failed"),
    now: () => nowMs,
    pause: (ms) => {
      if (ms > 0) lines.push(`pause ${ms}`);
      nowMs += ms;
      return Promise.resolve();
    },
  });
  return lines;
}

Deno.test("acceptFailureOf() tells a connection's end from a shortage", () => {
  assert.equal(acceptFailureOf(failure("ENOTCONN")), "connection");
  assert.equal(acceptFailureOf(failure("ECONNABORTED")), "connection");
  assert.equal(acceptFailureOf(failure("EMFILE")), "shortage");
  assert.equal(acceptFailureOf(failure("ENOMEM")), "shortage");
  assert.equal(acceptFailureOf(failure("EINVAL")), "unknown");
  assert.equal(acceptFailureOf(new Error("no code")), "unknown");
  assert.equal(acceptFailureOf("no error at all"), "unknown");
});

Deno.test("acceptAll() goes on at once after connections that were reset", async () => {
  const resets = Array.from({ length: 5_000 }, () => failure("ENOTCONN"));
  const lines = await run([...resets, "a", ""]);
  assert.deepEqual(lines, [...resets.map(() => "aborted"), "a", ""]);
});

Deno.test("acceptAll() pauses while descriptors are short, longer each time", async () => {
  const short = failure("EMFILE");
  const lines = await run([
    ...Array.from({ length: 10 }, () => short),
    "a",
    short,
    "b",
  ]);
  assert.deepEqual(
    lines.filter((line) => line !== "failed"),
    [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000].map((ms) => `pause ${ms}`)
      .concat(["a", "pause 5", "b"]),
  );
});

Deno.test("acceptAll() does not lengthen the pause for connections that were reset", async () => {
  const short = failure("ENFILE");
  const reset = failure("ECONNABORTED");
  assert.deepEqual(await run([short, reset, reset, short, "a"]), [
    ...["failed", "pause 5", "aborted", "aborted"],
    ...["failed", "pause 10", "a"],
  ]);
});

Deno.test("acceptAll() does not spin when every accept fails for an unknown reason", async () => {
  const broken = Array.from({ length: 2_000 }, () => failure("EINVAL"));
  const lines = await run([...broken, "a"]);
  const pauses = lines.filter((line) => line === "pause 10").length;
  // The budget pays for the first thousand; each pause of 10 ms then for ten.
  assert.ok(pauses >= 90 && pauses <= 110, `${pauses} pauses`);
  assert.equal(lines.at(-1), "a");
});

Deno.test("acceptAll() hears what has come on a connection before it accepts many more", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const conns: Deno.Conn[] = [];
  for (let i = 0; i < 100; i++) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conns.push(conn);
    await conn.write(Uint8Array.of(1));
  }
  let accepted = 0;
  let isFirst = true;
  const firstHeard = Promise.withResolvers<number>();
  const accepting = acceptAll({
    accept: () => listener.accept(),
    isClosed: () => accepted === 100,
    onConnection: (conn) => {
      accepted++;
      conns.push(conn);
      if (!isFirst) return;
      isFirst = false;
      conn.read(new Uint8Array(1)).then(() => firstHeard.resolve(accepted));
    },
    onAborted: () => {},
    onFailed: () => {},
  });
  // They have all come, and all wait to be accepted.
  const waiting = await firstHeard.promise;
  assert.ok(waiting < 50, `${waiting} were accepted before one was read`);
  listener.close();
  await accepting;
  for (const conn of conns) conn.close();
});
