/**
 * Everything that is fuzzed. A room with decoders of its own adds a file of
 * targets and a line here.
 */

import { RPC_TARGETS } from "./rpc_targets.ts";
import type { FuzzTarget } from "./target.ts";
import { WIRE_TARGETS } from "./wire_targets.ts";

export const TARGETS: readonly FuzzTarget[] = [
  ...RPC_TARGETS,
  ...WIRE_TARGETS,
];
