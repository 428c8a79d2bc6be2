// One row, as a plugin sees it, and the loop over a batch.

import { ByteBuffer, decodeAscii, decodeUtf8, isAscii } from "./utf8.js";

export const Kind = { INSERT: 0, BEFORE: 1, AFTER: 2, DELETE: 3, READ: 4 };

const isNull = (validity, row) => validity != null && ((validity[row >> 3] >> (row & 7)) & 1) === 0;

// Columns that came in: `get(row)` gives a value, null where it is null.
//
// Numbers come as bytes, eight a row (the plan is `packed`): the toolchain would make doubles of integers and round those beyond 2^53.

const words = ({ data }, View) => {
  const bytes = data.val.data;
  return new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / View.BYTES_PER_ELEMENT);
};

class FloatsIn {
  constructor(vector) {
    this.validity = vector.validity;
    this.values = words(vector, Float64Array);
  }

  get(row) {
    return isNull(this.validity, row) ? null : this.values[row];
  }
}

class IntsIn {
  constructor(vector, High = Int32Array, Whole = BigInt64Array) {
    this.validity = vector.validity;
    this.low = words(vector, Uint32Array);
    this.high = words(vector, High);
    this.whole = words(vector, Whole);
  }

  // A number where one is exact, else a bigint; numbers are the quicker ones.
  get(row) {
    if (isNull(this.validity, row)) return null;
    const value = this.high[2 * row + 1] * 4294967296 + this.low[2 * row];
    return Number.isSafeInteger(value) ? value : this.whole[row];
  }
}

class UintsIn extends IntsIn {
  constructor(vector) {
    super(vector, Uint32Array, BigUint64Array);
  }
}

class TextsIn {
  constructor({ validity, data }) {
    this.validity = validity;
    this.offsets = data.val.offsets;
    this.bytes = data.val.data;
    // One text for the whole column, of which values are slices, where bytes and characters are the same.
    this.whole = isAscii(this.bytes) ? decodeAscii(this.bytes, 0, this.bytes.length) : null;
  }

  get(row) {
    if (isNull(this.validity, row)) return null;
    const begin = this.offsets[row];
    const end = this.offsets[row + 1];
    return this.whole === null ? decodeUtf8(this.bytes, begin, end) : this.whole.slice(begin, end);
  }
}

class BytesIn {
  constructor({ validity, data }) {
    this.validity = validity;
    this.offsets = data.val.offsets;
    this.bytes = data.val.data;
  }

  get(row) {
    return isNull(this.validity, row) ? null : this.bytes.subarray(this.offsets[row], this.offsets[row + 1]);
  }
}

const INPUTS = { int: IntsIn, uint: UintsIn, float: FloatsIn, text: TextsIn, bytes: BytesIn };

// Computed columns: `set(row, value)` once or again for a row, in the order of the rows; `done` is how many rows have an entry. Where rows
// are made of others there can be more than came in.

class Nulls {
  constructor(rows) {
    this.rows = rows;
    this.bits = null;
  }

  set(row, isNull) {
    if (this.bits === null) {
      if (!isNull) return;
      this.bits = new Uint8Array((this.rows + 7) >> 3).fill(0xff);
    }
    if (row >> 3 >= this.bits.length) this.bits = grown(this.bits, row >> 3, 0xff);
    if (isNull) this.bits[row >> 3] &= ~(1 << (row & 7));
    else this.bits[row >> 3] |= 1 << (row & 7);
  }

  // Without a null among these rows there may be bits all the same.
  of(rows) {
    if (this.bits === null) return null;
    const bytes = (rows + 7) >> 3;
    return (bytes > this.bits.length ? grown(this.bits, bytes, 0xff) : this.bits).subarray(0, bytes);
  }
}

// The same array with room for this place, and for more.
function grown(array, place, filled = array instanceof BigInt64Array ? 0n : 0) {
  const larger = new array.constructor(Math.max(place + 1, 2 * array.length)).fill(filled);
  larger.set(array);
  return larger;
}

const wrong = (value, what) => new TypeError(`a ${value instanceof Uint8Array ? "Uint8Array" : typeof value} that is no ${what} was set`);

class Integers {
  constructor(rows) {
    this.nulls = new Nulls(rows);
    this.hold(new BigInt64Array(rows));
    this.done = 0;
  }

  // The same bytes as whole integers and as halves of them.
  hold(whole) {
    this.whole = whole;
    this.halves = new Int32Array(whole.buffer);
  }

  set(row, value) {
    if (row >= this.whole.length) this.hold(grown(this.whole, row));
    if (Number.isSafeInteger(value) && value >= this.least) {
      this.halves[2 * row] = value; // The lowest 32 bits of it.
      this.halves[2 * row + 1] = Math.floor(value / 4294967296);
    } else if (typeof value === "bigint" && this.fits(value)) this.whole[row] = value;
    else if (value == null) this.whole[row] = 0n;
    else throw wrong(value, this.what);
    this.nulls.set(row, value == null);
    this.done = row + 1;
  }
}

class Ints extends Integers {
  what = "integer of 64 bits";
  least = -Infinity;

  fits(value) {
    return BigInt.asIntN(64, value) === value;
  }

  of(rows) {
    return this.whole.subarray(0, rows);
  }
}

class Uints extends Integers {
  what = "unsigned integer of 64 bits";
  least = 0;

  fits(value) {
    return BigInt.asUintN(64, value) === value;
  }

  of(rows) {
    return new BigUint64Array(this.whole.buffer, 0, rows);
  }
}

class Floats {
  constructor(rows) {
    this.nulls = new Nulls(rows);
    this.data = new Float64Array(rows);
    this.done = 0;
  }

