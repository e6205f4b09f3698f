/** What the checkers of a run report: rules that it broke. */

/** A broken rule. */
export interface Violation {
  readonly atMs: number;
  readonly rule: string;
  readonly text: string;
}

/** Takes a violation down. */
export type Report = (rule: string, text: string) => void;
