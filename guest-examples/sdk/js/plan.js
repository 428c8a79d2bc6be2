// What a plugin wants with a table, said by column names.

const full = (type, precision = 0, scale = 0) => ({ type, precision, scale });

export const Type = {
  INT: full("int"),
  UINT: full("uint"),
  FLOAT: full("float"),
  TEXT: full("text"),
  BINARY: full("binary"),
  JSON: full("json"),
  DATE: full("date"),
  decimal: (precision, scale) => full("decimal", precision, scale),
  time: (fraction) => full("time", fraction),
  datetime: (fraction) => full("datetime", fraction),
  timestamp: (fraction) => full("timestamp", fraction),
};

const SHAPES = {
  int: "int", date: "int", time: "int", datetime: "int", timestamp: "int", uint: "uint", float: "float", text: "text", json: "text", binary: "bytes",
};

// The list that values cross in, by the name of the method that reads it.
const shapeOf = ({ type, precision }) => (type === "decimal" ? (precision <= 18 ? "int" : "text") : SHAPES[type]);

const BLANKS = { int: 0, uint: 0, float: 0, text: "", bytes: new Uint8Array(0) };

// What a column holds that may not be null and was not set: valid for its type.
function blankOf(type) {
  const shape = shapeOf(type);
  if (type.type === "json") return "null";
  return type.type === "decimal" && shape === "text" ? "0" : BLANKS[shape];
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

export class Plan {
  constructor(table) {
    this.table = table;
    this.outputs = table.columns.map((column, place) => ({ name: column.name, place, handle: null, nullable: column.nullable }));
    // By handle: one numbering for what is read and what is computed, so that a rewritten column has one handle.
    this.shapes = [];
    this.reads = [];
    this.handles = new Map();
    this.wanted = { action: "process", before: false, key: null, rename: null, expands: false, stateful: false };
  }

  rename(column, name) {
    this.outputOf(this.placeOf(column)).name = name;
  }

  remove(column) {
    const output = this.untouched(this.placeOf(column));
    this.outputs.splice(this.outputs.indexOf(output), 1);
  }

  keepOnly(columns) {
    if (this.outputs.some((output) => output.handle !== null)) throw new Error("`keepOnly` must come before columns are computed");
    const kept = [];
    for (const column of columns) {
      const output = this.untouched(this.placeOf(column));
      this.outputs.splice(this.outputs.indexOf(output), 1);
      kept.push(output);
    }
    this.outputs = kept;
  }

  renameTable(name) {
    this.wanted.rename = name;
  }

  key(columns) {
    this.wanted.key = [...columns];
  }

  before() {
    this.wanted.before = true;
  }

  stateful() {
    this.wanted.stateful = true;
  }

  expand() {
    this.wanted.expands = true;
  }

  pass() {
    this.wanted.action = "pass";
  }

  discard() {
    this.wanted.action = "discard";
  }

  commitTime() {
    return this.read("commit-time", { tag: "meta", val: "commit-time" }, "int");
  }

  position() {
    return this.read("position", { tag: "meta", val: "position" }, "uint");
  }

  transaction() {
    return this.read("transaction", { tag: "meta", val: "transaction" }, "text");
  }

  seed() {
    return this.read("seed", { tag: "meta", val: "seed" }, "uint");
  }

  // The rest is of the SDK's own.

  placeOf(column) {
    const name = column.toLowerCase();
    const place = this.table.columns.findIndex((other) => other.name.toLowerCase() === name);
    if (place < 0) throw new Error(`table \`${this.table.name}\` has no column \`${column}\``);
    return place;
  }

  outputOf(place) {
    const output = this.outputs.find((other) => other.place === place);
    if (!output) throw new Error(`column \`${this.table.columns[place].name}\` is no longer in the output`);
    return output;
  }

  untouched(place) {
    const output = this.outputOf(place);
    if (output.handle !== null) throw new Error(`column \`${this.table.columns[place].name}\` is computed already`);
    return output;
  }

  readColumn(column, wanted) {
    const place = this.placeOf(column);
    const found = shapeOf(this.table.columns[place]);
    if (found !== wanted) throw new Error(`column \`${column}\` is read with \`${found}\`, not with \`${wanted}\``);
    return this.read(place, { tag: "column", val: place }, found);
  }

  // Each thing crosses once, however often it is asked for.
  read(what, read, shape) {
    let handle = this.handles.get(what);
    if (handle === undefined) {
      handle = this.newHandle(shape);
      this.handles.set(what, handle);
      this.reads.push({ handle, read });
    }
    return handle;
  }

  newHandle(shape) {
    return this.shapes.push(shape) - 1;
  }

  rewrite(column, wanted) {
    const handle = this.readColumn(column, wanted);
    const place = this.placeOf(column);
    const output = this.untouched(place);
    output.handle = handle;
    output.type = { tag: "like", val: place };
    output.blank = blankOf(this.table.columns[place]);
    return handle;
  }

  add(name, type, nullable, wanted) {
    const found = shapeOf(type);
    if (found !== wanted) throw new Error(`column \`${name}\` is added with \`add${capital(found)}\``);
    const handle = this.newHandle(wanted);
    this.outputs.push({ name, place: null, handle, nullable, type: { tag: "type", val: type }, blank: blankOf(type) });
    return handle;
  }

  // The key's places in the output: what was asked for, or the input's key where a part of it is computed.
  outputKey() {
    if (this.wanted.key) {
      return this.wanted.key.map((name) => {
        const place = this.outputs.findIndex((output) => output.name.toLowerCase() === name.toLowerCase());
        if (place < 0) throw new Error(`the output has no column \`${name}\``);
        return place;
      });
    }
    const inKey = ({ key }) => key !== null && key !== undefined;
    const key = this.table.columns.map((column, place) => ({ column, place })).filter(({ column }) => inKey(column));
    key.sort((a, b) => a.column.key - b.column.key);
    const places = key.map(({ place }) => this.outputs.findIndex((output) => output.place === place));
    const computed = places.some((place) => place >= 0 && this.outputs[place].handle !== null);
    return computed && !places.includes(-1) ? places : null;
  }

  finish() {
    const { action, before, rename, expands, stateful } = this.wanted;
    const { columns } = this.table;
    const same = (output, place) => output.place === place && output.handle === null && output.name === columns[place].name;
    const unchanged = this.outputs.length === columns.length && this.outputs.every(same);
    const source = ({ place, handle, type, nullable }) =>
      handle === null ? { tag: "input", val: place } : { tag: "computed", val: { type, nullable } };
    return {
      action,
      before,
      reads: this.reads.map(({ read }) => read),
      output: unchanged ? null : this.outputs.map((output) => ({ name: output.name, source: source(output) })),
      key: this.outputKey(),
      rename,
      expands,
      stateful,
      // Integers of 64 bits come whole as bytes alone.
      packed: true,
    };
  }
}

// int, rewriteInt, addInt and their like.
const USUAL = { int: Type.INT, uint: Type.UINT, float: Type.FLOAT, text: Type.TEXT, bytes: Type.BINARY };
for (const [shape, usual] of Object.entries(USUAL)) {
  Plan.prototype[shape] = function (column) {
    return this.readColumn(column, shape);
  };
  Plan.prototype[`rewrite${capital(shape)}`] = function (column) {
    return this.rewrite(column, shape);
  };
  Plan.prototype[`add${capital(shape)}`] = function (column, type = usual, nullable = true) {
    return this.add(column, type, nullable, shape);
  };
}
