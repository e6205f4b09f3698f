/**
 * Which names of nodes are refused where unusual ones are not wanted.
 *
 * Names end up in host files, in metrics and on command lines, where anything
 * but letters, digits, dashes and dots needs quoting. The protocol does not
 * care, so this is a matter of each node's settings.
 *
 * Source: serf `serf.go` (ValidateNodeName); there the agent accepts the setting
 * and never looks at it.
 */

import { utf8Bytes } from "../kit/bytes.ts";

/** Longest name, bytes. */
const NAME_BYTES_MAX = 128;

/** What is wrong with a name, in upstream's words; `undefined` when nothing is. */
export function nodeNameProblem(name: string): string | undefined {
  if (/[^A-Za-z0-9\-.]/.test(name)) {
    return `Node name contains invalid characters ${name} , ` +
      "Valid characters include all alpha-numerics and dashes and '.' ";
  }
  const { length } = utf8Bytes(name);
  if (length <= NAME_BYTES_MAX) return undefined;
  return `Node name is ${length} characters. ` +
    `Valid length is between 1 and ${NAME_BYTES_MAX} characters`;
}
