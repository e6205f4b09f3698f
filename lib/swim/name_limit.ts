/**
 * How long a name may be.
 *
 * The protocol sets no limit, and the original none either. But a name travels in
 * every message about its member and has to fit into a packet beside the tags, and
 * a stranger could fill our tables with long ones. A member whose name is longer is
 * not let in by anybody of ours; so it is not started with one either.
 */

/** Longest name of a member, UTF-16 units. */
export const NAME_LENGTH_MAX = 512;

/** What is wrong with the length of our own name, `undefined` when nothing is. */
export function nameLengthProblem(name: string): string | undefined {
  const { length } = name;
  if (length >= 1 && length <= NAME_LENGTH_MAX) return undefined;
  return `Node name is ${length} characters. ` +
    `Valid length is between 1 and ${NAME_LENGTH_MAX} characters`;
}
