/** A mixed cluster with a key of 32 bytes. */

import { testMixedCluster } from "./mixed_cluster.ts";

testMixedCluster("a mixed cluster with a 32-byte key lives one life", {
  keyBytes: 32,
});
