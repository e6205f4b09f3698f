/**
 * Two nodes that claim one name: what we say about it.
 *
 * Nothing is done about it here; in particular no vote is held on which of the
 * two has to go. Source: serf `serf.go` (handleNodeConflict).
 */

import type { MemberView } from "../swim/member.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import type { SerfCore } from "./core.ts";
import { nodeAddress } from "./member.ts";

/**
 * @param existing the member that holds the name in our eyes
 * @param other who claims it from another address
 */
export function reportConflict(
  core: SerfCore,
  existing: MemberView,
  other: NodeDescriptor,
): void {
  const { name } = existing;
  const address = nodeAddress(other);
  if (name === core.name) {
    core.log(
      "ERR",
      `Node name conflicts with another node at ${address}. Names must be unique! (Resolution enabled: false)`,
    );
  } else {
    core.log(
      "WARN",
      `Name conflict for '${name}' both ${existing.address} and ${address} are claiming`,
    );
  }
}
