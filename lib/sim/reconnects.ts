/**
 * How likely the reconnect loop is to do some good, read off the engines.
 *
 * In each interval a node tries one of its `failed` members, chosen at random,
 * with the chance failed / up (1 at most): the fewer have failed, the rarer a
 * node tries, since the others try as well. Together the nodes try each failed
 * member about once per interval. Source: serf `serf.go` (reconnect).
 */

import type { Cluster } from "./cluster.ts";

/**
 * For each serving node that can help, with which chance its next interval
 * brings a try to reach one of the wanted members.
 *
 * @param isWanted whether reaching the member of that name helps the node of that
 * index
 */
export function tryChances(
  cluster: Cluster,
  isWanted: (name: string, observer: number) => boolean,
): number[] {
  const chances: number[] = [];
  for (const { engine, index, isServing } of cluster.nodes) {
    if (!isServing || engine === undefined) continue;
    let up = 0;
    let failed = 0;
    let wanted = 0;
    for (const { name, status } of engine.members()) {
      if (status === "alive" || status === "leaving") up++;
      if (status !== "failed") continue;
      failed++;
      if (isWanted(name, index)) wanted++;
    }
    if (wanted === 0) continue;
    chances.push(Math.min(1, failed / Math.max(1, up)) * wanted / failed);
  }
  return chances;
}
