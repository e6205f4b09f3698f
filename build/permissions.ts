/**
 * What an executable may do, as flags of `deno compile` and `deno run`.
 *
 * They are fixed when it is built, and Deno cannot narrow them to the paths and
 * addresses that a command line names later. So this is what an agent with every
 * feature in use needs; what a start does not need after all it gives up for good
 * once it runs (`cmd/permissions.ts`).
 *
 * Nothing is granted for code from elsewhere, and of native libraries only the C
 * library, for the few calls that Deno does not offer. Without
 * `--allow-all` Deno also refuses /proc, /dev and /sys, whatever flags name them.
 */

import { LIBC_PATHS } from "../lib/net/libc.ts";
import { SERVICE_VARIABLES } from "../lib/agent/service_notify.ts";
import { KEPT_PREFIX, STEERING_VARIABLES } from "./steering.ts";

/** Variables that the commands read, those of systemd also to be removed. */
const READ_VARIABLES = [
  "SERF_RPC_ADDR",
  "SERF_RPC_AUTH",
  ...SERVICE_VARIABLES,
];

/**
 * Questions about the system that nobody here asks. Not a list of those that are
 * asked (name of the host, network interfaces, mask of new files) because Deno has
 * no name for the mask, which a control port in the file system needs.
 */
const DENIED_SYSTEM_QUESTIONS = [
  ...["cpus", "getPriority", "getegid", "gid", "homedir", "loadavg"],
  ...["osRelease", "osUptime", "setPriority", "statfs", "systemMemoryInfo"],
  ...["uid", "userInfo", "username"],
];

/** The permissions, for either kind of executable. */
export const PERMISSION_FLAGS: readonly string[] = [
  // Peers, clients and resolvers are known when it runs.
  "--allow-net",
  // Configuration files, keyring, tags, snapshot, a control port that is a file.
  "--allow-read",
  "--allow-write",
  // Handler scripts are command lines of the user's. Not the shell alone: what has
  // to be killed is a process group, and Deno starts nothing in an environment with
  // LD_ variables, unless all programs are allowed.
  "--allow-run",
  `--allow-env=${
    [
      ...READ_VARIABLES,
      ...STEERING_VARIABLES,
      ...STEERING_VARIABLES.map((name) => KEPT_PREFIX + name),
    ].join()
  }`,
  "--allow-sys",
  `--deny-sys=${DENIED_SYSTEM_QUESTIONS.join()}`,
  // Keeps the debugger shut (`cmd/debugger_guard.ts`), tells systemd that the agent
  // is well, and as process 1 of a container buries orphans. Deno has no call for
  // any of these. The library is opened before any peer is heard.
  `--allow-ffi=${LIBC_PATHS.join()}`,
  "--deny-import",
];

/** The rest of what makes a run one of exactly this program. */
export const ISOLATION_FLAGS: readonly string[] = [
  // A refusal is an error, never a question to whoever sits at the terminal.
  "--no-prompt",
  // No project that happens to lie around it, and no package from anywhere.
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  // The datagram sockets.
  "--unstable-net",
];
