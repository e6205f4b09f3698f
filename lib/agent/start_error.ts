/** Why an agent does not start, in the words that it prints. */

/** The agent could not be started. The message is what the agent prints. */
export class AgentStartError extends Error {
  override name = "AgentStartError";
}

/** A file that the agent needs at its start is of no use. */
export function setupText(reason: string): string {
  return `Failed to setup the Serf agent: ${reason}`;
}

/** The node cannot take part in a cluster. */
export function startText(reason: string): string {
  return `Failed to start the Serf agent: Error creating Serf: ${reason}`;
}
