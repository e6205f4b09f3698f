/**
 * Key queries of other members, and our own: what is done to our keyring, and
 * what is answered.
 *
 *     install, use, remove --> the ring in memory --> kept? --no--> answer
 *                                   |                   |
 *                                   | fails            yes
 *                                   v                   v
 *                                 answer          saveKeyring ... saved --> answer
 *
 * Whether the ring outlasts us is the driver's business: see `savesKeyring`. The
 * change in memory comes first and stays when the keys cannot be kept, as in the
 * original; the answer then tells of the failure. A key that is installed and
 * not kept is still the one that the others may begin to use.
 *
 * At most `SAVES_MAX` changes wait to be kept; further ones are refused and
 * change nothing. Who waits too long is not answered at all.
 *
 * Source: serf `internal_query.go` (handleInstallKey, handleUseKey,
 * handleRemoveKey, handleListKeys, keyListResponseWithCorrectSize) and `serf.go`
 * (writeKeyringFile).
 */

import {
  decodeKeyRequest,
  encodeKeyResponse,
  type KeyResponse,
} from "../wire/serf_messages.ts";
import type { Keyring } from "../wire/keyring.ts";
import { WireError } from "../wire/wire_error.ts";
import type { Answers } from "./answer.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { QueryEvent } from "./event.ts";
import {
  INSTALL_KEY_QUERY,
  INTERNAL_PREFIX,
  type InternalHandler,
  LIST_KEYS_QUERY,
  REMOVE_KEY_QUERY,
  USE_KEY_QUERY,
} from "./internal_query.ts";

/** Most changes that wait to be kept. */
const SAVES_MAX = 64;
/** A failed save's reason is cut to this, so that the answer fits. */
const REASON_LENGTH_MAX = 256;
/** Shortest encoding of a key in a list: 16 bytes in base64, and a header. */
const LISTED_KEY_BYTES_MIN = 25;

const NOT_SAVED = "Failed to write keyring file";

/** A way to change a keyring. */
interface RingChange {
  /** What the log says when the ring refuses. */
  readonly failure: string;
  /** @throws {RangeError} when the ring refuses; nothing changed then */
  apply(ring: Keyring, key: Uint8Array): void;
}

const CHANGES: ReadonlyMap<string, RingChange> = new Map([
  [INSTALL_KEY_QUERY, {
    failure: "Failed to install key",
    apply: (ring: Keyring, key: Uint8Array) => ring.add(key),
  }],
  [USE_KEY_QUERY, {
    failure: "Failed to change primary key",
    apply: (ring: Keyring, key: Uint8Array) => ring.use(key),
  }],
  [REMOVE_KEY_QUERY, {
    failure: "Failed to remove key",
    apply: (ring: Keyring, key: Uint8Array) => ring.remove(key),
  }],
]);

export class KeyQueries {
  readonly #core: SerfCore;
  readonly #answers: Answers;
  /** Queries that are answered when the keys were kept, by number of the save. */
  readonly #saves = new Map<number, QueryEvent>();
  #lastSaveId = 0;

  constructor(core: SerfCore, answers: Answers) {
    this.#core = core;
    this.#answers = answers;
  }

