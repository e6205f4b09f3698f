/**
 * Functions that answer queries, one for each name of a query.
 *
 * A responder may take its time, and it may fail; neither may hurt the node. What
 * goes wrong is reported and the asker gets no answer: an asker that hears
 * nothing knows as much as one that hears of a bug in another program.
 *
 * At most `RUNNING_MAX` answers are worked at; the members of a cluster can ask
 * faster than anybody can answer, and further queries are left unanswered then.
 */

import { StateError } from "../serf/engine.ts";
import type { ReceivedQuery } from "./node_event.ts";
import type { Payload } from "./received.ts";
import { TroubleLog } from "./trouble_log.ts";

/**
 * Answers one query. `undefined` for no answer. What it throws, and an answer that
 * is too long or comes too late, is logged.
 */
export type Responder = (
  query: ReceivedQuery,
) => Payload | undefined | Promise<Payload | undefined>;

/** Answers that may be under way at one time. */
const RUNNING_MAX = 1_024;

export class Responders {
  /** In objects of their own, so that one function may be added twice. */
  readonly #byName = new Map<string, { readonly responder: Responder }>();
  readonly #report: (text: string, error?: unknown) => void;
  /** A flood of queries must not become a flood of log lines. */
  readonly #troubles: TroubleLog;
  #running = 0;

  /** @param report told what went wrong, and with which error if there is one */
  constructor(report: (text: string, error?: unknown) => void) {
    this.#report = report;
    this.#troubles = new TroubleLog((text) => report(text));
  }

  /**
   * Lets a function answer all queries of a name.
   *
   * @returns ends that; answers that are under way are still given
   * @throws {StateError} when the name has a responder
   */
  add(name: string, responder: Responder): () => void {
    if (this.#byName.has(name)) {
      throw new StateError(`A responder for "${name}" is there already`);
    }
    const entry = { responder };
    this.#byName.set(name, entry);
    return () => {
      if (this.#byName.get(name) === entry) this.#byName.delete(name);
    };
  }

  /** Lets the query be answered, if somebody does that. Never throws. */
  handle(query: ReceivedQuery): void {
    const entry = this.#byName.get(query.name);
    if (entry === undefined) return;
    if (this.#running >= RUNNING_MAX) {
      this.#troubles.log(
        "respond",
        `Query "${query.name}" of ${query.from} is not answered: ` +
          `${RUNNING_MAX} answers are under way`,
      );
      return;
    }
    this.#answer(query, entry.responder);
  }

  async #answer(query: ReceivedQuery, responder: Responder): Promise<void> {
    this.#running++;
    try {
      // A responder that answers at once does so within the event.
      const given = responder(query);
      const payload = given instanceof Promise ? await given : given;
      if (payload !== undefined) query.respond(payload);
    } catch (error) {
      this.#report(
        `Query "${query.name}" of ${query.from} was not answered: ` +
          (error instanceof Error ? error.message : String(error)),
        error,
      );
    } finally {
      this.#running--;
    }
  }
}
