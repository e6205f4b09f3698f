/**
 * The formula behind the convergence simulator on Serf's website: how large a
 * share of the nodes gossip has reached after so many rounds.
 *
 *     share(round) = 1 / (1 + (n + 1) * e^(-contact * n * round))
 *     contact      = fanout / n * (1 - loss) * (1 - failed) / 2
 *
 * It is the logistic curve of an epidemic in which every pair of nodes meets with
 * a small chance per round. It knows nothing of retransmit limits, of packets
 * that carry several messages, of probes that carry gossip, or of exchanges of
 * state, and the half in `contact` is a choice of its authors; so it is slower
 * than what is measured.
 *
 * Source: hashicorp/serf `website/source/assets/javascripts/_simulator.js`
 * (convergenceAtRound, bytesUsed).
 */

/** What the formula depends on. */
export interface GossipModel {
  readonly nodes: number;
  /** Nodes told per round. */
  readonly fanout: number;
  /** Length of a round, ms. */
  readonly intervalMs: number;
  /** Share of packets lost, in [0, 1). */
  readonly loss: number;
  /** Share of nodes that do not take part, in [0, 1). */
  readonly failed: number;
}

/** Bytes that the formula takes every packet to have. */
const PACKET_BYTES = 1_400;

/** The share of nodes reached after some time, in (0, 1). */
export function modelShare(model: GossipModel, afterMs: number): number {
  const { nodes } = model;
  const round = afterMs / model.intervalMs;
  return 1 / (1 + (nodes + 1) * Math.exp(-contactRate(model) * round));
}

/** When the formula reaches a share in (0, 1), ms; the inverse of `modelShare`. */
export function modelMs(model: GossipModel, share: number): number {
  const { nodes, intervalMs } = model;
  const rounds = Math.log((nodes + 1) * share / (1 - share)) /
    contactRate(model);
  return Math.max(0, rounds) * intervalMs;
}

/** The most that a node sends and receives, by the formula, bytes per second. */
export function modelBytesPerSecond(model: GossipModel): number {
  return 2 * PACKET_BYTES * model.fanout * 1_000 / model.intervalMs;
}

/** Contacts per round of one node, with all the others together. */
function contactRate(model: GossipModel): number {
  return model.fanout * (1 - model.loss) * (1 - model.failed) / 2;
}
