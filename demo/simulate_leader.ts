/**
 * Tests the rule of `leader.ts` in the simulator: twenty clusters of five on a bad
 * network, in which the leader crashes and the network is cut and heals. Ends with
 * exit code 1, and the seed to look at, when members do not agree in time.
 *
 *     deno run -A demo/simulate_leader.ts
 *
 * What to expect:
 *
 *     Who leads? 20 clusters of 5 nodes, 10 % of all packets lost.
 *     Virtual time until all agree, s:
 *
 *                                      shortest   median  longest
 *     all have started                      0.0      0.1      1.0
 *     the leader has crashed                5.2      5.7      6.6
 *     it is back                            0.0      0.0      0.2
 *     the network is cut in two             5.3      7.8     12.0
 *     it has healed                         0.0      0.3     39.6
 *
 *     All agreed each time, in 452 s of virtual time.
 */

import { isMemberEvent } from "../lib/mod.ts";
import {
  Cluster,
  convergenceMs,
  type SimNode,
  startPlan,
} from "../lib/sim/mod.ts";
import { Leadership } from "./leader.ts";

const NODES = 5;
const SEEDS = 20;
const LOSS = 0.1;

/** What the story needs of the rule; another one may be tried. */
export type Rule = Pick<Leadership, "handle" | "leader">;

/** How long each part of the story took, virtual ms. */
export type Story = ReadonlyMap<string, number>;

/**
 * Plays the story of one seed.
 *
 * @throws {Error} when members do not agree within the time that the protocol may
 * need
 */
export function play(seed: number, makeRule: () => Rule): Story {
  const cluster = new Cluster({ seed, link: { loss: LOSS } });
  const nodes = cluster.addNodes(NODES);
  // One program per node; a node that starts anew has forgotten everything.
  const rules = nodes.map(makeRule);
  cluster.observers.push({
    onLifecycle(node, change) {
      if (change === "started") rules[node.index] = makeRule();
    },
    onEvent(node, event) {
      if (isMemberEvent(event)) rules[node.index]?.handle(event);
    },
  });

  const story = new Map<string, number>();
  const limitMs = convergenceMs(cluster.configOf(cluster.node(0)), NODES);
  /** Does something, then waits until these nodes hold that one leads. */
  const part = (
    title: string,
    act: () => void,
    ...demands: readonly [among: readonly SimNode[], leader: string][]
  ) => {
    act();
    const startMs = cluster.nowMs;
    for (const [among, leader] of demands) {
      const isAgreed = () =>
        among.every(({ index }) => rules[index]?.leader === leader);
      if (cluster.runUntil(startMs + limitMs, isAgreed)) continue;
      const views = among.map(({ name, index }) =>
        `${name}: ${rules[index]?.leader}`
      );
      throw new Error(
        `Seed ${seed}, ${title}: ${leader} does not lead (${views.join(", ")})`,
      );
    }
    story.set(title, cluster.nowMs - startMs);
  };

  const [n0, n1, ...others] = nodes as [SimNode, SimNode, ...SimNode[]];
  part("all have started", () => {
    cluster.schedule(startPlan(NODES, { overMs: 500 }));
    cluster.runUntil(500);
  }, [nodes, "n0"]);
  part("the leader has crashed", () => cluster.crash(n0), [
    [n1, ...others],
    "n1",
  ]);
  part("it is back", () => cluster.restart(n0), [nodes, "n0"]);
  part(
    "the network is cut in two",
    () => cluster.partition([0, 0, 1, 1, 1]),
    [[n0, n1], "n0"],
    [others, "n2"],
  );
  part("it has healed", () => cluster.heal(), [nodes, "n0"]);
  return story;
}

/** One line for each part: shortest, median and longest time, s. */
export function table(stories: readonly Story[]): string[] {
  const width = 32;
  const row = (title: string, cells: readonly string[]) =>
    title.padEnd(width) + cells.map((cell) => cell.padStart(9)).join("");
  const titles = [...stories[0]?.keys() ?? []];
  return [
    row("", ["shortest", "median", "longest"]),
    ...titles.map((title) => {
      const times = stories.map((story) => story.get(title) ?? 0)
        .sort((a, b) => a - b);
      const picks = [0, times.length >> 1, times.length - 1];
      return row(
        title,
        picks.map((i) => ((times[i] ?? 0) / 1_000).toFixed(1)),
      );
    }),
  ];
}

if (import.meta.main) {
  console.info(
    `Who leads? ${SEEDS} clusters of ${NODES} nodes, ` +
      `${
        LOSS * 100
      } % of all packets lost.\nVirtual time until all agree, s:\n`,
  );
  try {
    const stories = Array.from(
      { length: SEEDS },
      (_, seed) => play(seed, () => new Leadership()),
    );
    console.info(table(stories).join("\n"));
    const totalMs = stories.flatMap((story) => [...story.values()])
      .reduce((sum, ms) => sum + ms, 0);
    const seconds = Math.round(totalMs / 1_000);
    console.info(`\nAll agreed each time, in ${seconds} s of virtual time.`);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exitCode = 1;
  }
}
