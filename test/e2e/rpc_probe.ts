/**
 * A second opinion on the RPC port.
 *
 * A small RPC client for tests that shares no code with `lib/rpc`, so that an
 * error there cannot hide itself. It asks one thing at a time and keeps one
 * event stream per connection. Source: Serf's RPC protocol, version 1.
 */

import { decodeMultiStream, encode } from "@msgpack/msgpack";

/** A member as the RPC port tells it. */
export interface RpcMember {
  readonly Name: string;
  readonly Addr: Uint8Array;
  readonly Port: number;
  readonly Tags: Record<string, string>;
  readonly Status: string;
  readonly ProtocolMin: number;
  readonly ProtocolMax: number;
  readonly ProtocolCur: number;
  readonly DelegateMin: number;
  readonly DelegateMax: number;
  readonly DelegateCur: number;
}

/** A record of an event stream. */
export interface EventRecord {
  readonly Event: string;
  /** Of user events. */
  readonly LTime?: number;
  readonly Name?: string;
  readonly Payload?: Uint8Array | null;
  readonly Coalesce?: boolean;
  /** Of member events. */
  readonly Members?: readonly RpcMember[];
}

interface Header {
  readonly Seq: number;
  readonly Error: string;
}

/** Where an agent answers, and the token it wants. */
export interface RpcAddress {
  readonly host: string;
  readonly port: number;
  readonly token?: string | undefined;
}

export class RpcProbe implements AsyncDisposable {
  #connection: Deno.TcpConn;
  #values: AsyncGenerator<unknown>;
  #seq = 0;
  #pump: Promise<void> | undefined;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#values = decodeMultiStream(connection.readable);
  }

  /** Connects, shakes hands and shows the token. */
  static async open(address: RpcAddress): Promise<RpcProbe> {
    const { host, port, token } = address;
    const connection = await Deno.connect({ hostname: host, port });
    const probe = new RpcProbe(connection);
    try {
      await probe.#call("handshake", { Version: 1 });
      if (token !== undefined) await probe.#call("auth", { AuthKey: token });
    } catch (error) {
      await probe[Symbol.asyncDispose]();
      throw error;
    }
    return probe;
  }

  async members(): Promise<RpcMember[]> {
    await this.#call("members");
    return (await this.#read() as { Members: RpcMember[] | null }).Members ??
      [];
  }

  /** Subscribes; `take` gets every record until the connection ends. */
  async stream(
    filter: string,
    take: (record: EventRecord) => void,
  ): Promise<void> {
    await this.#call("stream", { Type: filter });
    this.#pump = this.#readRecords(take).catch(() => {
      // The agent or this test closed the connection: no more records.
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#connection.close();
    } catch {
      // The stream of a connection that the agent closed is closed with it.
    }
    await this.#pump;
    await this.#values.return(undefined).catch(() => {});
  }

  async #call(command: string, body?: unknown): Promise<void> {
    const header = encode({ Command: command, Seq: this.#seq++ });
    const parts = body === undefined ? [header] : [header, encode(body)];
    const writer = this.#connection.writable.getWriter();
    for (const part of parts) await writer.write(part);
    writer.releaseLock();
    const { Error: error } = await this.#read() as Header;
    if (error !== "") throw new Error(`RPC ${command} failed: ${error}`);
  }

  async #read(): Promise<unknown> {
    const { value, done } = await this.#values.next();
    if (done) throw new Error("The agent closed the RPC connection");
    return value;
  }

  async #readRecords(take: (record: EventRecord) => void): Promise<void> {
    while (true) {
      await this.#read();
      take(await this.#read() as EventRecord);
    }
  }
}
