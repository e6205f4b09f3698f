/**
 * Which members a program wants to see.
 *
 * Not for: the filters of the control port (`lib/rpc/member_filter.ts`), whose
 * expressions are RE2 and have peculiarities that scripts rely on.
 */

import type { Member, MemberStatus } from "../serf/member.ts";

/** A text that must be equal, or an expression that must match somewhere. */
export type TextPattern = string | RegExp;

/** What members must have; what is left out does not matter. */
export interface MemberSelection {
  /** By name. */
  readonly name?: TextPattern;
  /** One of these statuses. */
  readonly status?: MemberStatus | readonly MemberStatus[];
  /** All of these tags; a tag that a member lacks counts as the empty text. */
  readonly tags?: Readonly<Record<string, TextPattern>>;
}

/** Whether a member has what is wanted. */
export function isSelected(
  member: Member,
  selection: MemberSelection,
): boolean {
  const { name, status, tags = {} } = selection;
  if (name !== undefined && !matches(member.name, name)) return false;
  if (status !== undefined && ![status].flat().includes(member.status)) {
    return false;
  }
  return Object.entries(tags).every(([tag, pattern]) =>
    matches(member.tags.get(tag) ?? "", pattern)
  );
}

function matches(text: string, pattern: TextPattern): boolean {
  // Not `test`, which remembers where a global expression has matched.
  return typeof pattern === "string"
    ? text === pattern
    : text.search(pattern) >= 0;
}
