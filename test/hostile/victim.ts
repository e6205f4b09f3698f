/** A process of ours that is attacked: an agent, or another command. */

import { RpcClient } from "../../lib/net/rpc_client.ts";
import { until } from "../net/deadline.ts";

const MAIN = `${import.meta.dirname}/../../main.ts`;

/** The program from source; `SERF_UNDER_TEST` is not for these tests. */
export const FROM_SOURCE: readonly string[] = [
  ...[Deno.execPath(), "run", "--quiet", "-A", MAIN],
];

export interface VictimOptions {
  /** The program and its first arguments; from source unless given. */
  readonly program?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether its standard output is read from the start, as it is unless given. */
  readonly isRead?: boolean;
}

export class Victim implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  stdout = "";
  stderr = "";
  readonly #reads: Promise<void>[] = [];
  #isOutputTaken = false;
  #status: Deno.CommandStatus | undefined;

  constructor(args: readonly string[], options: VictimOptions = {}) {
    const { program = FROM_SOURCE, env = {}, isRead = true } = options;
    const [path, ...first] = program as [string, ...string[]];
    this.child = new Deno.Command(path, {
      args: [...first, ...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.child.status.then((status) => this.#status = status);
    this.#reads.push(readAll(this.child.stderr, (text) => this.stderr += text));
    if (isRead) this.readOutput();
  }

  /** Begins to read its standard output. */
  readOutput(): void {
    this.#isOutputTaken = true;
    this.#reads.push(readAll(this.child.stdout, (text) => this.stdout += text));
  }

  /** Closes its standard output, which was not read before. */
  async closeOutput(): Promise<void> {
    this.#isOutputTaken = true;
    await this.child.stdout.cancel();
  }

  get pid(): number {
    return this.child.pid;
  }

  /** How it ended; `undefined` while it runs. */
  get status(): Deno.CommandStatus | undefined {
    return this.#status;
  }

  /** Sends a signal, if it still runs. */
  signal(signal: Deno.Signal): void {
    if (this.#status !== undefined) return;
    try {
      this.child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Waits for a text on standard output, or for the end. */
  async says(text: string): Promise<void> {
    await until(text, () => {
      if (this.stdout.includes(text)) return true;
      if (this.#status === undefined) return false;
      const { code, signal } = this.#status;
      throw new Error(
        `It ended (${signal ?? code}) without '${text}':\n` +
          `${this.stdout}${this.stderr}`,
      );
    });
  }

  /** Waits until it has ended by itself. */
  async ended(): Promise<Deno.CommandStatus> {
    await until("its end", () => this.#status !== undefined);
    if (this.#isOutputTaken) await Promise.all(this.#reads);
    return this.#status as Deno.CommandStatus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.child.status;
    if (!this.#isOutputTaken) await this.closeOutput();
    await Promise.all(this.#reads);
  }
}

/** Connects to a control port as soon as it answers. */
export async function connectTo(address: string): Promise<RpcClient> {
  let client: RpcClient | undefined;
  await until(`an answer at ${address}`, async () => {
    client = await RpcClient.connect({ address }).catch(() => undefined);
    return client !== undefined;
  });
  return client as RpcClient;
}

async function readAll(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const part of stream) take(decoder.decode(part, { stream: true }));
}
