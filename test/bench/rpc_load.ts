/**
 * Clients that ask an agent for its members, over and over, as fast as it answers.
 *
 * An answer is counted by its length, which the first one tells: to decode them
 * all would make the clients slower than the agents that they measure.
 */

import { concatBytes } from "../../lib/kit/bytes.ts";
import { RESPONSE_LIMITS, ValueCutter } from "../../lib/rpc/protocol.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";

const READ_BYTES = 65_536;

function requestBytes(command: string, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint(1);
  return (body === undefined ? writer : writer.append(body)).finish();
}

const HANDSHAKE = requestBytes(
  "handshake",
  new RpcWriter().map(1).text("Version").uint(1).finish(),
);
const MEMBERS = requestBytes("members");

/** One connection that has shaken hands. */
export class LoadClient {
  readonly #conn: Deno.TcpConn;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Bytes of an answer to `members`, header and body. */
  #answerBytes = 0;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(
    at: { readonly host: string; readonly port: number },
  ): Promise<LoadClient> {
    const { host: hostname, port } = at;
    const conn = await Deno.connect({ hostname, port });
    conn.setNoDelay(true);
    const client = new LoadClient(conn);
    await client.#exchange(HANDSHAKE, 1);
    return client;
  }

  /** Names in one answer, which is decoded; `ask` needs this to have been called. */
  async memberNames(): Promise<string[]> {
    const { values, bytes } = await this.#exchange(MEMBERS, 2);
    this.#answerBytes = bytes;
    const body = values[1] as ReadonlyMap<string, MsgpackValue>;
    const members = body.get("Members") as readonly ReadonlyMap<
      string,
      MsgpackValue
    >[];
    return members.map((member) => String(member.get("Name"))).sort();
  }

  /** Asks once, and reads the answer to its end. */
  async ask(): Promise<void> {
    await this.#write(MEMBERS);
    let missing = this.#answerBytes;
    while (missing > 0) missing -= await this.#read();
    if (missing < 0) throw new Error("The answer is longer than the first one");
  }

  close(): void {
    this.#conn.close();
  }

  async #exchange(
    request: Uint8Array,
    count: number,
  ): Promise<{ values: MsgpackValue[]; bytes: number }> {
    await this.#write(request);
    const cutter = new ValueCutter(RESPONSE_LIMITS);
    const values: Uint8Array[] = [];
    while (values.length < count) {
      cutter.push(this.#buffer.subarray(0, await this.#read()));
      for (let value; (value = cutter.next()) !== undefined;) {
        values.push(value);
      }
    }
    return {
      values: values.map(decodeValue),
      bytes: concatBytes(values).length,
    };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) rest = rest.subarray(await this.#conn.write(rest));
  }

  async #read(): Promise<number> {
    const count = await this.#conn.read(this.#buffer);
    if (count === null) throw new Error("The agent has closed the connection");
    return count;
  }
}

/**
 * Lets every client ask until the time is over, each with one question at a time.
 *
 * @returns answers per second, of all clients together
 */
export async function answersPerSecond(
  clients: readonly LoadClient[],
  durationMs: number,
): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  let answers = 0;
  await Promise.all(clients.map(async (client) => {
    while (performance.now() < endMs) {
      await client.ask();
      answers++;
    }
  }));
  return 1_000 * answers / (performance.now() - startMs);
}
