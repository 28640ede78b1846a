// The JavaScript side of wit/world.wit. A resource is a class; what the component owns is
// dropped by `Symbol.dispose`. What componentize-qjs cannot do is in README.md.

import store, { Blob } from "demo:resources/store@1.0.3";

const destroyed = [0, 0];
let keptCounter;
let keptBlob;

class Counter {
  constructor(start) {
    this.count = start;
  }

  value() {
    return this.count;
  }

  add(amount) {
    this.count += amount;
    return this.count;
  }

  above(other) {
    return this.count > other.count;
  }

  absorb(other) {
    this.count += other.count;
  }

  halve() {
    const half = Math.trunc(this.count / 2);
    this.count -= half;
    return new Counter(half);
  }

  static checked(start) {
    if (start < 0) throw `negative: ${start}`;
    return new Counter(start);
  }

  [Symbol.dispose]() {
    destroyed[0] += 1;
    destroyed[1] += this.count;
  }
}

// The resources in a variant whose cases are nothing, one, many and named.
function parts(value, field) {
  if (value.tag === "nothing") return [];
  if (value.tag === "named") return [value.val[field]];
  return value.tag === "one" ? [value.val] : value.val;
}

export const counters = {
  Counter,
  turn: (group) => group,
  turnOption: (counter) => counter,
  turnResult(counter) {
    if (counter.tag === "err") throw counter.val;
    return counter.val;
  },
  turnTuple: (pair) => pair,
  sum: (seen) => parts(seen, "counter").reduce((sum, each) => sum + each.count, 0),
  sumOption: (counter, [other, factor]) => (counter?.count ?? 0) + other.count * factor,
  keep(counter) {
    keptCounter = counter;
  },
  release() {
    const released = keptCounter;
    keptCounter = undefined;
    return released;
  },
  destroyed: () => destroyed,
};

export const client = {
  make(name, data) {
    const blob = new Blob(name);
    blob.append(data);
    return blob;
  },
  describe: (blob) => [blob.name(), blob.size()],
  discard(blob) {
    blob[Symbol.dispose]();
  },
  open: (name) => Blob.open(name),
  halves: (blob) => [blob, blob.split(blob.size() >> 1)],
  swap(held) {
    if (held.tag === "one") {
      let blob = store.swapOption(held.val);
      blob = store.swapResult({ tag: "ok", val: blob });
      [blob] = store.swapTuple([blob, 7]);
      held = { tag: "one", val: blob };
    } else if (held.tag === "many") {
      held = { tag: "one", val: Blob.join(held.val) };
    }
    return store.swap(held);
  },
  turn: (held) => held,
  total(seen) {
    const total = store.total(seen);
    return seen.tag === "one" ? total + store.totalOption(seen.val, [seen.val, 1]) : total;
  },
  equal: (first, second) => first.same(second),
  keep(blob) {
    keptBlob?.[Symbol.dispose]();
    keptBlob = blob;
  },
  release() {
    const released = keptBlob;
    keptBlob = undefined;
    return released;
  },
};
