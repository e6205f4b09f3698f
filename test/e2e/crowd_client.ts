/**
 * Clients for a crowd on the RPC port: those who work, those who subscribe and
 * never read, and those who send nonsense. Like `rpc_probe.ts` they share no code
 * with `lib/rpc`.
 */

import { Decoder, encode as encodeValue } from "@msgpack/msgpack";

const OPTIONS = { useBigInt64: true } as const;

/** What an agent sent: a header, and a body or none. */
export interface Message {
  readonly seq: bigint;
  readonly error: string;
  readonly body: Record<string, unknown> | undefined;
}

/** Where an agent serves commands. */
export interface RpcPlace {
  readonly host: string;
  readonly port: number;
}

/** A request as it travels, header and body in one piece. */
export function requestBytes(
  command: unknown,
  seq: bigint,
  body?: unknown,
): Uint8Array {
  const header = encodeValue({ Command: command, Seq: seq }, OPTIONS);
  return joined(
    body === undefined ? [header] : [header, encodeValue(body, OPTIONS)],
  );
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A bare connection. */
export class CrowdClient implements Disposable {
  readonly #conn: Deno.TcpConn;
  readonly #values: AsyncGenerator<unknown>;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#values = new Decoder(OPTIONS).decodeStream(chunks(conn));
  }

  static async open(at: RpcPlace): Promise<CrowdClient> {
    const { host: hostname, port } = at;
    return new CrowdClient(await Deno.connect({ hostname, port }));
  }

  /** `IP:PORT` of our end, by which the agent names us. */
  get address(): string {
    const { hostname, port } = this.#conn.localAddr;
    return `${hostname}:${port}`;
  }

  async send(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) rest = rest.subarray(await this.#conn.write(rest));
  }

  /** Ends our side; the agent's may go on. */
  async endSending(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /**
   * The next header and the body, if one is due.
   *
   * @throws {Error} at the end of the connection
   */
  async read(hasBody: boolean): Promise<Message> {
    const header = await this.#next();
    const { Seq, Error: error } = header as { Seq: bigint; Error: string };
    const body = hasBody && error === ""
      ? await this.#next() as Record<string, unknown>
      : undefined;
    return { seq: BigInt(Seq), error, body };
  }

  /** Reads to the end, whatever comes; the text of it. A reset is an end, too. */
  async readToEnd(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    try {
      for await (const chunk of chunks(this.#conn)) {
        text += decoder.decode(chunk, { stream: true });
      }
    } catch {
      // The agent may close while we still send.
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#values.next();
    if (done) throw new Error("The agent has closed the connection");
    return value;
  }
}

async function* chunks(conn: Deno.TcpConn): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(65_536);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    yield buffer.slice(0, count);
  }
}
