/**
 * Two halves of a cluster that start while no network lies between them.
 *
 * All nodes are given the same two seeds, one in each half, and so each half is
 * content with itself. Then the halves are connected, and nobody helps.
 */

import { lacksNamespaces, Namespaces, type Placed } from "./namespaces.ts";
import type { Kind } from "./programs.ts";

/** Seeds that are away are looked for more and more seldom; gossip may miss some. */
const DEADLINE_MS = 120_000;

interface Place extends Placed {
  readonly ip: string;
}

function place(kind: Kind, name: string, where: string, ip: string): Place {
  return { kind, name, where, ip, rpcAddr: `${ip}:7373` };
}

const SEEDS = ["10.77.0.1", "10.77.0.2"];
const PLACES: readonly Place[] = [
  place("ours", "a1", "a", "10.77.0.1"),
  place("hashicorp", "a2", "a", "10.77.0.3"),
  place("ours", "b1", "b", "10.77.0.2"),
  place("hashicorp", "b2", "b", "10.77.0.4"),
];

/** Lays the cable, with a route for each address on its other side. */
function connect(halves: Namespaces): void {
  halves.connect("a", "b");
  for (const { where, ip } of PLACES) {
    const here = PLACES.find((place) => place.where !== where) as Place;
    halves.ipIn(
      here.where,
      `route add ${ip}/32 dev toward-${where} src ${here.ip}`,
    );
  }
}

Deno.test({
  name: "two halves that start apart unite when they can, without help",
  ignore: lacksNamespaces(),
  async fn(t) {
    await using halves = new Namespaces(["a", "b"]);
    const eventually = async (names: readonly string[], half?: string) => {
      for (const place of PLACES) {
        if (half !== undefined && place.where !== half) continue;
        await halves.sees(place, names, DEADLINE_MS);
      }
    };
    await t.step("each half comes together for itself", async () => {
      for (const { where, ip } of PLACES) {
        halves.ipIn(where, `addr add ${ip}/32 dev lo`);
      }
      for (const place of PLACES) {
        halves.start(place, [
          `-bind=${place.ip}`,
          "-retry-interval=1s",
          ...SEEDS.map((seed) => `-retry-join=${seed}`),
        ]);
      }
      await eventually(["a1", "a2"], "a");
      await eventually(["b1", "b2"], "b");
    });
    await t.step("connected, they are one", async () => {
      connect(halves);
      await eventually(["a1", "a2", "b1", "b2"]);
    });
  },
});
