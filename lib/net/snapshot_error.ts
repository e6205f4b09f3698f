/**
 * Why a node with a snapshot does not start. In a file of its own, so that it can
 * be caught without loading what opens files.
 */

/** The snapshot could not be opened. The message is in the words of Serf. */
export class SnapshotError extends Error {
  override name = "SnapshotError";
}
