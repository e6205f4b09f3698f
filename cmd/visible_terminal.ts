/**
 * A terminal on which strangers cannot write.
 *
 * What commands print has names, tags, answers and reasons of other members in
 * it. Here, at the one place through which all of it goes, control characters
 * become visible before a person's terminal sees them. A pipe or a file gets the
 * bytes as they are, for programs. Standard error is for people alone, and never
 * gets any. Our own control sequences take another way, `control`.
 *
 * Not for: line feeds, which commands need for their layout. A command that prints
 * a line for each of several things keeps their names on one line itself
 * (`unbroken` in `kit/visible.ts`), for people and for programs.
 */

import { utf8Text } from "../lib/kit/bytes.ts";
import { visibleText } from "../lib/kit/visible.ts";
import type { OpenQueue, Permission, Terminal } from "./terminal.ts";

export class VisibleTerminal implements Terminal {
  readonly isTerminal: boolean;
  readonly #inner: Terminal;

  constructor(inner: Terminal) {
    this.isTerminal = inner.isTerminal;
    this.#inner = inner;
  }

  out(text: string): void {
    this.#inner.out(this.isTerminal ? visibleText(text) : text);
  }

  outBytes(bytes: Uint8Array): void {
    if (this.isTerminal) this.out(utf8Text(bytes));
    else this.#inner.outBytes(bytes);
  }

  err(text: string): void {
    this.#inner.err(visibleText(text));
  }

  control(stream: "out" | "err", sequence: string): void {
    this.#inner.control(stream, sequence);
  }

  env(name: string): string | undefined {
    return this.#inner.env(name);
  }

  onInterrupt(listener: () => void): () => void {
    return this.#inner.onInterrupt(listener);
  }

  keepOnly(permissions: readonly Permission[]): void {
    this.#inner.keepOnly(permissions);
  }

  queueOutput(open: OpenQueue): void {
    this.#inner.queueOutput(open);
  }
}
