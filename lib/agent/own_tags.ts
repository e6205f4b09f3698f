/**
 * The tags that an agent starts with: those of its settings, or those of the
 * tags file, never of both.
 *
 * Source: serf `agent.go` (setupAgent, loadTagsFile).
 */

import type { AgentSettings } from "./config.ts";
import type { AgentLog } from "./log.ts";
import { AgentStartError, setupText } from "./start_error.ts";
import { readTagsFile, refuseOtherTags } from "./tags_file.ts";

/**
 * The tags of an agent; none when its file is not there yet.
 *
 * @throws {AgentStartError} when the file cannot be used, or there are other tags
 */
export async function openTags(
  settings: Pick<AgentSettings, "tags" | "tagsFile">,
  log: AgentLog,
): Promise<ReadonlyMap<string, string>> {
  const { tags, tagsFile } = settings;
  if (tagsFile === "") return tags;
  let restored: ReadonlyMap<string, string> | undefined;
  try {
    refuseOtherTags(tags);
    restored = await readTagsFile(tagsFile);
  } catch (cause) {
    throw new AgentStartError(setupText((cause as Error).message), { cause });
  }
  if (restored === undefined) return tags;
  const what = `Restored ${restored.size} tag(s) from ${tagsFile}`;
  log.log("INFO", `agent: ${what}`);
  return restored;
}