  /** By the whole names of the queries. */
  handlers(): Map<string, InternalHandler> {
    const handlers = new Map<string, InternalHandler>([
      [LIST_KEYS_QUERY, (query, nowMs) => this.#list(query, nowMs)],
    ]);
    for (const [name, change] of CHANGES) {
      handlers.set(name, (query, nowMs) => this.#change(query, change, nowMs));
    }
    return handlers;
  }

  /**
   * The keys of a save were kept, or were not. Numbers that are not waited for
   * are passed over.
   */
  saved(saveId: number, error: string | undefined, nowMs: number): void {
    const query = this.#saves.get(saveId);
    if (query === undefined) return;
    this.#saves.delete(saveId);
    if (error === undefined) return this.#respond(query, SUCCESS, nowMs);
    const reason = error.length > REASON_LENGTH_MAX
      ? `${error.slice(0, REASON_LENGTH_MAX)}...`
      : error;
    this.#fail(query, `${NOT_SAVED}: ${reason}`, nowMs);
  }

  /** Nobody is answered any more, since we shut down. */
  abandon(): void {
    this.#saves.clear();
  }

  #change(query: QueryEvent, change: RingChange, nowMs: number): void {
    const key = this.#keyOf(query, nowMs);
    if (key === undefined) {
      return this.#respond(query, failure(""), nowMs);
    }
    const ring = this.#ring;
    if (ring === undefined) {
      const why = "No keyring to modify (encryption not enabled)";
      return this.#fail(query, why, nowMs);
    }
    this.#logReceived(query);
    const { savesKeyring } = this.#core.config;
    if (savesKeyring && this.#saves.size >= SAVES_MAX) {
      const why = `${NOT_SAVED}: too many changes wait to be written`;
      return this.#fail(query, why, nowMs);
    }
    try {
      change.apply(ring, key);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#core.log("ERR", `${change.failure}: ${error.message}`);
      return this.#respond(query, failure(error.message), nowMs);
    }
    if (!savesKeyring) return this.#respond(query, SUCCESS, nowMs);
    const saveId = ++this.#lastSaveId;
    this.#saves.set(saveId, query);
    this.#core.emit({ kind: "saveKeyring", saveId, keys: [...ring.keys()] });
  }

  /** Answers with all our keys, or with as many of the first as fit. */
  #list(query: QueryEvent, nowMs: number): void {
    const ring = this.#ring;
    if (ring === undefined) {
      const why = "Keyring is empty (encryption not enabled)";
      return this.#fail(query, why, nowMs);
    }
    this.#logReceived(query);
    const keys = ring.keys().map((key) => key.toBase64());
    const [primaryKey = ""] = keys;
    const whole: KeyResponse = { result: true, message: "", keys, primaryKey };
    if (this.#fits(query, whole)) return this.#respond(query, whole, nowMs);
    const bytesMax = this.#core.config.queryResponseBytesMax;
    const most = Math.floor(bytesMax / LISTED_KEY_BYTES_MIN);
    for (let count = Math.min(most, keys.length); count > 0; count--) {
      const message =
        `truncated key list response, showing first ${count} of ${keys.length} keys`;
      const part = { ...whole, message, keys: keys.slice(0, count) };
      if (!this.#fits(query, part)) continue;
      this.#core.log("WARN", message);
      return this.#respond(query, part, nowMs);
    }
    this.#core.refuse(
      "ERR",
      "Failed to truncate response so that it fits into message",
      nowMs,
    );
  }

  /** Our keys; `undefined` when we have none, and do not encrypt. */
  get #ring(): Keyring | undefined {
    const { keyring } = this.#core.config.swim;
    return keyring !== undefined && keyring.size > 0 ? keyring : undefined;
  }

  /** The key in a query; `undefined`, and a log line, when there is none. */
  #keyOf(query: QueryEvent, nowMs: number): Uint8Array | undefined {
    try {
      return decodeKeyRequest(query.payload);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#core.refuse("ERR", error.detail, nowMs);
      return undefined;
    }
  }

  #logReceived({ name }: QueryEvent): void {
    const what = name.slice(INTERNAL_PREFIX.length);
    this.#core.log("INFO", `Received ${what} query`);
  }

  /** Logs what went wrong and answers with it. */
  #fail(query: QueryEvent, why: string, nowMs: number): void {
    this.#core.log("ERR", why);
    this.#respond(query, failure(why), nowMs);
  }

  #fits(query: QueryEvent, response: KeyResponse): boolean {
    return this.#answers.fits(query, encodeKeyResponse(response));
  }

  #respond(query: QueryEvent, response: KeyResponse, nowMs: number): void {
    try {
      this.#answers.respond(query, encodeKeyResponse(response), nowMs);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof StateError)) {
        throw error;
      }
      this.#core.refuse(
        "ERR",
        `Failed to respond to key query: ${error.message}`,
        nowMs,
      );
    }
  }
}

const SUCCESS: KeyResponse = {
  result: true,
  message: "",
  keys: [],
  primaryKey: "",
};

function failure(message: string): KeyResponse {
  return { ...SUCCESS, result: false, message };
}
