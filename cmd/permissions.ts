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

/** What is known of an agent beside its settings. */
export interface AgentCircumstances {
  /** Files are read again on SIGHUP, and may name scripts then. */
  readonly hasConfigFiles: boolean;
  /** Process 1 asks all others to end when it ends. */
  readonly isInit: boolean;
}

/** What an agent needs once it runs. */
export function agentNeeds(
  settings: Pick<
    AgentSettings,
    | "eventHandlers"
    | "keyringFile"
    | "rpcAddr"
    | "snapshotPath"
    | "syslogFacility"
    | "tagsFile"
  >,
  { hasConfigFiles, isInit }: AgentCircumstances,
): readonly Permission[] {
  const { eventHandlers, keyringFile, snapshotPath, tagsFile, rpcAddr } =
    settings;
  const hasFiles =
    [keyringFile, snapshotPath, tagsFile].some((path) => path !== "") ||
    rpcAddr.startsWith("unix:") ||
    // The log daemon listens on a file; each line to it wants leave anew.
    settings.syslogFacility !== undefined;
  // To send a signal counts as running a program.
  const hasScripts = eventHandlers.length > 0 || hasConfigFiles || isInit;
  return [
    // On SIGHUP also the name and the interfaces of the machine are asked again.
    "sys",
    ...(hasFiles || hasConfigFiles ? ["read" as const] : []),
    ...(hasFiles ? ["write" as const] : []),
    ...(hasScripts ? ["run" as const] : []),
  ];
}
