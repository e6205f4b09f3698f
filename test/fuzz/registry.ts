/**
 * Everything that is fuzzed. A room with decoders of its own adds a file of
 * targets and a line here.
 */

import { ENGINE_TARGETS } from "./engine_targets.ts";
import { FILE_TARGETS } from "./file_targets.ts";
import { RPC_TARGETS } from "./rpc_targets.ts";
import { SNAPSHOT_TARGETS } from "./snapshot_targets.ts";
import { TEXT_TARGETS } from "./text_targets.ts";
import type { FuzzTarget } from "./target.ts";
import { WIRE_TARGETS } from "./wire_targets.ts";

export const TARGETS: readonly FuzzTarget[] = [
  ...ENGINE_TARGETS,
  ...FILE_TARGETS,
  ...RPC_TARGETS,
  ...SNAPSHOT_TARGETS,
  ...TEXT_TARGETS,
  ...WIRE_TARGETS,
];
