// Write a Sluicebox transform plugin as a function of one row. What each thing means is said in sluicebox.d.ts.
//
// Columns cross as typed arrays and bytes, once for each batch; a value becomes a JavaScript value when it is asked for.

import hostClock from "sluicebox:transform/clock@0.2.0";
import hostLog from "sluicebox:transform/log@0.2.0";
import hostLookup from "sluicebox:transform/lookup@0.2.0";
import hostState from "sluicebox:transform/state@0.2.0";
import { Plan } from "./plan.js";
import { Rows } from "./rows.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

export { decodeUtf8, encodeUtf8 };
export { Kind } from "./rows.js";
export { Type } from "./plan.js";

export const KEEP = true;
export const DROP = false;

export const debug = (message) => hostLog.log("debug", message);
export const info = (message) => hostLog.log("info", message);
export const warn = (message) => hostLog.log("warn", message);
export const error = (message) => hostLog.log("error", message);

// What is known of entries and of the state in this batch.
const entries = new Map();
const known = new Map();
const changed = new Map();
let inRows = false;

export const lookup = {
  get(table, key) {
    const name = `${table}\n${key}`;
    let entry = entries.get(name);
    if (entry === undefined) {
      const text = hostLookup.get(table, [key])[0];
      entry = text == null ? null : JSON.parse(text);
      entries.set(name, entry);
    }
    return entry;
  },
  getMany(table, keys) {
    return hostLookup.get(table, keys).map((text) => (text == null ? null : JSON.parse(text)));
  },
};

export const state = {
  get(key) {
    let value = known.get(key);
    if (value === undefined) {
      value = hostState.get([key])[0] ?? null;
      known.set(key, value);
    }
    return value;
  },
  getText(key) {
    const value = state.get(key);
    return value === null ? null : decodeUtf8(value, 0, value.length);
  },
  put(key, value) {
    if (!inRows) throw new Error("state can be used in `row` alone");
    const bytes = typeof value === "string" ? encodeUtf8(value) : value;
    known.set(key, bytes);
    changed.set(key, bytes);
  },
  remove(key) {
    state.put(key, null);
  },
};

export const clock = { now: () => hostClock.now() };

function begin() {
  entries.clear();
  known.clear();
  changed.clear();
  inRows = true;
}

// One call a batch. What a batch that fails has put never reaches the host.
function end() {
  inRows = false;
  if (changed.size > 0) hostState.put(Array.from(changed, ([key, value]) => ({ key, value })));
}

// An author's own error is told as it is; others with their names.
const told = (error) => (error instanceof Error && error.name !== "Error" ? `${error.name}: ${error.message}` : String(error?.message ?? error));

function orTell(call) {
  try {
    return call();
  } catch (error) {
    throw told(error);
  }
}

// A configuration whose missing keys are errors that name them, when they are asked for with `need`.
export function need(config, key) {
  if (config?.[key] === undefined) throw new Error(`\`${key}\` is missing in the plugin's configuration`);
  return config[key];
}

export function definePlugin(name, version, Transform) {
  const tables = new Map();
  let transform;
  return {
    init(config) {
      return orTell(() => {
        transform = new Transform(JSON.parse(config) ?? {});
        return { name, version };
      });
    },
    planTable(id, table) {
      return orTell(() => {
        const plan = new Plan(table);
        const columns = transform.plan(table, plan);
        const answer = plan.finish();
        tables.set(id, { columns, rows: new Rows(plan) });
        return answer;
      });
    },
    process(id, batch) {
      return orTell(() => {
        const { columns, rows } = tables.get(id);
        begin();
        const outcome = rows.process(transform, columns, batch, told);
        end();
        return outcome;
      });
    },
    forgetTable(id) {
      tables.delete(id);
    },
  };
}
