/**
 * Write a Sluicebox transform plugin as a function of one row.
 *
 * A plugin is a class with three methods: the constructor reads the configuration, `plan` says once for each table (and each version of
 * its schema) which columns are read, renamed, removed or computed, and `row` is called for each row. Column names are looked up
 * in `plan` alone: it gives back handles, and a handle is a number.
 *
 * What a plugin computes must follow from its configuration, the plan, the row and, where the plan says `stateful`, the state alone:
 * instances come and go, and a batch can come again. The module's top level runs when the plugin is built, and its outcome is
 * frozen into the component.
 */

/** The row goes on. */
export const KEEP: true;
/** The row does not. An update that leaves the filter so becomes a delete, one that enters it an insert. */
export const DROP: false;
export type Verdict = boolean;

/** A transform plugin; `C` is what `row` needs to know about a table, mostly handles of columns. */
export interface Transform<C> {
  /** An exception refuses the table, with its text. */
  plan(table: Table, plan: Plan): C;
  /**
   * Decides about one row and computes its columns. Of an update, the row before and the row after come one after the other. An
   * exception condemns this row alone (of an update, both rows), with its text.
   */
  row(columns: C, row: Row): Verdict;
}

/** Makes a class the plugin of its module: `export const plugin = definePlugin("orders", "0.1.0", Orders)`. */
export function definePlugin<C, Config = any>(name: string, version: string, transform: new (config: Config) => Transform<C>): object;

/** The value of a key of the configuration; an error that names it when there is none. */
export function need(config: any, key: string): any;

export declare const handle: unique symbol;
/** A column of signed numbers that is read. */
export type Int = number & { [handle]?: "int" };
/** A column of unsigned numbers that is read. */
export type Uint = number & { [handle]?: "uint" };
/** A column of floating-point numbers that is read. */
export type Float = number & { [handle]?: "float" };
/** A column of texts that is read. */
export type Text = number & { [handle]?: "text" };
/** A column of bytes that is read. */
export type Bytes = number & { [handle]?: "bytes" };

export type ColumnType =
  | "int"
  | "uint"
  | "float"
  | "decimal"
  | "text"
  | "binary"
  | "json"
  | "date"
  | "time"
  | "datetime"
  | "timestamp";

/** The type of a new column. */
export interface FullType {
  type: ColumnType;
  /** Decimal: digits in all; times: digits of a second's fraction; else 0. */
  precision: number;
  /** Decimal: digits after the point; else 0. */
  scale: number;
}

export const Type: {
  INT: FullType;
  UINT: FullType;
  FLOAT: FullType;
  TEXT: FullType;
  BINARY: FullType;
  JSON: FullType;
  DATE: FullType;
  /** Exact: set with `setInt` (unscaled) to precision 18, above with `setText`. */
  decimal(precision: number, scale: number): FullType;
  time(fraction: number): FullType;
  datetime(fraction: number): FullType;
  timestamp(fraction: number): FullType;
};

export interface Column extends FullType {
  name: string;
  nullable: boolean;
  /** Its place in the key, from 0; null when it is not part of it. */
  key: number | null;
  /** As the source declares it, e.g. `varchar(64)`. */
  sourceType: string;
}

/** A table at one version of its schema. */
export interface Table {
  database: string;
  name: string;
  /** Rises by one at each schema change that the stream has seen. */
  version: number;
  columns: Column[];
  /** The statement that led to this version, when there was one. */
  ddl: string | null;
}

