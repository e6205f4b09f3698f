/**
 * How much can one process carry?
 *
 * - Packets: what one engine takes, the wire layers included and the sockets not.
 *   A node of a busy cluster sees tens of packets a second.
 * - Cluster: real time of a whole simulated life of a cluster (see `growthStory`),
 *   which decides what sizes tests can afford.
 *
 *     deno task bench
 */

import {
  handlePackets,
  makePacketWork,
  simulateCluster,
} from "./engine_workload.ts";

for (const count of [1_000, 10_000]) {
  const { length } = makePacketWork(count).packets;
  console.log(
    `${length} packets: checksum ${handlePackets(makePacketWork(count))}`,
  );

  Deno.bench(
    `one engine handles ${count} packets`,
    { group: "packets" },
    (bench) => {
      const work = makePacketWork(count);
      bench.start();
      handlePackets(work);
      bench.end();
    },
  );
}

for (const nodes of [10, 50]) {
  console.log(`${nodes} nodes: checksum ${simulateCluster(nodes)}`);

  Deno.bench(
    `a cluster of ${nodes} lives and heals`,
    { group: "cluster" },
    () => {
      simulateCluster(nodes);
    },
  );
}
