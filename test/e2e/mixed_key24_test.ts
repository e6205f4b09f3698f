/** A mixed cluster with a key of 24 bytes. */

import { testMixedCluster } from "./mixed_cluster.ts";

testMixedCluster("a mixed cluster with a 24-byte key lives one life", {
  keyBytes: 24,
});
