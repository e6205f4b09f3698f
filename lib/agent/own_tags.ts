/**
 * The tags that an agent starts with: those of its settings, or those of the
 * tags file, never of both. And the file as it is used from then on.
 *
 * Source: serf `agent.go` (setupAgent, loadTagsFile).
 */

import type { AgentSettings } from "./config.ts";
import type { AgentLog } from "./log.ts";
import { AgentStartError, setupText } from "./start_error.ts";
import type { KeptTags, TagStore } from "./tag_changer.ts";
import { readTagsFile, refuseOtherTags, writeTagsFile } from "./tags_file.ts";

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

/** The tags file of an agent that runs, `undefined` when it has none. */
export function tagStoreOf(
  { tagsFile }: Pick<AgentSettings, "tagsFile">,
  log: Pick<AgentLog, "log">,
): TagStore | undefined {
  if (tagsFile === "") return undefined;
  const logged = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      log.log("ERR", `agent: ${(error as Error).message}`);
      throw error;
    }
  };
  return {
    load: () => logged(readTagsFile(tagsFile)),
    save: (tags) => logged(writeTagsFile(tagsFile, tags)),
    onEdited: (tags) =>
      log.log(
        "WARN",
        `agent: ${tagsFile} was changed by somebody else, taking over its ` +
          `${tags.size} tag(s)`,
      ),
  };
}

/**
 * What a reload says about the tags that stay; `undefined` when there are none.
 *
 * @param tagsFile empty for none
 */
export function keptTagsText(
  { set, deleted }: KeptTags,
  tagsFile: string,
): string | undefined {
  if (set.length + deleted.length === 0) return undefined;
  if (tagsFile !== "") {
    return `Reload keeps the tags of ${tagsFile}: ${set.join(", ")}`;
  }
  const parts = [
    ...(set.length > 0 ? [`set: ${set.join(", ")}`] : []),
    ...(deleted.length > 0 ? [`deleted: ${deleted.join(", ")}`] : []),
  ];
  return `Reload keeps what 'serf tags' has changed: ${parts.join("; ")}`;
}