  set(row, value) {
    if (value != null && typeof value !== "number") throw wrong(value, "number");
    if (row >= this.data.length) this.data = grown(this.data, row);
    this.data[row] = value ?? 0;
    this.nulls.set(row, value == null);
    this.done = row + 1;
  }

  of(rows) {
    return this.data.subarray(0, rows);
  }
}

class Strings {
  constructor(rows) {
    this.nulls = new Nulls(rows);
    this.offsets = new Uint32Array(rows + 1);
    this.buffer = new ByteBuffer();
    this.done = 0;
  }

  set(row, value) {
    if (row + 1 >= this.offsets.length) this.offsets = grown(this.offsets, row + 1);
    this.buffer.length = this.offsets[row]; // What was set for this row before.
    if (value != null) this.append(value);
    this.offsets[row + 1] = this.buffer.length;
    this.nulls.set(row, value == null);
    this.done = row + 1;
  }

  of(rows) {
    return { offsets: this.offsets.subarray(0, rows + 1), data: this.buffer.bytes.subarray(0, this.offsets[rows]) };
  }
}

class Texts extends Strings {
  append(value) {
    if (typeof value !== "string") throw wrong(value, "text");
    this.buffer.appendText(value);
  }
}

class Bytes extends Strings {
  append(value) {
    if (!(value instanceof Uint8Array)) throw wrong(value, "Uint8Array");
    this.buffer.append(value);
  }
}

const OUTPUTS = { int: Ints, uint: Uints, float: Floats, text: Texts, bytes: Bytes };
const TAGS = { int: "ints", uint: "uints", float: "floats", text: "bytes", bytes: "bytes" };

class Row {
  get(column) {
    return this.inputs[column].get(this.row);
  }

  int(column) {
    const value = this.get(column);
    if (typeof value === "bigint") throw new RangeError("an integer beyond 2^53 is no number in JavaScript: read it with `bigint`");
    return value;
  }

  bigint(column) {
    const value = this.get(column);
    return value === null ? null : BigInt(value);
  }

  set(column, value) {
    this.outputs[column].set(this.at, value);
  }

  get kind() {
    return this.kinds[this.row];
  }

  emit() {
    if (this.madeOf === null) throw new Error("`emit` makes several rows of one, and the plan did not say `expand`");
    this.complete(true);
    this.madeOf.push(this.row);
    this.at++;
  }

  // What `row` did not set: the old value of a row that stays, else as little as possible.
  complete(stays) {
    for (const { handle, blank } of this.computed) {
      const output = this.outputs[handle];
      if (output.done > this.at) continue;
      const input = this.inputs[handle];
      output.set(this.at, stays && input !== null ? input.get(this.row) : blank);
    }
  }

  // What was set of a row that goes or fails may be anything.
  undo() {
    for (const { handle } of this.computed) this.outputs[handle].done = this.at;
  }
}

Row.prototype.uint = Row.prototype.int;
// What a column holds is settled in `plan`.
for (const name of ["float", "text", "bytes"]) Row.prototype[name] = Row.prototype.get;
for (const name of ["Int", "Uint", "Float", "Text", "Bytes"]) Row.prototype[`set${name}`] = Row.prototype.set;

// The rows of a planned table.
export class Rows {
  constructor(plan) {
    this.reads = plan.reads.map(({ handle }) => ({ handle, make: INPUTS[plan.shapes[handle]] }));
    this.computed = plan.outputs
      .filter(({ handle }) => handle !== null)
      .map(({ handle, nullable, blank }) => ({ handle, shape: plan.shapes[handle], blank: nullable ? null : blank }));
    this.handles = plan.shapes.length;
    this.expands = plan.wanted.expands;
  }

  process(transform, columns, batch, told) {
    const row = new Row();
    row.kinds = batch.kinds;
    row.computed = this.computed;
    row.inputs = new Array(this.handles).fill(null);
    row.outputs = new Array(this.handles).fill(null);
    this.reads.forEach(({ handle, make }, place) => (row.inputs[handle] = new make(batch.columns[place])));
    for (const { handle, shape } of this.computed) row.outputs[handle] = new OUTPUTS[shape](batch.rows);
    row.madeOf = this.expands ? [] : null;
    const errors = [];
    const decide = () => {
      try {
        return transform.row(columns, row);
      } catch (error) {
        errors.push({ row: row.row, message: told(error) });
        return null;
      }
    };
    const keep = this.expands ? expand(row, batch.rows, decide) : filter(row, batch.rows, decide);
    const origins = this.expands ? new Uint32Array(row.madeOf) : null;
    const made = this.computed.map(({ handle, shape }) => finished(row.outputs[handle], shape, row.at));
    return { origins, keep, columns: made, errors };
  }
}

// A row each; `decide` gives null for one that failed.
function filter(row, count, decide) {
  const keep = new Uint8Array((count + 7) >> 3).fill(0xff);
  let all = true;
  for (let at = 0; at < count; at++) {
    row.row = row.at = at;
    const stays = decide();
    if (!stays) {
      row.undo();
      keep[at >> 3] &= ~(1 << (at & 7));
      all = false;
    }
    row.complete(stays);
  }
  row.at = count;
  return all ? null : keep;
}

// Several rows of one, or none.
function expand(row, count, decide) {
  row.at = 0;
  for (let at = 0; at < count; at++) {
    row.row = at;
    const first = row.at;
    const stays = decide();
    if (stays) row.emit();
    if (stays === null) row.madeOf.length = row.at = first;
    row.undo();
  }
  return null;
}

const finished = (output, shape, rows) => ({ validity: output.nulls.of(rows), data: { tag: TAGS[shape], val: output.of(rows) } });
