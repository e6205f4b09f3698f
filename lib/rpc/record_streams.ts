/**
 * What a connection streams beside its answers: events, the log, and what comes
 * back to queries. Each holds records that wait, and knows how they are written.
 *
 * Of events and log lines, and of replies to a query, at most
 * `WAITING_RECORDS_MAX` wait; further ones are dropped. The end of a query is
 * never dropped.
 */

import type { QueryEvent, QueryReply, SerfEvent } from "../serf/event.ts";
import type { EventFilter } from "./event_filter.ts";
import { WAITING_RECORDS_MAX } from "./protocol.ts";
import {
  encodeEventRecord,
  encodeLogRecord,
  encodeQueryEventRecord,
  encodeQueryRecord,
} from "./response.ts";
import { WaitingRecords } from "./waiting_records.ts";

/** Records are gathered into writes of about this many bytes. */
const WRITE_BYTES = 32_768;

/** What the records of a write are; of several, the first. */
export type RecordWord = "event" | "log" | "ack" | "response" | "query end";

/** Records for one write. */
export interface RecordWrite {
  readonly word: RecordWord;
  readonly records: readonly Uint8Array[];
}

interface EncodedRecord {
  readonly word: RecordWord;
  readonly bytes: Uint8Array;
}

/** Something that records come from. */
export abstract class RecordStream {
  /** @param seq number of the request that opened it */
  constructor(readonly seq: bigint) {}

  /** Whether it has nothing to say any more, ever. */
  get isOver(): boolean {
    return false;
  }

  /** Takes the oldest record. */
  protected abstract next(): EncodedRecord | undefined;

  /** Takes waiting records, oldest first, as many as one write should hold. */
  take(): RecordWrite | undefined {
    const first = this.next();
    if (first === undefined) return undefined;
    const records = [first.bytes];
    let bytes = first.bytes.length;
    while (bytes < WRITE_BYTES) {
      const record = this.next();
      if (record === undefined) break;
      records.push(record.bytes);
      bytes += record.bytes.length;
    }
    return { word: first.word, records };
  }
}

/** An event, and the number that this connection answers it by, if it is a query. */
type StreamedEvent =
  | { readonly event: Exclude<SerfEvent, QueryEvent> }
  | { readonly event: QueryEvent; readonly id: bigint };

export class EventStream extends RecordStream {
  readonly records = new WaitingRecords<StreamedEvent>(WAITING_RECORDS_MAX);

  constructor(seq: bigint, readonly filters: readonly EventFilter[]) {
    super(seq);
  }

  protected next(): EncodedRecord | undefined {
    const record = this.records.take();
    if (record === undefined) return undefined;
    const bytes = "id" in record
      ? encodeQueryEventRecord(this.seq, record.id, record.event)
      : encodeEventRecord(this.seq, record.event);
    return { word: "event", bytes };
  }
}

export class Monitor extends RecordStream {
  /** Entries older than the monitor, newest first, beside the limit. */
  backlog: string[] = [];
  readonly records = new WaitingRecords<string>(WAITING_RECORDS_MAX);

  protected next(): EncodedRecord | undefined {
    const line = this.backlog.pop() ?? this.records.take();
    if (line === undefined) return undefined;
    return { word: "log", bytes: encodeLogRecord(this.seq, line) };
  }
}

/** What comes back to one query. */
export class QueryStream extends RecordStream {
  readonly records = new WaitingRecords<QueryReply>(WAITING_RECORDS_MAX);
  #state: "running" | "ended" | "told" = "running";

  /** No reply follows. */
  end(): void {
    if (this.#state === "running") this.#state = "ended";
  }

  override get isOver(): boolean {
    return this.#state === "told";
  }

  protected next(): EncodedRecord | undefined {
    const reply = this.records.take();
    if (reply !== undefined) {
      return { word: reply.kind, bytes: encodeQueryRecord(this.seq, reply) };
    }
    if (this.#state !== "ended") return undefined;
    this.#state = "told";
    const bytes = encodeQueryRecord(this.seq, { kind: "done" });
    return { word: "query end", bytes };
  }
}
