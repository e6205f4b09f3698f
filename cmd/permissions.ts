/**
 * What a command needs of the process, so that the rest can be given up for good.
 *
 * Deno grants permissions when a program is built or started, long before a command
 * line says which files and programs it is about (`build/permissions.ts`). From
 * then on a command needs little: who is connected to an agent needs nothing, and
 * an agent without files and scripts needs no file and starts no program, whatever
 * a peer may talk it into. Deno can give up all files or none, not all but one.
 */

import type { AgentSettings } from "../lib/agent/config.ts";
import type { Permission } from "./terminal.ts";

/**
 * What an agent needs once it runs.
 *
 * @param hasConfigFiles they are read again on SIGHUP, and may name scripts then
 */
export function agentNeeds(
  settings: Pick<
    AgentSettings,
    "eventHandlers" | "keyringFile" | "rpcAddr" | "snapshotPath" | "tagsFile"
  >,
  hasConfigFiles: boolean,
): readonly Permission[] {
  const { eventHandlers, keyringFile, snapshotPath, tagsFile, rpcAddr } =
    settings;
  const hasFiles =
    [keyringFile, snapshotPath, tagsFile].some((path) => path !== "") ||
    rpcAddr.startsWith("unix:");
  const hasScripts = eventHandlers.length > 0 || hasConfigFiles;
  return [
    // On SIGHUP also the name and the interfaces of the machine are asked again.
    "sys",
    ...(hasFiles || hasConfigFiles ? ["read" as const] : []),
    ...(hasFiles ? ["write" as const] : []),
    ...(hasScripts ? ["run" as const] : []),
  ];
}
