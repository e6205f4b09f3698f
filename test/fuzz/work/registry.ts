/** Every door at which work is measured. */

import { engineTargets } from "./engine_targets.ts";
import { MDNS_TARGET } from "./mdns_targets.ts";
import { RPC_TARGET } from "./rpc_targets.ts";
import type { WorkTarget } from "./work.ts";

export const WORK_TARGETS: readonly WorkTarget[] = [
  ...engineTargets(),
  MDNS_TARGET,
  RPC_TARGET,
];
