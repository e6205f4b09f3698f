/**
 * Kills and restarts agents, one at a time, and measures how long the others
 * take to notice.
 *
 *     calm: everybody sees everybody alive
 *       └─SIGKILL──▶ until all others say failed: the detection time
 *             └─a pause, restart──▶ until all say alive: the rejoin time ──▶ calm
 */

import type { DemoCluster, Slot } from "./cluster.ts";

/** Pause between calm and the next kill, ms. */
const CALM_MS = 1_500;
/** Time that a killed agent stays down once all have noticed, ms. */
const DOWN_MS = 1_500;
/** How often the agents are asked while something is measured, ms. */
const LOOK_INTERVAL_MS = 100;

export interface ChaosOptions {
  /** Ends the chaos. */
  readonly signal: AbortSignal;
  /** Says what happened, in one line. */
  report(line: string): void;
}

/** Runs until the signal; resolves then. Needs two agents at least. */
export async function runChaos(
  cluster: DemoCluster,
  { signal, report }: ChaosOptions,
): Promise<void> {
  while (!signal.aborted) {
    await until(cluster, signal, () => isCalm(cluster));
    await pause(CALM_MS, signal);
    if (signal.aborted) return;
    const victim = pick(cluster.slots);
    await measureDetection(cluster, victim, { signal, report });
    await pause(DOWN_MS, signal);
    if (signal.aborted) return;
    await measureRejoin(cluster, victim, { signal, report });
  }
}

async function measureDetection(
  cluster: DemoCluster,
  victim: Slot,
  { signal, report }: ChaosOptions,
): Promise<void> {
  const others = cluster.slots.filter((slot) => slot !== victim);
  const noticed = new Map<string, number>();
  report(`${victim.name} killed`);
  const process = victim.process;
  const startMs = performance.now();
  process?.kill();
  await process?.exited;
  await until(cluster, signal, () => {
    for (const { name, view } of others) {
      if (view?.get(victim.name) !== "failed" || noticed.has(name)) continue;
      noticed.set(name, performance.now() - startMs);
    }
    return noticed.size === others.length;
  });
  const [first] = noticed;
  if (signal.aborted || first === undefined) return;
  const lastMs = Math.max(...noticed.values());
  report(
    `${victim.name} called failed by ${first[0]} after ${seconds(first[1])}, ` +
      `by all after ${seconds(lastMs)}`,
  );
}

async function measureRejoin(
  cluster: DemoCluster,
  victim: Slot,
  { signal, report }: ChaosOptions,
): Promise<void> {
  const startMs = performance.now();
  await cluster.launch(victim);
  const readyMs = performance.now() - startMs;
  await until(cluster, signal, () => isCalm(cluster));
  if (signal.aborted) return;
  const calmMs = performance.now() - startMs;
  report(
    `${victim.name} restarted, up after ${seconds(readyMs)}, ` +
      `alive for all after ${seconds(calmMs)}`,
  );
}

/** Whether every agent answers and sees every member alive. */
export function isCalm(cluster: DemoCluster): boolean {
  return cluster.slots.every(({ view }) =>
    cluster.slots.every(({ name }) => view?.get(name) === "alive")
  );
}

async function until(
  cluster: DemoCluster,
  signal: AbortSignal,
  isSo: () => boolean,
): Promise<void> {
  while (!signal.aborted) {
    await cluster.poll();
    if (isSo()) return;
    await pause(LOOK_INTERVAL_MS, signal);
  }
}

/** Waits, but not beyond the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

function pick(slots: readonly Slot[]): Slot {
  return slots[Math.floor(Math.random() * slots.length)] as Slot;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
