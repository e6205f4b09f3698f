/** A mixed cluster with a key of 16 bytes. */

import { testMixedCluster } from "./mixed_cluster.ts";

testMixedCluster("a mixed cluster with a 16-byte key lives one life", {
  keyBytes: 16,
});
