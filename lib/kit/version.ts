/** Our own version, as `serf version` and the agent's statistics report it. */
export const VERSION = "0.1.0";

/** The build of an executable writes the commit over this; see `build/bundle.ts`. */
const COMMIT_MARK = "@commit-of-the-build@";

/** The commit that an executable was built from; run from source there is none. */
export const COMMIT: string | undefined = COMMIT_MARK.startsWith("@")
  ? undefined
  : COMMIT_MARK;
