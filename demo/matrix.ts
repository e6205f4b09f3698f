/**
 * The picture of a cluster: who sees whom as what.
 *
 * Pure functions from what was asked to text, so that tests can read them.
 */

import type { DemoCluster } from "./cluster.ts";

/** What one agent reports; no view while it is down or does not answer. */
export interface Observer {
  readonly name: string;
  readonly rpcAddress: string;
  readonly pid: number | undefined;
  readonly view: ReadonlyMap<string, string> | undefined;
}

/** Clusters above this size are shown with one letter per cell. */
const WORDS_MAX = 8;
const LETTERS: Readonly<Record<string, string>> = {
  alive: "+",
  leaving: "l",
  left: "L",
  failed: "F",
};

/** What the agents of a cluster reported last. */
export function observersOf(cluster: DemoCluster): Observer[] {
  return cluster.slots.map(({ name, rpcAddress, process, view }) => ({
    name,
    rpcAddress,
    pid: process?.pid,
    view,
  }));
}

/** One row for each agent, one column for each member. */
export function renderMatrix(observers: readonly Observer[]): string {
  const isWide = observers.length <= WORDS_MAX;
  const names = observers.map(({ name }) => name);
  const rows = observers.map(({ name, rpcAddress, pid, view }) => {
    const cells = names.map((other) => {
      const status = view?.get(other) ?? "";
      return isWide ? status || "-" : LETTERS[status] ?? ".";
    });
    const about = pid === undefined ? "down" : `rpc ${rpcAddress}  pid ${pid}`;
    return [name, ...(view ? cells : cells.map(() => " ")), about];
  });
  const heads = isWide
    ? names
    : names.map((name) => name.replace(/^n/, "").slice(-2));
  const table = [["seen by", ...heads, ""], ...rows];
  const widths =
    table[0]?.map((_, column) =>
      Math.max(...table.map((row) => row[column]?.length ?? 0))
    ) ?? [];
  const lines = table.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")
      .trimEnd()
  );
  if (!isWide) lines.push("+ alive  l leaving  L left  F failed  . unknown");
  return lines.join("\n");
}

/** One line for each new opinion: `n1 sees n2, n3 alive`. */
export function renderChanges(
  before: readonly Observer[],
  after: readonly Observer[],
): string[] {
  const places = new Map(after.map(({ name }, i) => [name, i]));
  const placeOf = (name: string) => places.get(name) ?? places.size;
  return after.flatMap(({ name, view }, i) => {
    const old = before[i]?.view;
    if (view === undefined) {
      return old === undefined ? [] : [`${name} does not answer`];
    }
    const news = new Map<string, string[]>();
    for (const [other, status] of view) {
      if (old?.get(other) === status) continue;
      news.set(status, [...news.get(status) ?? [], other]);
    }
    // In the order of the picture: n2 before n10.
    return [...news].map(([status, others]) => {
      const sorted = others.toSorted((a, b) => placeOf(a) - placeOf(b));
      return `${name} sees ${sorted.join(", ")} ${status}`;
    });
  });
}
