/** A terminal for tests: remembers what was printed. */

import type { Permission, Terminal } from "../../cmd/terminal.ts";

export class FakeTerminal implements Terminal {
  isTerminal = false;
  stdout = "";
  stderr = "";
  /** What the command has not given up; undefined when it gave up nothing. */
  kept: readonly Permission[] | undefined;
  readonly #env: Readonly<Record<string, string>>;
  #interrupt: (() => void) | undefined;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = env;
  }

  /** Whether the command would survive an interrupt. */
  get isListening(): boolean {
    return this.#interrupt !== undefined;
  }

  interrupt(): void {
    this.#interrupt?.();
  }

  out(text: string): void {
    this.stdout += text;
  }

  outBytes(bytes: Uint8Array): void {
    this.stdout += new TextDecoder().decode(bytes);
  }

  err(text: string): void {
    this.stderr += text;
  }

  control(stream: "out" | "err", sequence: string): void {
    if (stream === "out") this.out(sequence);
    else this.err(sequence);
  }

  env(name: string): string | undefined {
    return this.#env[name];
  }

  onInterrupt(listener: () => void): () => void {
    this.#interrupt = listener;
    return () => this.#interrupt = undefined;
  }

  keepOnly(permissions: readonly Permission[]): void {
    this.kept = permissions;
  }

  queueOutput(): void {
    // What is written here is read at once.
  }
}
