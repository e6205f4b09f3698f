/** A mixed cluster without encryption. */

import { testMixedCluster } from "./mixed_cluster.ts";

testMixedCluster("a mixed cluster without encryption lives one life", {});
