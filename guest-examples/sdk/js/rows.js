// One row, as a plugin sees it, and the loop over a batch.

import { ByteBuffer, decodeAscii, decodeUtf8, isAscii } from "./utf8.js";

export const Kind = { INSERT: 0, BEFORE: 1, AFTER: 2, DELETE: 3, READ: 4 };

const isNull = (validity, row) => validity != null && ((validity[row >> 3] >> (row & 7)) & 1) === 0;

// Columns that came in: `get(row)` gives a value, null where it is null.

class FloatsIn {
  constructor({ validity, data }) {
    this.validity = validity;
    this.data = data.val;
  }

  get(row) {
    return isNull(this.validity, row) ? null : this.data[row];
  }
}

// The toolchain hands integers of 64 bits over as numbers, which are exact to 2^53 and rounded beyond; unsigned ones from 2^63 on come
// out negative. A value that may have been rounded is an error of its row, never a wrong value.
const exact = (value, least) => {
  if (value < least || !Number.isSafeInteger(value)) throw new RangeError("an integer beyond 2^53 cannot be read in JavaScript");
  return value;
};

class IntsIn extends FloatsIn {
  get(row) {
    const value = super.get(row);
    return value === null ? null : exact(value, -Infinity);
  }
}

class UintsIn extends FloatsIn {
  get(row) {
    const value = super.get(row);
    return value === null ? null : exact(value, 0);
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

// Computed columns: `set(row, value)` once or again for a row, in the order of the rows; `done` is how many rows have an entry.

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
    if (isNull) this.bits[row >> 3] &= ~(1 << (row & 7));
    else this.bits[row >> 3] |= 1 << (row & 7);
  }
}

const wrong = (value, what) => new TypeError(`a ${value instanceof Uint8Array ? "Uint8Array" : typeof value} that is no ${what} was set`);

class Numbers {
  constructor(rows) {
    this.nulls = new Nulls(rows);
    this.data = new Array(rows).fill(0);
    this.done = 0;
  }

  set(row, value) {
    if (value != null && !this.fits(value)) throw wrong(value, this.what);
    this.data[row] = value ?? 0;
    this.nulls.set(row, value == null);
    this.done = row + 1;
  }
}

class Ints extends Numbers {
  what = "integer below 2^53";

  fits(value) {
    return Number.isSafeInteger(value);
  }
}

class Uints extends Numbers {
  what = "integer from 0 to 2^53";

  fits(value) {
    return Number.isSafeInteger(value) && value >= 0;
  }
}

class Floats extends Numbers {
  what = "number";

  fits(value) {
    return typeof value === "number";
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
    this.buffer.length = this.offsets[row]; // What was set for this row before.
    if (value != null) this.append(value);
    this.offsets[row + 1] = this.buffer.length;
    this.nulls.set(row, value == null);
    this.done = row + 1;
  }

  get data() {
    return { offsets: this.offsets, data: this.buffer.bytes.slice(0, this.buffer.length) };
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

  set(column, value) {
    this.outputs[column].set(this.row, value);
  }

  get kind() {
    return this.kinds[this.row];
  }
}

// What a column holds is settled in `plan`.
for (const name of ["int", "uint", "float", "text", "bytes"]) {
  Row.prototype[name] = Row.prototype.get;
  Row.prototype[`set${name[0].toUpperCase()}${name.slice(1)}`] = Row.prototype.set;
}

// The rows of a planned table.
export class Rows {
  constructor(plan) {
    this.reads = plan.reads.map(({ handle }) => ({ handle, make: INPUTS[plan.shapes[handle]] }));
    this.computed = plan.outputs
      .filter(({ handle }) => handle !== null)
      .map(({ handle, nullable, blank }) => ({ handle, shape: plan.shapes[handle], blank: nullable ? null : blank }));
    this.handles = plan.shapes.length;
  }

  process(transform, columns, batch, told) {
    const count = batch.rows;
    const row = new Row();
    row.kinds = batch.kinds;
    row.inputs = new Array(this.handles).fill(null);
    row.outputs = new Array(this.handles).fill(null);
    this.reads.forEach(({ handle, make }, place) => (row.inputs[handle] = new make(batch.columns[place])));
    for (const { handle, shape } of this.computed) row.outputs[handle] = new OUTPUTS[shape](count);
    const keep = new Uint8Array((count + 7) >> 3).fill(0xff);
    const errors = [];
    let all = true;
    for (let at = 0; at < count; at++) {
      row.row = at;
      let stays = false;
      try {
        stays = transform.row(columns, row);
      } catch (error) {
        errors.push({ row: at, message: told(error) });
        for (const { handle } of this.computed) row.outputs[handle].done = at; // Half of a row's work may be anything.
      }
      if (!stays) {
        keep[at >> 3] &= ~(1 << (at & 7));
        all = false;
      }
      this.complete(row, stays);
    }
    return { origins: null, keep: all ? null : keep, columns: this.computed.map(({ handle, shape }) => finished(row.outputs[handle], shape)), errors };
  }

  // What `row` did not set: the old value of a row that stays, else as little as possible.
  complete(row, stays) {
    for (const { handle, blank } of this.computed) {
      const output = row.outputs[handle];
      if (output.done > row.row) continue;
      const input = row.inputs[handle];
      output.set(row.row, stays && input !== null ? input.get(row.row) : blank);
    }
  }
}

const finished = (output, shape) => ({ validity: output.nulls.bits, data: { tag: TAGS[shape], val: output.data } });
