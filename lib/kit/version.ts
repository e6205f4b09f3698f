/** Our own version, as `serf version` and the agent's statistics report it. */
export const VERSION = "0.1.0";