/** Collects what is wanted with a table. Without a word its columns go on as they are, and `row` decides which rows. */
export interface Plan {
  /** Reads signed numbers: integers, booleans (0 and 1), dates and times, decimals of up to 18 digits (unscaled). */
  int(column: string): Int;
  /** Reads unsigned numbers: BIGINT UNSIGNED and BIT. */
  uint(column: string): Uint;
  /** Reads floating-point numbers. */
  float(column: string): Float;
  /** Reads texts, also JSON and decimals of more than 18 digits. */
  text(column: string): Text;
  /** Reads bytes. */
  bytes(column: string): Bytes;
  /** Computes a column from its old value, with exactly its type; not set, it keeps that value. */
  rewriteInt(column: string): Int;
  rewriteUint(column: string): Uint;
  rewriteFloat(column: string): Float;
  rewriteText(column: string): Text;
  rewriteBytes(column: string): Bytes;
  /** Adds a column behind the others; not set, it is null, or empty or 0 where it may not be null. */
  addInt(column: string, type?: FullType, nullable?: boolean): Int;
  addUint(column: string, type?: FullType, nullable?: boolean): Uint;
  addFloat(column: string, type?: FullType, nullable?: boolean): Float;
  addText(column: string, type?: FullType, nullable?: boolean): Text;
  addBytes(column: string, type?: FullType, nullable?: boolean): Bytes;
  /** Gives a column another name. Names in `plan` stay those of the input, except in `key`. */
  rename(column: string, name: string): void;
  /** Leaves a column out. It can be read all the same. */
  remove(column: string): void;
  /** Leaves all columns out but these, and puts these in this order. To be called before columns are computed. */
  keepOnly(columns: string[]): void;
  /** Gives the table another name, inside the same database. */
  renameTable(name: string): void;
  /** Makes these columns the key, by their names in the output. */
  key(columns: string[]): void;
  /** Asks for every update as two rows, before and after. */
  before(): void;
  /** `row` uses `state`. Rows then come in the order of the stream, one batch at a time. */
  stateful(): void;
  /**
   * `row` makes several rows of one with `emit`, or none. `key` must then be called, with a column in it that tells them apart. What was made
   * of an update's row before is deleted, and what is made of its row after is inserted.
   */
  expand(): void;
  /** `row` is never called, and the host does the rest without the plugin. */
  pass(): void;
  /** Drops all rows of the table; `row` is never called. */
  discard(): void;
  /** Microseconds since 1970-01-01T00:00:00Z; null for rows of a snapshot. */
  commitTime(): Int;
  /** The order of the event in the stream, which begins anew at each start of the pipeline: it orders rows of one run. Null for rows of a snapshot, 0
   * for dead letters that are sent again. */
  position(): Uint;
  /** The name of the source's transaction; null for rows of a snapshot. */
  transaction(): Text;
  /** A number that looks random and is the same whenever this row image comes again: of 64 bits, so read it with `bigint`. */
  seed(): Uint;
}

/** One row image. Getters give null for null; of a rewritten column they give the old value. Setters make null of null. */
export interface Row {
  /** One of `Kind`. */
  readonly kind: number;
  /** An integer that a number cannot hold exactly (beyond 2^53) is an error of the row: read such columns with `bigint`. */
  int(column: Int): number | null;
  uint(column: Uint): number | null;
  /** An integer of whatever size. */
  bigint(column: Int | Uint): bigint | null;
  float(column: Float): number | null;
  text(column: Text): string | null;
  /** Good for this call alone: copy what is to be kept. */
  bytes(column: Bytes): Uint8Array | null;
  setInt(column: Int, value: number | bigint | null): void;
  setUint(column: Uint, value: number | bigint | null): void;
  setFloat(column: Float, value: number | null): void;
  setText(column: Text, value: string | null): void;
  setBytes(column: Bytes, value: Uint8Array | null): void;
  /** The value of a column of whatever type; an integer as a bigint where a number cannot hold it exactly. */
  get(column: number): number | bigint | string | Uint8Array | null;
  /** Sets a computed column of whatever type. */
  set(column: number, value: number | bigint | string | Uint8Array | null): void;
  /**
   * Makes a row of what is set, for plans that said `expand`. Columns that are added are to be set again before the next one; a
   * rewritten column has its old value until it is set. `KEEP` makes a last row, `DROP` none.
   */
  emit(): void;
}

/** What a row is: of an update, the row before and the row after are told apart. */
export const Kind: { INSERT: 0; BEFORE: 1; AFTER: 2; DELETE: 3; READ: 4 };

/** Logs a line for the plugin's author. Never log a row's values. */
export function debug(message: string): void;
export function info(message: string): void;
export function warn(message: string): void;
export function error(message: string): void;

/** Reference tables, which the pipeline file declares under the plugin's `lookups`. */
export const lookup: {
  /** The entry's fields, or null. Within a batch a key is asked for once. */
  get(table: string, key: string): Record<string, any> | null;
  /** For each key the entry's fields, or null. */
  getMany(table: string, keys: string[]): (Record<string, any> | null)[];
};

/**
 * What the plugin remembers of a table from row to row, for plans that said `stateful`: texts as keys of at most 1,024 bytes, bytes as
 * values. It is saved together with the rows that led to it. What a row that fails has changed is forgotten.
 */
export const state: {
  get(key: string): Uint8Array | null;
  getText(key: string): string | null;
  /** A text is kept as UTF-8. */
  put(key: string, value: Uint8Array | string): void;
  remove(key: string): void;
};

/** The time of day in microseconds since 1970-01-01T00:00:00Z, where the pipeline file says `clock: true`. */
export const clock: { now(): number };

/** UTF-8, for bytes that are texts: QuickJS has neither TextDecoder nor TextEncoder. */
export function decodeUtf8(bytes: Uint8Array, begin: number, end: number): string;
export function encodeUtf8(text: string): Uint8Array;
